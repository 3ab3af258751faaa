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
    /// When a beat became due, and how many topic events must still go out before it: it vouches
    /// for them too.
    before_beat: Option<(Instant, usize)>,
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
        self.before_beat = Some((now, self.source.pending()));
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
        if let Some((due, _)) = self.before_beat
            && due.elapsed() > self.pace.beat / 2
        {
            // The reader stopped in between: what held then need not hold any more.
            self.ring(Instant::now());
            let _ = self.timer.as_mut().poll(cx);
        }
        if matches!(self.before_beat, Some((_, 0))) {
            self.before_beat = None;
            return Poll::Ready(Some(Frame { head: Bytes::new(), shared: frames::beat() }));
        }
        match self.source.poll_signal(cx) {
            Poll::Ready(Signal::Frame(frame)) => {
                self.before_beat =
                    self.before_beat.map(|(due, left)| (due, left.saturating_sub(1)));
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    /// Topic events by hand; a topic that becomes overdue is marked by the next audit.
    #[derive(Default)]
    struct Script {
        marks: VecDeque<&'static str>,
        overdue_after: Option<Instant>,
        left: Vec<&'static str>,
    }

    impl Source for Script {
        fn poll_signal(&mut self, _: &mut Context<'_>) -> Poll<Signal> {
            let Some(mark) = self.marks.pop_front() else { return Poll::Pending };
            Poll::Ready(Signal::Frame(Frame { head: Bytes::new(), shared: mark.into() }))
        }
        fn pending(&self) -> usize {
            self.marks.len()
        }
        fn leaving(&mut self, reason: &'static str) {
            self.left.push(reason);
        }
        fn audit(&mut self, now: Instant) {
            if self.overdue_after.take_if(|at| *at < now).is_some() {
                self.marks.push_back("stale");
            }
        }
    }

    fn stream(source: Script) -> EventStream<Script> {
        let pace = Pace {
            beat: Duration::from_secs(1),
            lifetime: Duration::from_millis(4500),
            retry: Duration::from_millis(200),
        };
        EventStream::new(source, Some(Bytes::from_static(b"hello")), pace)
    }

    async fn next(stream: &mut EventStream<Script>) -> String {
        let frame = std::future::poll_fn(|cx| stream.poll_frame(cx)).await;
        let text = frame.map(|frame| String::from_utf8_lossy(&frame.shared).into_owned());
        text.unwrap_or_default().lines().next().unwrap_or_default().to_owned()
    }

    #[tokio::test(start_paused = true)]
    async fn hello_beats_and_bye() {
        let (start, mut stream) = (Instant::now(), stream(Script::default()));
        assert_eq!(next(&mut stream).await, "hello");
        for second in 1..=4 {
            assert_eq!(next(&mut stream).await, "event: beat");
            assert_eq!(start.elapsed(), Duration::from_secs(second));
        }
        assert_eq!(next(&mut stream).await, "event: bye");
        assert_eq!(next(&mut stream).await, "");
        assert_eq!(stream.source.left, ["lifetime"]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_due_goes_before_the_beat() {
        let mut stream = stream(Script { marks: ["a", "b"].into(), ..Script::default() });
        tokio::time::sleep(Duration::from_secs(1)).await;
        for want in ["hello", "a", "b", "event: beat"] {
            assert_eq!(next(&mut stream).await, want);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stopped_gets_no_beat_for_what_held_before() {
        let overdue_after = Some(Instant::now() + Duration::from_millis(1200));
        let mut stream = stream(Script { marks: ["a"].into(), overdue_after, left: Vec::new() });
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(next(&mut stream).await, "hello");
        assert_eq!(next(&mut stream).await, "a");
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(next(&mut stream).await, "stale");
        assert_eq!(next(&mut stream).await, "event: beat");
    }
}
