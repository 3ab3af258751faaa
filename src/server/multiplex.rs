//! What an HTTP/2 connection's many requests cost, and when it has cost enough: requests that are
//! open, requests that were called off, and clients that take nothing.
//!
//! The rule: whether a client holds up an answer, or the origin does, shows in what the HTTP
//! library asked for last. It asks for a piece of the body only when the client's window has room,
//! so that an answer whose last piece was given and which isn't asked again waits for the client.

use crate::drain::Drain;
use crate::http::{Body, BoxError};
use crate::silence::Silence;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// Requests that a client may call off before it must have finished as many. Whoever calls off more
/// makes the origin work and takes nothing (CVE-2023-44487, rapid reset).
const CALLED_OFF: u64 = 256;

thread_local! {
    /// What the body said that was polled last in this poll of its task.
    static SAID: Cell<Said> = const { Cell::new(Said::Nothing) };
}

/// See [`SAID`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    /// It wasn't asked.
    Nothing,
    /// It gave a piece.
    Piece,
    /// It has none at present.
    Later,
}

/// The requests of one connection. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests(Arc<Counts>);

/// See [`Requests`].
#[derive(Debug, Default)]
struct Counts {
    /// Begun, for good.
    begun: AtomicU64,
    /// Answered to the last byte.
    finished: AtomicU64,
    /// Ended before that.
    called_off: AtomicU64,
}

impl Requests {
    /// One more.
    pub(super) fn begin(&self) -> Open {
        self.0.begun.fetch_add(1, Ordering::Relaxed);
        Open { requests: self.clone(), finished: AtomicBool::new(false) }
    }

    /// How many have begun.
    pub(super) fn begun(&self) -> u64 {
        self.0.begun.load(Ordering::Relaxed)
    }

    /// True if none is open.
    pub(super) fn is_idle(&self) -> bool {
        self.begun() == self.finished() + self.called_off()
    }

    /// True if the client calls off more than it lets finish, by so many times what is fair.
    pub(super) fn is_abuse(&self, times: u64) -> bool {
        self.called_off() > times * CALLED_OFF + self.finished()
    }

    fn finished(&self) -> u64 {
        self.0.finished.load(Ordering::Relaxed)
    }

    fn called_off(&self) -> u64 {
        self.0.called_off.load(Ordering::Relaxed)
    }
}

/// A request that is open until this drops.
#[derive(Debug)]
pub(super) struct Open {
    /// Where it is counted.
    requests: Requests,
    /// Set when the answer's last byte has been given.
    finished: AtomicBool,
}

impl Open {
    /// One more of the same connection.
    pub(super) fn beside(&self) -> Self {
        self.requests.begin()
    }

    /// The answer has no more bytes.
    pub(super) fn finish(&self) {
        self.finished.store(true, Ordering::Relaxed);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let counts = &self.requests.0;
        let count = if *self.finished.get_mut() { &counts.finished } else { &counts.called_off };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// An answer's body that says how its request ends and who waits for whom.
pub(super) struct Told {
    /// The body itself.
    body: Body,
    /// Ends with it.
    open: Open,
}

impl Told {
    pub(super) fn new(body: Body, open: Open) -> Self {
        if body.is_end_stream() {
            // hyper won't ask it for anything.
            open.finish();
        }
        Self { body, open }
    }
}

impl HttpBody for Told {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        SAID.set(if frame.is_ready() { Said::Piece } else { Said::Later });
        // A failure is the origin's, not the client's.
        let ends = matches!(frame, Poll::Ready(None | Some(Err(_))));
        if ends || (frame.is_ready() && self.body.is_end_stream()) {
            self.open.finish();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Spawns each request as a task that leaving waits for, and ends it when its client takes nothing.
#[derive(Clone)]
pub(super) struct Spawner {
    /// Tracks the tasks.
    pub(super) drain: Drain,
    /// `timeouts.client_write`.
    pub(super) patience: Duration,
}

impl<F> hyper::rt::Executor<F> for Spawner
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        self.drain.spawn(patient(task, self.patience));
    }
}

/// Runs the task of one request; gives it up, which resets its stream, if the client's window stays
/// shut for `limit`.
async fn patient<F: Future>(task: F, limit: Duration) {
    let mut task = pin!(task);
    let mut silence = Silence::new(limit);
    let mut shut = false;
    poll_fn(|cx| {
        SAID.set(Said::Nothing);
        if task.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        match SAID.get() {
            Said::Nothing => {}
            Said::Later => shut = false,
            Said::Piece => {
                shut = true;
                silence.broken();
            }
        }
        if shut { silence.poll_over(cx) } else { Poll::Pending }
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::stream::unfold;
    use http_body_util::{BodyExt as _, StreamBody};
    use std::convert::Infallible;
    use tokio::time::{Instant, sleep, timeout};

    const LIMIT: Duration = Duration::from_secs(10);

    fn body(gap: Duration, pieces: u64) -> Told {
        let stream = unfold(0, move |n| async move {
            sleep(gap).await;
            (n < pieces).then(|| (Ok::<_, Infallible>(Frame::data(Bytes::from("x"))), n + 1))
        });
        Told::new(Body::boxed(StreamBody::new(stream)), Requests::default().begin())
    }

    #[tokio::test(start_paused = true)]
    async fn an_origin_may_be_slow_and_a_client_may_not() {
        let start = Instant::now();
        patient(body(LIMIT * 3, 3).collect(), LIMIT).await;
        assert_eq!(start.elapsed(), LIMIT * 12);
        let start = Instant::now();
        let shut = async {
            let mut body = body(Duration::ZERO, 9);
            body.frame().await;
            std::future::pending::<()>().await;
        };
        patient(shut, LIMIT).await;
        assert!(start.elapsed() <= LIMIT * 2, "{:?}", start.elapsed());
        // Without an answer there is nothing to take.
        assert!(timeout(LIMIT * 9, patient(std::future::pending::<()>(), LIMIT)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_called_off_is_counted() {
        let requests = Requests::default();
        assert!(requests.is_idle());
        let open = requests.begin();
        assert!(!requests.is_idle());
        drop(open);
        assert!(requests.is_idle());
        Told::new(Body::from("x"), requests.begin()).collect().await.unwrap();
        drop(Told::new(Body::Empty, requests.begin()));
        assert_eq!((requests.begun(), requests.finished(), requests.called_off()), (3, 2, 1));
        for _ in 0..=CALLED_OFF {
            assert!(!requests.is_abuse(1));
            drop(requests.begin());
        }
        drop(requests.begin());
        assert!(requests.is_abuse(1));
    }
}
