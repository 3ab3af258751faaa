//! Clients that speak HTTP/2 without TLS, as proxies in front do: many requests on a connection,
//! some of which are reset in the middle.

use crate::client::{digest, good, same};
use crate::content::{self, Content};
use crate::world::Visit;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

type Sender = http2::SendRequest<Content>;

/// One connection, eight requests at once.
pub async fn visit(mut visit: Visit) -> anyhow::Result<u64> {
    let socket = TcpStream::connect(visit.proxy).await?;
    socket.set_nodelay(true)?;
    let io = TokioIo::new(socket);
    let (sender, conn) = http2::handshake(TokioExecutor::new(), io).await?;
    let conn = tokio::spawn(conn);
    let mut requests = JoinSet::new();
    for _ in 0..8 {
        let (sender, seed, size) = (sender.clone(), visit.rng.u64(..), visit.size(2_000_000));
        match visit.rng.u32(0..4) {
            0 => requests.spawn(upload(sender, seed, size)),
            1 => requests.spawn(cancel(sender, seed)),
            _ => requests.spawn(download(sender, seed, size)),
        };
    }
    let mut crossed = 0;
    while let Some(one) = requests.join_next().await {
        crossed += one??;
    }
    drop(sender);
    // It ends by itself once nobody can ask any more.
    conn.await??;
    Ok(crossed)
}

fn request(method: Method, target: &str, body: Content) -> anyhow::Result<Request<Content>> {
    let uri = format!("http://soak.test{target}");
    Ok(Request::builder().method(method).uri(uri).body(body)?)
}

async fn upload(mut sender: Sender, seed: u64, size: u64) -> anyhow::Result<u64> {
    let req = request(Method::POST, "/upload", Content::seeded(seed, size))?;
    let answer = good(sender.send_request(req).await?)?;
    let told = answer.into_body().collect().await?.to_bytes();
    same("h2 upload", &told, &content::digest(seed, size).to_string().into())?;
    Ok(size)
}

async fn download(mut sender: Sender, seed: u64, size: u64) -> anyhow::Result<u64> {
    let target = format!("/bytes?seed={seed}&size={size}");
    let req = request(Method::GET, &target, Content::held(""))?;
    let answer = good(sender.send_request(req).await?)?;
    let (got, _) = digest(answer.into_body(), Duration::ZERO).await?;
    same("h2 download", &got, &content::digest(seed, size))?;
    Ok(size)
}

/// Takes one frame, and resets the stream.
async fn cancel(mut sender: Sender, seed: u64) -> anyhow::Result<u64> {
    let target = format!("/bytes?seed={seed}&size=10000000");
    let req = request(Method::GET, &target, Content::held(""))?;
    let mut answer = good(sender.send_request(req).await?)?;
    let frame = answer.frame().await.transpose()?;
    Ok(frame.and_then(|frame| frame.into_data().ok()).map_or(0, |data| data.len() as u64))
}
