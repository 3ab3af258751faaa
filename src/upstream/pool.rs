//! Idle HTTP/1.1 connections to the origin.
//!
//! The rule: a connection is in exactly one place, the pool or a request; whoever has it drives it.
//! So no task of its own is woken for each message, and a request that is dropped takes its
//! connection along.

use super::link::{Heard, Line};
use crate::http::Body;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::cell::Cell;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::time::Instant;

thread_local! {
    /// Which shard this thread uses.
    static SHARD: Cell<usize> = const { Cell::new(0) };
}

/// Makes the calling thread use a shard of its own, so that its connections' sockets stay with its
/// event loop.
pub fn use_shard(shard: usize) {
    SHARD.set(shard);
}

/// One HTTP/1.1 connection.
pub(super) struct Conn {
    /// Takes requests.
    pub(super) sender: http1::SendRequest<Body>,
    /// Moves the bytes while it is polled.
    pub(super) driver: http1::Connection<TokioIo<Line>, Body>,
    /// Since when it is idle.
    since: Instant,
    /// It has brought an answer.
    pub(super) served: bool,
    /// Whether it has said anything since the last request.
    pub(super) heard: Heard,
}

impl Conn {
    pub(super) fn new(
        sender: http1::SendRequest<Body>,
        driver: http1::Connection<TokioIo<Line>, Body>,
        heard: Heard,
    ) -> Box<Self> {
        Box::new(Self { sender, driver, since: Instant::now(), served: false, heard })
    }

    /// True if it could take a request now: what arrived while it was idle (its end, above all) is
    /// seen here.
    fn is_ready(&mut self, cx: &mut Context<'_>) -> bool {
        Pin::new(&mut self.driver).poll(cx).is_pending() && self.sender.is_ready()
    }
}

/// Idle connections, newest last. Clones share them.
#[derive(Clone)]
pub(super) struct Pool(Arc<Shards>);

/// Idle connections of one worker thread. Boxed, since they move in and out, a kilobyte each.
#[allow(clippy::vec_box, reason = "see above")]
type Shard = Vec<Box<Conn>>;

/// See [`Pool`].
struct Shards {
    /// One for each worker thread. Held for a push or a pop only.
    all: Box<[Mutex<Shard>]>,
    /// Longer idle ones are closed.
    idle: Duration,
    /// More than these aren't kept, per shard.
    most: usize,
}

impl Pool {
    pub(super) fn new(shards: usize, idle: Duration, most: usize) -> Self {
        let all = (0..shards.max(1)).map(|_| Mutex::default()).collect();
        Self(Arc::new(Shards { all, idle, most }))
    }

    fn shard(&self) -> MutexGuard<'_, Shard> {
        let n = SHARD.get() % self.0.all.len();
        self.0.all[n].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that was used last, if any lives.
    pub(super) fn take(&self, cx: &mut Context<'_>) -> Option<Box<Conn>> {
        let now = Instant::now();
        loop {
            let mut conn = self.shard().pop()?;
            if now.duration_since(conn.since) < self.0.idle && conn.is_ready(cx) {
                return Some(conn);
            }
        }
    }

    /// Takes one back whose message is over; one that can't take another request is closed.
    pub(super) fn give(&self, mut conn: Box<Conn>, cx: &mut Context<'_>) {
        if !conn.is_ready(cx) {
            return;
        }
        conn.since = Instant::now();
        conn.served = true;
        let mut shard = self.shard();
        if shard.len() < self.0.most {
            shard.push(conn);
        }
    }

    /// Closes what has been idle for too long or was closed by the origin, now and again. Never
    /// returns.
    pub(super) async fn sweep(self) {
        let every = (self.0.idle / 2).clamp(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            tokio::time::sleep(every).await;
            let now = Instant::now();
            let mut cx = Context::from_waker(Waker::noop());
            for shard in &self.0.all {
                let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
                shard.retain_mut(|conn| {
                    now.duration_since(conn.since) < self.0.idle && conn.is_ready(&mut cx)
                });
            }
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("idle", &self.0.idle).finish_non_exhaustive()
    }
}
