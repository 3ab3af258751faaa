//! An upload over HTTP/2 that stops. HTTP/1.1 has its own limit, at the socket ([`super::wire`]):
//! here other requests move on the same connection.

use crate::http::{Body, BoxError};
use crate::silence::Silence;
use bytes::Bytes;
use http::Request;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

/// Says whether an upload was given up. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct GivenUp(Arc<AtomicBool>);

impl GivenUp {
    /// True once nothing more is waited for.
    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// The client has stopped in the middle of its body.
#[derive(Debug, thiserror::Error)]
#[error("the request's body hasn't moved for timeouts.client_body")]
struct Stalled;

/// A body that is given up when somebody has waited for more of it for too long.
struct Upload {
    incoming: Incoming,
    silence: Silence,
    given_up: GivenUp,
}

/// Gives a request's body this long between any two pieces.
pub(super) fn limit(req: Request<Incoming>, limit: Duration) -> (Request<Body>, GivenUp) {
    let given_up = GivenUp::default();
    let req = req.map(|incoming| {
        if incoming.is_end_stream() {
            return Body::Incoming(incoming);
        }
        let given_up = given_up.clone();
        Body::boxed(Upload { incoming, silence: Silence::new(limit), given_up })
    });
    (req, given_up)
}

impl HttpBody for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.incoming).poll_frame(cx) {
            this.silence.broken();
            return Poll::Ready(frame.map(|frame| frame.map_err(Into::into)));
        }
        if this.silence.poll_over(cx).is_pending() {
            return Poll::Pending;
        }
        this.given_up.0.store(true, Ordering::Relaxed);
        Poll::Ready(Some(Err(Stalled.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
