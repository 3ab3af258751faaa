//! How long to wait for a response head while the request's body is still on its way.

use super::kept::Place;
use crate::http::{Body, BoxError, crossing};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

/// Counts the frames of a request body that the origin's connection has taken. Clones share the
/// count.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Option<Arc<Counts>>);

/// See [`Progress`].
#[derive(Debug, Default)]
struct Counts {
    /// Frames taken.
    frames: AtomicU64,
    /// No more will be.
    over: AtomicBool,
    /// It ended before its end.
    broke: AtomicBool,
    /// Kept for as long as the body is.
    place: OnceLock<Arc<Place>>,
}

impl Progress {
    /// The same body, counted. A body that is in hand has nothing to wait for, and isn't wrapped.
    pub(super) fn of(body: Body) -> (Self, Body) {
        match body {
            Body::Empty | Body::Full(_) => (Self(None), body),
            moving if moving.is_end_stream() => (Self(None), moving),
            moving => {
                let counts = Arc::<Counts>::default();
                let counted = Counted { body: moving, counts: Arc::clone(&counts) };
                (Self(Some(counts)), Body::Boxed(Box::pin(counted)))
            }
        }
    }

    /// Keeps a place on a connection until nothing of the body is left, which may be after the
    /// answer's end.
    pub(super) fn hold(&self, place: &Arc<Place>) {
        if let Some(counts) = &self.0 {
            counts.place.get_or_init(|| Arc::clone(place));
        }
    }

    /// Number of frames taken so far.
    pub(super) fn frames(&self) -> u64 {
        self.0.as_ref().map_or(0, |counts| counts.frames.load(Ordering::Relaxed))
    }

    /// True once nothing of the body is left to send.
    pub(super) fn is_over(&self) -> bool {
        self.0.as_ref().is_none_or(|counts| counts.over.load(Ordering::Relaxed))
    }

    /// True if the body broke off: what follows from that is the client's doing.
    pub(super) fn broke(&self) -> bool {
        self.0.as_ref().is_some_and(|counts| counts.broke.load(Ordering::Relaxed))
    }

    /// Waits for `answer`, but at most `limit` after the last sign of life in the body: a long
    /// upload isn't a slow origin. `None` if the time is over. Cancel safe: dropping it drops
    /// `answer`.
    pub(super) async fn wait<T>(
        &self,
        answer: impl Future<Output = T>,
        limit: Duration,
    ) -> Option<T> {
        let mut answer = pin!(answer);
        loop {
            let before = self.frames();
            if let Ok(answer) = tokio::time::timeout(limit, &mut answer).await {
                return Some(answer);
            }
            if self.frames() == before {
                return None;
            }
        }
    }
}

/// A body that counts its frames.
struct Counted {
    /// The body itself.
    body: Body,
    /// Where its frames are counted.
    counts: Arc<Counts>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx).map_ok(crossing);
        if let Poll::Ready(frame) = &frame {
            self.counts.frames.fetch_add(1, Ordering::Relaxed);
            if matches!(frame, Some(Err(_))) {
                self.counts.broke.store(true, Ordering::Relaxed);
            }
            if frame.is_none() || self.body.is_end_stream() {
                self.counts.over.store(true, Ordering::Relaxed);
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use std::convert::Infallible;

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_moves_is_waited_for_and_a_silent_origin_is_not() {
        let start = tokio::time::Instant::now();
        let slow = futures_util::stream::unfold(0, |n| async move {
            tokio::time::sleep(Duration::from_secs(6)).await;
            (n < 3).then(|| (Ok::<_, Infallible>(Frame::data(Bytes::from_static(b"x"))), n + 1))
        });
        let (progress, body) = Progress::of(Body::boxed(http_body_util::StreamBody::new(slow)));
        let origin = async {
            let _ = body.collect().await;
            std::future::pending::<()>().await
        };
        assert_eq!(progress.wait(origin, Duration::from_secs(10)).await, None);
        assert_eq!(start.elapsed(), Duration::from_secs(40));
    }
}
