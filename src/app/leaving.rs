//! The way out: in which order, and how long each step takes.
//!
//! Readiness goes off; `timeouts.unready` later nothing new is let in. Streams are told `bye` and
//! tunnels are cut, each at a moment of its own; every answer says that its connection closes;
//! connections that stay idle are closed last. What isn't finished after `timeouts.drain` is cut.

use super::Proxy;
use crate::config::Timeouts;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// When a stream that was told `drain` comes back: the next generation, or another replica, is
/// there by then.
const RETRY: Duration = Duration::from_millis(500);

/// Partings are no closer than this on average, or else as close as the time for leaving forces
/// them to be: each means a new connection and a stream request somewhere else.
const BETWEEN_PARTINGS: Duration = Duration::from_millis(5);

/// What is idle waits so long for a request that may be on its way. RFC 9112 §9.5: "A client,
/// server, or proxy MAY close the transport connection at any time", and a client that sends at
/// that very instant can't tell whether a POST was processed.
const LAST_CHANCE: Duration = Duration::from_secs(1);

/// How long a probe may take at the very end.
const PROBE: Duration = Duration::from_secs(1);

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// In order, or because `timeouts.drain` was over.
    InOrder,
    /// A second signal came.
    Cut,
}

/// SIGTERM and SIGINT, which count alike.
pub(super) struct Told {
    terminate: Signal,
    interrupt: Signal,
}

impl Told {
    /// Signals are kept from now on.
    ///
    /// # Errors
    /// The process may not handle signals.
    pub(super) fn new() -> anyhow::Result<Self> {
        let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
        Ok(Self { terminate: signal(terminate)?, interrupt: signal(interrupt)? })
    }

    /// Resolves at the next one. Cancel safe.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

impl Proxy {
    /// Leaves in order, or at once if told a second time.
    pub(super) async fn leave(self, times: Timeouts, mut told: Told) -> Left {
        self.ready.not("leaving");
        tracing::info!("leaving");
        self.manager.stopping(times.unready + times.drain + 2 * PROBE);
        tokio::select! {
            () = self.finish(times) => Left::InOrder,
            () = told.next() => {
                tracing::warn!("told a second time: what isn't finished is cut");
                Left::Cut
            }
        }
    }

    async fn finish(&self, times: Timeouts) {
        if !times.unready.is_zero() {
            tokio::time::sleep(times.unready).await;
        }
        let window = window(self.drain.tasks(), times.drain);
        // In this order: a stream that opens meanwhile is either told, or sees that it is too late.
        self.drain.refuse(window);
        let finished = async {
            let idle = async {
                tokio::time::sleep(LAST_CHANCE.min(times.drain / 4)).await;
                self.drain.close();
            };
            tokio::join!(self.hub.part("drain", RETRY, window), idle);
            self.drain.left().await;
        };
        if tokio::time::timeout(times.drain, finished).await.is_err() {
            tracing::warn!("not everything was finished within timeouts.drain");
        }
        self.desk.leave();
        // A probe that is being answered; one that hangs changes nothing.
        let _ = tokio::time::timeout(PROBE, self.desk.left()).await;
    }
}

/// Over how long partings are spread. Few need no spreading; many get two thirds of the time, since
/// the last of them must still hear it.
fn window(tasks: usize, grace: Duration) -> Duration {
    let tasks = u32::try_from(tasks).unwrap_or(u32::MAX);
    BETWEEN_PARTINGS.saturating_mul(tasks).min(grace * 2 / 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_go_soon_and_many_take_two_thirds_of_the_time() {
        let grace = Duration::from_secs(30);
        assert_eq!(window(0, grace), Duration::ZERO);
        assert_eq!(window(200, grace), Duration::from_secs(1));
        assert_eq!(window(10_000, grace), Duration::from_secs(20));
        assert_eq!(window(usize::MAX, Duration::ZERO), Duration::ZERO);
    }
}
