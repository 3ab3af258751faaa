//! Idle HTTP/1.1 connections to the origin.
//!
//! The rule: a connection is in exactly one place, the pool or a request; whoever has it drives it.
//! So no task of its own is woken for each message, and a request that is dropped takes its
//! connection along.

use super::link::{Heard, Line};
use crate::http::Body;
use crate::silence::Silence;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;
use tokio::time::Instant;

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
    /// Waits for the head of an answer. Kept with the connection, so that a request costs no timer.
    pub(super) silence: Silence,
}

impl Conn {
    pub(super) fn new(
        sender: http1::SendRequest<Body>,
        driver: http1::Connection<TokioIo<Line>, Body>,
        heard: Heard,
        silence: Silence,
    ) -> Box<Self> {
        Box::new(Self { sender, driver, since: Instant::now(), served: false, heard, silence })
    }

    /// True if it could take a request now: what arrived while it was idle (its end, above all) is
    /// seen here.
    fn is_ready(&mut self, cx: &mut Context<'_>) -> bool {
        Pin::new(&mut self.driver).poll(cx).is_pending() && self.sender.is_ready()
    }
}

/// Idle connections, newest last. Clones share them.
#[derive(Clone)]
pub(super) struct Pool(Arc<Shared>);

/// See [`Pool`].
struct Shared {
    /// Held for a push or a pop only. Boxed, since they move in and out, a kilobyte each.
    #[allow(clippy::vec_box, reason = "see above")]
    idle: Mutex<Vec<Box<Conn>>>,
    /// Longer idle ones are closed.
    limit: Duration,
    /// More than these aren't kept.
    most: usize,
}

impl Pool {
    /// Keeps `most` connections for `limit` each.
    pub(super) fn new(limit: Duration, most: usize) -> Self {
        Self(Arc::new(Shared { idle: Mutex::default(), limit, most }))
    }

    #[allow(clippy::vec_box, reason = "see the field")]
    fn idle(&self) -> MutexGuard<'_, Vec<Box<Conn>>> {
        self.0.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one that was used last, if any lives.
    pub(super) fn take(&self, cx: &mut Context<'_>) -> Option<Box<Conn>> {
        let now = Instant::now();
        loop {
            let mut conn = self.idle().pop()?;
            if now.duration_since(conn.since) < self.0.limit && conn.is_ready(cx) {
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
        let mut idle = self.idle();
        if idle.len() < self.0.most {
            idle.push(conn);
        }
    }

    /// Closes what has been idle for too long or was closed by the origin.
    pub(super) fn sweep(&self) {
        let now = Instant::now();
        let mut cx = Context::from_waker(Waker::noop());
        self.idle().retain_mut(|conn| {
            now.duration_since(conn.since) < self.0.limit && conn.is_ready(&mut cx)
        });
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("limit", &self.0.limit).finish_non_exhaustive()
    }
}
