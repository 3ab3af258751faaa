//! One stream after the other: what a page does with docs/PROTOCOL.md.

use super::Book;
use super::board::PATH;
use super::client::Client;
use anyhow::Context as _;
use pollcast::delta::{Op, apply};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often the page would poll.
const EVERY_MS: u64 = 500;

/// A page. Clones are the same one.
#[derive(Clone, Default)]
pub struct Viewer {
    /// The number on the board, as this page shows it; read by whoever waits for it.
    state: Arc<AtomicU64>,
}

/// What the page holds.
#[derive(Default)]
struct Held {
    body: String,
    hash: String,
}

impl Viewer {
    /// The number that is shown; 0 is none yet.
    pub fn state(&self) -> u64 {
        self.state.load(Ordering::SeqCst)
    }

    /// Opens stream after stream, for ever.
    pub async fn watch(self, front: SocketAddr, book: Book) {
        let mut held = Held::default();
        loop {
            match self.stream(front, &mut held, &book).await {
                Ok(retry) => tokio::time::sleep(retry).await,
                Err(error) => {
                    book.write(|tally| tally.cut += 1);
                    book.fault(format!("stream: {error:#}"));
                    tokio::time::sleep(Duration::from_millis(EVERY_MS)).await;
                }
            }
            book.write(|tally| tally.moved += 1);
        }
    }

    /// Reads one stream to its `bye`. Returns when to come back.
    async fn stream(
        &self,
        front: SocketAddr,
        held: &mut Held,
        book: &Book,
    ) -> anyhow::Result<Duration> {
        let mut client = Client::connect(front).await?;
        let topic = json!({"url": PATH, "have": held.hash, "every_ms": EVERY_MS});
        let body = json!({"client": "deploy", "topics": [topic]}).to_string();
        let request = format!(
            "POST /__pollcast/stream HTTP/1.1\r\nHost: app\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let head = client.begin(&request).await?;
        anyhow::ensure!(head.starts_with("http/1.1 200 "), "{head}");
        loop {
            let event = client.until("\n\n").await?;
            let (name, data) = split(&event).context("not an event")?;
            match name {
                "bye" => {
                    let retry = data["retry_ms"].as_u64().context("no retry")?;
                    return Ok(Duration::from_millis(retry));
                }
                "snapshot" | "delta" => self.show(held, &data, book)?,
                "hello" | "beat" | "current" => {}
                _ => anyhow::bail!("{event}"),
            }
        }
    }

    fn show(&self, held: &mut Held, data: &Value, book: &Book) -> anyhow::Result<()> {
        held.body = match data.get("ops") {
            Some(ops) => {
                anyhow::ensure!(data["from"] == held.hash.as_str(), "a delta from another state");
                apply(&held.body, &serde_json::from_value::<Vec<Op>>(ops.clone())?)?
            }
            None => data["body"].as_str().context("no body")?.to_owned(),
        };
        data["hash"].as_str().context("no hash")?.clone_into(&mut held.hash);
        let board: Value = serde_json::from_str(&held.body)?;
        let state = board["n"].as_u64().context("no number")?;
        if self.state.swap(state, Ordering::SeqCst) > state {
            book.write(|tally| tally.lost += 1);
            book.fault(format!("a stream went back to state {state}"));
        }
        Ok(())
    }
}

/// Name and JSON of an event.
fn split(event: &str) -> Option<(&str, Value)> {
    let name = event.strip_prefix("event: ")?.lines().next()?;
    let (_, data) = event.trim_end().rsplit_once("data: ")?;
    Some((name, serde_json::from_str(data).ok()?))
}
