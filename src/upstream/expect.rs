//! Interim responses: what the origin says before its answer reaches the client, and a body whose
//! client asked first isn't fetched before the origin wants it.
//!
//! RFC 9110 §15.2: "A proxy MUST forward 1xx responses unless the proxy itself requested the
//! generation of the 1xx response."

use crate::http::{Body, BoxError, Interim, fields};
use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http::header::EXPECT;
use http::{Request, StatusCode, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::time::Sleep;

/// Many an origin never says 100: then the body is fetched after this, as browsers and curl do.
const PATIENCE: Duration = Duration::from_secs(1);

/// Prepares a request whose interim responses go to its client.
pub(super) fn prepare(mut req: Request<Body>) -> Request<Body> {
    // Only what can carry an interim response puts this here: not HTTP/1.0.
    let Some(interim) = req.extensions_mut().remove::<Interim>() else { return req };
    let gate = expects(&req).then(Gate::default);
    let opens = gate.clone();
    hyper::ext::on_informational(&mut req, move |response| {
        match &opens {
            // The server says it itself once the body is asked for.
            Some(gate) if response.status() == StatusCode::CONTINUE => gate.open(),
            _ => {
                let map = fields::strip_hop_by_hop(response.headers().clone());
                interim.say(response.status(), &map);
            }
        }
    });
    match gate {
        Some(gate) => req.map(|body| {
            let timer = Box::pin(tokio::time::sleep(PATIENCE));
            Body::boxed(Expected { body, gate, timer })
        }),
        None => req,
    }
}

/// RFC 9110 §10.1.1: "A server that receives a 100-continue expectation in an HTTP/1.0 request MUST
/// ignore that expectation."
fn expects(req: &Request<Body>) -> bool {
    let asked = req
        .headers()
        .get(EXPECT)
        .is_some_and(|value| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"100-continue"));
    asked && req.version() == Version::HTTP_11 && !req.body().is_end_stream()
}

/// Opens once. Clones share it.
#[derive(Clone, Default)]
struct Gate(Arc<State>);

/// See [`Gate`].
#[derive(Default)]
struct State {
    /// Whether it is open.
    open: AtomicBool,
    /// Who waits for it.
    waits: AtomicWaker,
}

impl Gate {
    fn open(&self) {
        self.0.open.store(true, Ordering::Release);
        self.0.waits.wake();
    }

    fn poll(&self, cx: &Context<'_>) -> bool {
        self.0.waits.register(cx.waker());
        self.0.open.load(Ordering::Acquire)
    }
}

/// A body that isn't asked for before the gate is open.
struct Expected {
    /// The body itself; polled, it makes the client send.
    body: Body,
    /// Opened by the origin's 100.
    gate: Gate,
    /// Opens it, too.
    timer: Pin<Box<Sleep>>,
}

impl HttpBody for Expected {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if !self.gate.poll(cx) {
            if self.timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            self.gate.open();
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
