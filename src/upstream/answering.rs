//! The body of an answer, which drives the connection that it comes on.

use super::kept::Place;
use super::pool::{Conn, Pool};
use crate::http::{Body, BoxError, crossing};
use crate::silence::Silence;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// A body on its way. Dropped before its end, it closes the connection: the origin learns that
/// nobody listens.
pub(super) struct Answering {
    /// What the connection delivers.
    incoming: Incoming,
    /// The connection, until the body is over, and the pool that it came from. `None` where
    /// something else drives it.
    line: Option<(Box<Conn>, Pool)>,
    /// Place on a connection of HTTP/2, until the body is over.
    place: Option<Arc<Place>>,
    /// Ends a body that doesn't move.
    silence: Silence,
    /// Why the body broke off, until it is told.
    broken: Option<BoxError>,
}

impl Answering {
    /// A body that drives `conn`, and gives it to `pool` when it is over.
    pub(super) fn on(conn: Box<Conn>, pool: Pool, incoming: Incoming, limit: Duration) -> Body {
        Self::body(incoming, limit, Some((conn, pool)), None)
    }

    /// A body whose connection is driven elsewhere, and its place there.
    pub(super) fn apart(incoming: Incoming, limit: Duration, place: Option<Arc<Place>>) -> Body {
        if incoming.is_end_stream() {
            return Body::Incoming(incoming);
        }
        Self::body(incoming, limit, None, place)
    }

    fn body(
        incoming: Incoming,
        limit: Duration,
        line: Option<(Box<Conn>, Pool)>,
        place: Option<Arc<Place>>,
    ) -> Body {
        let silence = Silence::new(limit);
        Body::Boxed(Box::pin(Self { incoming, line, place, silence, broken: None }))
    }

    fn next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let frame = Pin::new(&mut self.incoming).poll_frame(cx);
        let (Poll::Pending, Some((conn, _))) = (&frame, &mut self.line) else { return frame };
        if Pin::new(&mut conn.driver).poll(cx).is_ready() {
            // Closed by either side; what the body still has, or its error, is in `incoming`.
            self.line = None;
        }
        Pin::new(&mut self.incoming).poll_frame(cx)
    }
}

impl HttpBody for Answering {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Some(error) = this.broken.take() {
            return Poll::Ready(Some(Err(error)));
        }
        match this.next(cx) {
            Poll::Pending if this.silence.poll_over(cx).is_ready() => {
                this.line = None;
                Poll::Ready(Some(Err("the origin stopped in the middle of its answer".into())))
            }
            Poll::Ready(Some(Err(error))) => {
                this.line = None;
                // Told in the next round: the server drops what it hasn't written when it hears of
                // an error, and head and bytes that did come are the client's.
                this.broken = Some(error.into());
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
            Poll::Ready(frame) => {
                this.silence.broken();
                let over = !matches!(frame, Some(Ok(_))) || this.incoming.is_end_stream();
                if over {
                    this.place = None;
                }
                // A broken one isn't ready for another request, and is closed.
                if over && let Some((conn, pool)) = this.line.take() {
                    pool.give(conn, cx);
                }
                Poll::Ready(frame.map(|frame| frame.map(crossing).map_err(Into::into)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
