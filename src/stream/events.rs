//! One stream's life: hello, topic events, beats, bye.

use super::frames;
use crate::http::{Frame, Frames};
use bytes::Bytes;
use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Why a stream ends, and when the client should come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bye {
    /// `drain`, `off`, `lifetime`, `slow` or `empty`.
    pub reason: &'static str,
    /// When to come back.
    pub retry: Duration,
}

/// What a source has to say.
#[derive(Debug)]
pub enum Signal {
    /// An event about a topic.
    Frame(Frame),
    /// The stream ends.
    Bye(Bye),
}

/// A source of topic events. It keeps at most one pending mark per topic, so that a slow reader
/// holds no queue.
pub trait Source: Send {
    /// The next event; built only now, from the newest state. Cancel safe.
    fn poll_signal(&mut self, cx: &mut Context<'_>) -> Poll<Signal>;
    /// Number of events that are due.
    fn pending(&self) -> usize;
    /// Marks every topic that isn't verified within its bound, so that its `stale` comes before the
    /// beat.
    fn audit(&mut self, now: Instant);
    /// The stream ends for this reason; said once.
    fn leaving(&mut self, reason: &'static str);
}

/// How fast a stream's heart beats, and how long it lives.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between two beats.
    pub beat: Duration,
    /// The stream ends at the first beat after this.
    pub lifetime: Duration,
    /// When the client should come back after that.
    pub retry: Duration,
}

impl Pace {
    /// A client that hears nothing for this long must not answer polls.
    #[must_use]
    pub fn silence(&self) -> Duration {
        2 * self.beat + Duration::from_millis(500)
    }
}

/// A stream of events over a source.
pub struct EventStream<S> {
    /// Where topic events come from.
    source: S,
    /// Sent first.
    hello: Option<Bytes>,
    /// Times.
    pace: Pace,
    /// Rings for the next beat.
    timer: Pin<Box<Sleep>>,
    /// The stream ends at the first beat after this.
    ends: Instant,
    /// Topic events that must go out before the beat that is due: it vouches for them too.
    before_beat: Option<usize>,
    /// `bye` is out.
    done: bool,
}

impl<S: Source> EventStream<S> {
    /// A stream that begins with `hello`, if there is one.
    pub fn new(source: S, hello: Option<Bytes>, pace: Pace) -> Self {
        let now = Instant::now();
        let timer = Box::pin(tokio::time::sleep_until(now + pace.beat));
        let ends = now + pace.lifetime;
        Self { source, hello, pace, timer, ends, before_beat: None, done: false }
    }

    fn bye(&mut self, bye: Bye) -> Frame {
        self.done = true;
        self.source.leaving(bye.reason);
        Frame { head: Bytes::new(), shared: frames::bye(bye.reason, bye.retry) }
    }

    /// The beat's time has come: what is due now must go first.
    fn ring(&mut self, now: Instant) {
        self.source.audit(now);
        self.before_beat = Some(self.source.pending());
        // From now, not from when it was due: a slow reader isn't sent a burst of beats.
        self.timer.as_mut().reset(now + self.pace.beat);
    }
}

impl<S: Source> Frames for EventStream<S> {
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame>> {
        if self.done {
            return Poll::Ready(None);
        }
        if let Some(hello) = self.hello.take() {
            return Poll::Ready(Some(Frame { head: Bytes::new(), shared: hello }));
        }
        if self.before_beat.is_none() && self.timer.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if now >= self.ends {
                let bye = Bye { reason: "lifetime", retry: self.pace.retry };
                return Poll::Ready(Some(self.bye(bye)));
            }
            self.ring(now);
            // Polled again so that the timer wakes this task for the beat after.
            let _ = self.timer.as_mut().poll(cx);
        }
        if self.before_beat == Some(0) {
            self.before_beat = None;
            return Poll::Ready(Some(Frame { head: Bytes::new(), shared: frames::beat() }));
        }
        match self.source.poll_signal(cx) {
            Poll::Ready(Signal::Frame(frame)) => {
                self.before_beat = self.before_beat.map(|left| left.saturating_sub(1));
                Poll::Ready(Some(frame))
            }
            Poll::Ready(Signal::Bye(bye)) => Poll::Ready(Some(self.bye(bye))),
            // Marks may come to nothing, and then nothing is left to go before the beat.
            Poll::Pending if self.before_beat.take().is_some() => {
                Poll::Ready(Some(Frame { head: Bytes::new(), shared: frames::beat() }))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}
