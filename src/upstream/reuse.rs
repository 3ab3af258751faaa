//! Whether a connection had served before it failed.
//!
//! An origin may close an idle connection at the very instant a request is sent on it. Without us
//! the browser would notice and ask again; with us it would see a 502 that is nobody's fault.
//!
//! RFC 9110 §9.2.2: "A client SHOULD NOT automatically retry a request with a non-idempotent
//! method unless it has some means to know that the request semantics are actually idempotent" and
//! "A client SHOULD NOT automatically retry a failed automatic retry."

use crate::http::Body;
use http::{Extensions, Request, Response, request::Parts};
use http_body::Body as _;
use hyper_util::client::legacy::connect::{CaptureConnection, HttpInfo, capture_connection};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bits of one word.
const WORD: usize = 64;

/// Local ports of connections that have brought an answer: one bit per port, 8 KB for good, without
/// a lock. A port may come back as a fresh connection's; the worst of it is one more idempotent
/// try.
#[derive(Clone, Debug)]
pub(super) struct Served(Arc<[AtomicU64]>);

impl Default for Served {
    fn default() -> Self {
        let words = (usize::from(u16::MAX) + 1) / WORD;
        Self((0..words).map(|_| AtomicU64::new(0)).collect())
    }
}

impl Served {
    /// The connection of this answer has served.
    pub(super) fn note<B>(&self, response: &Response<B>) {
        if let Some((word, bit)) = response.extensions().get().and_then(|info| self.at(info)) {
            word.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// True if the connection that was taken had served before. Forgets it: it is gone.
    pub(super) fn had(&self, taken: &CaptureConnection) -> bool {
        let mut extras = Extensions::new();
        if let Some(connected) = taken.connection_metadata().as_ref() {
            connected.get_extras(&mut extras);
        }
        extras
            .get()
            .and_then(|info| self.at(info))
            .is_some_and(|(word, bit)| word.fetch_and(!bit, Ordering::Relaxed) & bit != 0)
    }

    fn at(&self, info: &HttpInfo) -> Option<(&AtomicU64, u64)> {
        let port = usize::from(info.local_addr().port());
        Some((self.0.get(port / WORD)?, 1 << (port % WORD)))
    }
}

/// What a second try needs, kept from the first.
pub(super) struct Again {
    /// The head.
    parts: Parts,
    /// Which connection the first try takes.
    pub(super) taken: CaptureConnection,
}

impl Again {
    /// Keeps what a second try needs, if one is allowed: an idempotent method, and no body that
    /// the first try uses up.
    pub(super) fn of(req: &mut Request<Body>) -> Option<Self> {
        if !(req.method().is_idempotent() && req.body().is_end_stream()) {
            return None;
        }
        let taken = capture_connection(req);
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = req.method().clone();
        parts.uri = req.uri().clone();
        parts.headers = req.headers().clone();
        parts.extensions = req.extensions().clone();
        Some(Self { parts, taken })
    }

    /// The second try.
    pub(super) fn request(self) -> Request<Body> {
        Request::from_parts(self.parts, Body::Empty)
    }
}
