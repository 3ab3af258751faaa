//! Clients that finish what they begin: bodies both ways, drops, pages, idle connections.

use crate::client::{Client, Mismatch, digest, get, post, same};
use crate::content::{self, Content};
use crate::origin;
use crate::world::Visit;
use async_compression::tokio::write::GzipDecoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue};
use http_body_util::BodyExt as _;
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;

const MB: u64 = 1_000_000;

/// Up to 20 MB to the origin, which says what it got.
pub async fn upload(mut visit: Visit) -> anyhow::Result<u64> {
    let mut client = Client::connect(visit.proxy).await?;
    let mut sent = 0;
    for _ in 0..visit.rng.u32(1..4) {
        let (seed, size) = (visit.rng.u64(..), visit.size(20 * MB));
        let req = post("/upload", Content::seeded(seed, size))?;
        let told = client.ask(req).await?.into_body().collect().await?.to_bytes();
        let expected = content::digest(seed, size).to_string();
        same("upload", &told, &expected.into())?;
        sent += size;
    }
    Ok(sent)
}

/// Up to 5 MB to the origin and back, at the same time.
pub async fn echo(mut visit: Visit) -> anyhow::Result<u64> {
    let mut client = Client::connect(visit.proxy).await?;
    let (seed, size) = (visit.rng.u64(..), visit.size(5 * MB));
    let mut content = Content::seeded(seed, size);
    if visit.rng.bool() {
        content = content.slowly(100_000, Duration::from_millis(1));
    }
    let answer = client.ask(post("/echo", content)?).await?;
    let (got, _) = digest(answer.into_body(), Duration::ZERO).await?;
    same("echo", &got, &content::digest(seed, size))?;
    Ok(2 * size)
}

/// Up to 20 MB from the origin, several on a connection.
pub async fn download(mut visit: Visit) -> anyhow::Result<u64> {
    let mut client = Client::connect(visit.proxy).await?;
    let mut got = 0;
    for _ in 0..visit.rng.u32(1..6) {
        let size = visit.size(20 * MB);
        got += fetch(&mut client, visit.rng.u64(..), size, Duration::ZERO).await?;
    }
    Ok(got)
}

async fn fetch(client: &mut Client, seed: u64, size: u64, pause: Duration) -> anyhow::Result<u64> {
    let answer = client.ask(get(&format!("/bytes?seed={seed}&size={size}"))?).await?;
    let (got, _) = digest(answer.into_body(), pause).await?;
    same("download", &got, &content::digest(seed, size))?;
    Ok(size)
}

/// Reads 8 MB at some 1 MB/s, with hardly any buffer in the kernel.
pub async fn slow_reader(mut visit: Visit) -> anyhow::Result<u64> {
    let mut client = Client::narrow(visit.proxy).await?;
    fetch(&mut client, visit.rng.u64(..), 8 * MB, Duration::from_millis(8)).await
}

/// Drops of untold length, from the origin or to it.
pub async fn dribble(mut visit: Visit) -> anyhow::Result<u64> {
    let mut client = Client::connect(visit.proxy).await?;
    let (seed, piece, ms) = (visit.rng.u64(..), visit.rng.u64(1..2000), visit.rng.u64(1..20));
    let size = piece * visit.rng.u64(20..200);
    let expected = content::digest(seed, size);
    if visit.rng.bool() {
        let piece = usize::try_from(piece)?;
        let content = Content::seeded(seed, size).slowly(piece, Duration::from_millis(ms));
        let answer = client.ask(post("/upload", content)?).await?;
        let told = answer.into_body().collect().await?.to_bytes();
        same("dribbled upload", &told, &expected.to_string().into())?;
    } else {
        let target = format!("/dribble?seed={seed}&size={size}&piece={piece}&ms={ms}");
        let answer = client.ask(get(&target)?).await?;
        let (got, _) = digest(answer.into_body(), Duration::ZERO).await?;
        same("dribble", &got, &expected)?;
    }
    Ok(size)
}

/// The origin's own event stream. Each event must come as one piece: nobody buffers it.
pub async fn origin_sse(mut visit: Visit) -> anyhow::Result<u64> {
    let mut client = Client::connect(visit.proxy).await?;
    let (count, ms) = (visit.rng.u64(10..200), visit.rng.u64(5..50));
    let answer = client.ask(get(&format!("/sse?count={count}&ms={ms}"))?).await?;
    let got = answer.into_body().collect().await?.to_bytes();
    same("event stream", &got, &origin::events(count).into())?;
    Ok(got.len() as u64)
}

/// A connection that is idle for longer than the proxy keeps its own to the origin.
pub async fn idle(mut visit: Visit) -> anyhow::Result<u64> {
    let mut client = Client::connect(visit.proxy).await?;
    let mut got = 0;
    for _ in 0..3 {
        got += fetch(&mut client, visit.rng.u64(..), 200, Duration::ZERO).await?;
        tokio::time::sleep(Duration::from_millis(visit.rng.u64(0..6000))).await;
    }
    Ok(got)
}

/// A page: the tag is in it once, and all the rest is the origin's.
pub async fn page(mut visit: Visit) -> anyhow::Result<u64> {
    const START: &str = "<script src=\"/__pollcast/shim.js\"";
    const END: &str = "</script>";
    let mut client = Client::connect(visit.proxy).await?;
    let seed = visit.rng.u64(..);
    let mut req = get(&format!("/page?seed={seed}"))?;
    let fields = req.headers_mut();
    fields.insert(ACCEPT, HeaderValue::from_static("text/html,*/*;q=0.8"));
    fields.insert("sec-fetch-dest", HeaderValue::from_static("document"));
    fields.insert("sec-fetch-mode", HeaderValue::from_static("navigate"));
    if visit.rng.bool() {
        fields.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    let answer = client.ask(req).await?;
    let zipped = answer.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding == "gzip");
    let mut body = answer.into_body().collect().await?.to_bytes().to_vec();
    let crossed = body.len() as u64;
    if zipped {
        let mut plain = GzipDecoder::new(Vec::new());
        plain.write_all(&body).await?;
        plain.shutdown().await?;
        body = plain.into_inner();
    }
    let got = String::from_utf8(body)?;
    let (before, rest) = got.split_once(START).ok_or_else(|| Mismatch("no tag".to_owned()))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| Mismatch("half a tag".to_owned()))?;
    same("page", &format!("{before}{after}"), &origin::page(seed))?;
    Ok(crossed)
}
