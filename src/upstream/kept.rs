//! The HTTP/2 connection to the origin that takes new requests.

use crate::http::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http2};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Sends requests on one HTTP/2 connection. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    /// Takes the requests.
    inner: http2::SendRequest<Body>,
    /// Tells the connection from others.
    number: u64,
}

impl Sender {
    pub(super) fn new(inner: http2::SendRequest<Body>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { inner, number: NEXT.fetch_add(1, Ordering::Relaxed) }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Cancel safe: dropping it ends the request.
    pub(super) fn send(
        &mut self,
        req: Request<Body>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Body>>>> + use<> {
        self.inner.try_send_request(req)
    }
}

/// The connection for new requests, if there is one.
#[derive(Debug)]
pub(super) struct Kept {
    /// It, and when it last took a request. Held for a clone only.
    sender: Mutex<Option<(Sender, Instant)>>,
    /// One that took none for longer gets no more: something between may have forgotten it.
    limit: Duration,
}

impl Kept {
    pub(super) fn new(limit: Duration) -> Self {
        Self { sender: Mutex::default(), limit }
    }

    fn sender(&self) -> MutexGuard<'_, Option<(Sender, Instant)>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For one more request. What goes on with one that isn't kept any more goes on.
    pub(super) fn take(&self) -> Option<Sender> {
        let mut kept = self.sender();
        self.look(&mut kept);
        let (sender, used) = kept.as_mut()?;
        *used = Instant::now();
        Some(sender.clone())
    }

    pub(super) fn keep(&self, sender: Sender) {
        *self.sender() = Some((sender, Instant::now()));
    }

    /// Gives no more requests to the connection of this number.
    pub(super) fn forget(&self, number: u64) {
        self.sender().take_if(|(sender, _)| sender.number == number);
    }

    /// Lets go of a connection that is closed or was idle for too long.
    pub(super) fn sweep(&self) {
        self.look(&mut self.sender());
    }

    fn look(&self, kept: &mut Option<(Sender, Instant)>) {
        kept.take_if(|(sender, used)| sender.inner.is_closed() || used.elapsed() >= self.limit);
    }
}

/// What a failed request says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unserved {
    /// The origin may have acted on it.
    No,
    /// It was refused before anything was done.
    Request,
    /// The connection ended, perhaps of old age.
    Connection,
}

/// Whether a request that failed may have met nothing but a dying connection.
///
/// RFC 9113 §8.7: "The `REFUSED_STREAM` error code can be included in a `RST_STREAM` frame to
/// indicate that the stream is being closed prior to any processing having occurred." Any other
/// reset is the origin's answer to this very request.
pub(super) fn unserved(error: &hyper::Error) -> Unserved {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<h2::Error>() {
            return match error.reason() {
                Some(h2::Reason::REFUSED_STREAM) => Unserved::Request,
                _ if error.is_reset() => Unserved::No,
                _ => Unserved::Connection,
            };
        }
        source = error.source();
    }
    Unserved::Connection
}
