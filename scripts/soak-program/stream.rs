//! Pages: event streams on all topics, writers that change them, readers that stop for a while.
//!
//! Nothing may be lost: whatever a stream went through, it must reach the versions that the topics
//! had when the visit was over.

use crate::client::{Client, get, post, reset_on_close, same};
use crate::content::Content;
use crate::events::Page;
use crate::origin::{TOPICS, topic_body};
use crate::world::Visit;
use anyhow::Context as _;
use http_body_util::BodyExt as _;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The last state must be there after this: hints take milliseconds, a poll in doubt its timeout.
const LAST_STATE: Duration = Duration::from_secs(20);

/// A page that stays for some seconds.
pub async fn session(mut visit: Visit) -> anyhow::Result<u64> {
    let mut socket = open(&visit).await?;
    let mut held = Page::default();
    let stay = Duration::from_millis(visit.rng.u64(500..8000));
    read_for(&mut socket, &mut held, stay).await?;
    if visit.rng.u32(0..3) == 0 {
        // A tab that sleeps.
        tokio::time::sleep(Duration::from_millis(visit.rng.u64(500..3000))).await;
    }
    last_state(&visit, &mut socket, &mut held).await?;
    if visit.rng.bool() {
        reset_on_close(&socket)?;
    }
    Ok(held.states)
}

/// A page that stays until nobody writes any more.
pub async fn keeper(visit: Visit) -> anyhow::Result<u64> {
    let mut socket = open(&visit).await?;
    let mut held = Page::default();
    let mut quiet = visit.quiet.clone();
    tokio::select! {
        read = read_for(&mut socket, &mut held, Duration::MAX) => read?,
        _ = quiet.wait_for(|quiet| *quiet) => {}
    }
    last_state(&visit, &mut socket, &mut held).await?;
    Ok(held.states)
}

/// A page that writes, and reads what it wrote.
pub async fn writer(mut visit: Visit) -> anyhow::Result<u64> {
    let mut client = Client::connect(visit.proxy).await?;
    let mut crossed = 0;
    for _ in 0..visit.rng.u32(1..20) {
        let topic = visit.rng.usize(..TOPICS);
        let target = format!("/topic/{topic}");
        let answer = client.ask(post(&target, Content::held("{}"))?).await?;
        let wrote = version(answer.into_body().collect().await?.to_bytes().as_ref(), topic)?;
        let answer = client.ask(get(&target)?).await?;
        let read = version(answer.into_body().collect().await?.to_bytes().as_ref(), topic)?;
        anyhow::ensure!(read >= wrote, "read {read} after it wrote {wrote}");
        crossed += 2;
        tokio::time::sleep(Duration::from_millis(visit.rng.u64(0..400))).await;
    }
    Ok(crossed)
}

/// The version in a topic's body, all of which is checked.
fn version(body: &[u8], topic: usize) -> anyhow::Result<u64> {
    let json: serde_json::Value = serde_json::from_slice(body)?;
    let version = json["version"].as_u64().context("no version")?;
    same("topic", &body, &topic_body(topic, version).as_bytes())?;
    Ok(version)
}

async fn open(visit: &Visit) -> anyhow::Result<TcpStream> {
    let mut socket = TcpStream::connect(visit.proxy).await?;
    let topic = |n| serde_json::json!({"url": format!("/topic/{n}"), "every_ms": 2000});
    let topics: Vec<_> = (0..TOPICS).map(topic).collect();
    let body = serde_json::json!({"client": "soak", "topics": topics}).to_string();
    let head = format!(
        "POST /__pollcast/stream HTTP/1.1\r\nHost: soak.test\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    socket.write_all(head.as_bytes()).await?;
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(socket.read_u8().await.context("no answer to the stream request")?);
    }
    let answer = String::from_utf8(answer)?;
    anyhow::ensure!(answer.starts_with("HTTP/1.1 200 "), "no stream: {answer}");
    Ok(socket)
}

/// Reads for so long.
async fn read_for(socket: &mut TcpStream, held: &mut Page, stay: Duration) -> anyhow::Result<()> {
    let read = async {
        loop {
            read_some(socket, held).await?;
        }
    };
    tokio::time::timeout(stay, read).await.unwrap_or(Ok(()))
}

async fn read_some(socket: &mut TcpStream, held: &mut Page) -> anyhow::Result<()> {
    let mut buffer = [0; 4096];
    let n = socket.read(&mut buffer).await?;
    anyhow::ensure!(n > 0, "the stream ended");
    held.feed(&buffer[..n])
}

/// Reads until all is there that is there now.
async fn last_state(visit: &Visit, socket: &mut TcpStream, held: &mut Page) -> anyhow::Result<()> {
    let now: Vec<u64> =
        visit.versions.iter().map(|version| version.load(Ordering::SeqCst)).collect();
    let reach = async {
        while !held.reached(&now) {
            read_some(socket, held).await?;
        }
        anyhow::Ok(())
    };
    let reached = tokio::time::timeout(LAST_STATE, reach).await;
    let reached = reached.map_err(|_| anyhow::anyhow!("timed out"));
    reached
        .and_then(|read| read)
        .with_context(|| format!("the last state never came: {:?} of {now:?}", held.versions()))
}
