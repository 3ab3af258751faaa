//! Requests at a steady pace: GET and POST in turn, on kept and on fresh connections.

use super::Book;
use super::board::PATH;
use super::client::Client;
use anyhow::Context as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, MissedTickBehavior};

/// A request that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// Idle connections, the last used on top.
type Pool = Arc<Mutex<Vec<Client>>>;

/// Requests that go on until they are stopped.
pub struct Traffic {
    /// Says when to stop.
    going: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Traffic {
    /// Begins.
    #[allow(clippy::disallowed_methods, reason = "a program that measures, with nothing to drain")]
    pub fn start(front: SocketAddr, per_second: u32, book: Book) -> Self {
        let (going, until) = watch::channel(true);
        Self { going, task: tokio::spawn(send(front, per_second, book, until)) }
    }

    /// Begins no more, and waits for the last.
    pub async fn stop(self) {
        self.going.send_replace(false);
        // A panic in there would be a bug of this program; the tally shows it.
        let _ = self.task.await;
    }
}

async fn send(front: SocketAddr, per_second: u32, book: Book, mut until: watch::Receiver<bool>) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second.max(1));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let (pool, mut open) = (Pool::default(), JoinSet::new());
    for number in 0_u32.. {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = until.wait_for(|going| !going) => break,
        }
        while open.try_join_next().is_some() {}
        let (pool, book) = (Arc::clone(&pool), book.clone());
        open.spawn(async move {
            let start = Instant::now();
            let asked = tokio::time::timeout(PATIENCE, one(front, number, &pool)).await;
            let took = start.elapsed();
            match asked.context("no answer in time").flatten() {
                Ok(()) => book.write(|tally| {
                    tally.answered += 1;
                    tally.slowest = tally.slowest.max(took);
                }),
                Err(error) => {
                    book.write(|tally| tally.failed += 1);
                    book.fault(format!("request {number}: {error:#}"));
                }
            }
        });
    }
    open.join_all().await;
}

async fn one(front: SocketAddr, number: u32, pool: &Pool) -> anyhow::Result<()> {
    let fresh = number.is_multiple_of(2);
    let kept = if fresh { None } else { take(pool) };
    let mut client = match kept {
        Some(client) => client,
        None => Client::connect(front).await?,
    };
    let end = if fresh { "Connection: close\r\n" } else { "" };
    let (request, wanted) = match number % 20 / 2 {
        // One in ten is a write that streams see.
        0 => post(PATH, end, "{}"),
        1..5 => post("/echo", end, &"0123456789abcdef".repeat(1 + number as usize % 2000)),
        _ => {
            let target = format!("/page/{number}?x=%2F");
            (format!("GET {target} HTTP/1.1\r\nHost: app\r\n{end}\r\n"), target)
        }
    };
    let body = client.ask(&request).await?;
    anyhow::ensure!(body == wanted, "another body: {} bytes", body.len());
    if !fresh {
        pool.lock().unwrap_or_else(PoisonError::into_inner).push(client);
    }
    Ok(())
}

/// A connection that is still open.
fn take(pool: &Pool) -> Option<Client> {
    let mut pool = pool.lock().unwrap_or_else(PoisonError::into_inner);
    std::iter::from_fn(|| pool.pop()).find(Client::is_open)
}

/// A POST, and the answer it should get.
fn post(path: &str, end: &str, body: &str) -> (String, String) {
    let len = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: app\r\nContent-Length: {len}\r\n{end}\r\n");
    (head + body, body.to_owned())
}
