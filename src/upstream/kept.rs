//! The HTTP/2 connections to the origin, and which of them takes a new request.
//!
//! The rule: a request has a place on a connection from before it is sent until it and its answer
//! are over, and a connection has no more places than the origin takes requests at once. What is
//! more would wait on it behind answers that may never end.

use super::link::Heard;
use crate::http::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http2};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Requests of one connection at once, where the origin takes as many: what they share is lost
/// together.
const MOST: usize = 100;

/// A connection that owes answers and says nothing for so long gets no more requests until it says
/// something: it may be dead. An origin that is only slow has answered a ping by then.
const QUIET: Duration = Duration::from_secs(7);

/// Sends a request on one HTTP/2 connection.
#[derive(Debug)]
pub(super) struct Sender {
    /// Takes the request.
    inner: http2::SendRequest<Body>,
    /// To be kept until neither the request nor its answer needs it.
    pub(super) place: Arc<Place>,
}

impl Sender {
    /// Cancel safe: dropping it ends the request.
    pub(super) fn send(
        &mut self,
        req: Request<Body>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Body>>>> + use<> {
        self.inner.try_send_request(req)
    }
}

/// One request's place on a connection, until it is dropped.
#[derive(Debug)]
pub(super) struct Place(Arc<Load>);

impl Place {
    fn new(load: &Arc<Load>) -> Self {
        load.running.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(load))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
        self.0.freed.notify_one();
    }
}

/// How much a connection has to do.
#[derive(Debug)]
pub(super) struct Load {
    /// Requests that aren't over. Raised under [`Kept`]'s lock only, so that two can't take the
    /// last place.
    running: AtomicUsize,
    /// As many as it takes at once.
    most: AtomicUsize,
    /// Rings when one is over, whichever connection it was on.
    freed: Arc<Notify>,
}

impl Load {
    /// The origin takes so many requests at once.
    pub(super) fn allow(&self, most: usize) {
        // One that takes none for now is asked all the same: it may say otherwise at any time.
        self.most.store(most.clamp(1, MOST), Ordering::Relaxed);
    }

    fn running(&self) -> usize {
        self.running.load(Ordering::Relaxed)
    }
}

/// A connection that takes requests.
#[derive(Debug)]
struct Conn {
    /// Takes them.
    inner: http2::SendRequest<Body>,
    /// How many it has.
    load: Arc<Load>,
    /// Since when there is one.
    opened: Instant,
    /// When it last took one.
    used: Instant,
    /// Whether it has said anything since the last look.
    heard: Heard,
    /// When it was last seen to owe nothing, or to have said something.
    alive: Instant,
}

impl Conn {
    /// True if it is closed, or has been idle for longer than `limit`: something between may have
    /// forgotten it.
    fn is_over(&self, now: Instant, limit: Duration) -> bool {
        let idle = self.load.running() == 0 && now.duration_since(self.used) >= limit;
        idle || self.inner.is_closed()
    }

    /// Notes whether it has said anything.
    fn look(&mut self, now: Instant) {
        if self.load.running() == 0 || self.heard.anything() {
            self.heard.forget();
            self.alive = now;
        }
    }

    /// True if it should have said something.
    fn is_quiet(&self, now: Instant) -> bool {
        now.duration_since(self.alive) > QUIET
    }

    /// True if it can take one more request.
    fn has_room(&self, now: Instant) -> bool {
        self.load.running() < self.load.most.load(Ordering::Relaxed) && !self.is_quiet(now)
    }

    fn sender(&mut self, now: Instant) -> Sender {
        self.used = now;
        Sender { inner: self.inner.clone(), place: Arc::new(Place::new(&self.load)) }
    }
}

/// The connections for new requests. Clones share them.
#[derive(Clone, Debug)]
pub(super) struct Kept(Arc<Shared>);

/// See [`Kept`].
#[derive(Debug)]
struct Shared {
    /// Oldest first. Held for a look at each, of which there are few.
    conns: Mutex<Vec<Conn>>,
    /// Rings when a request is over.
    freed: Arc<Notify>,
    /// Longer idle ones are let go of.
    limit: Duration,
}

impl Kept {
    /// Keeps idle connections for `limit`.
    pub(super) fn new(limit: Duration) -> Self {
        Self(Arc::new(Shared { conns: Mutex::default(), freed: Arc::default(), limit }))
    }

    /// Of a connection to come, that has nothing to do yet.
    pub(super) fn load(&self) -> Arc<Load> {
        let freed = Arc::clone(&self.0.freed);
        Arc::new(Load { running: AtomicUsize::new(0), most: AtomicUsize::new(MOST), freed })
    }

    /// Waits until a request is over, which may leave room for another. Cancel safe.
    pub(super) async fn freed(&self) {
        self.0.freed.notified().await;
    }

    /// True if there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.conns().is_empty()
    }

    fn conns(&self) -> MutexGuard<'_, Vec<Conn>> {
        self.0.conns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For one more request, if a connection has room for it, of those opened `after` an instant
    /// where one is named. The oldest that has, so that those opened for a rush become idle after
    /// it.
    pub(super) fn take(&self, after: Option<Instant>) -> Option<Sender> {
        let now = Instant::now();
        let mut conns = self.conns();
        self.look(&mut conns, now);
        let fits = |conn: &&mut Conn| conn.has_room(now) && Some(conn.opened) >= after;
        conns.iter_mut().find(fits).map(|conn| conn.sender(now))
    }

    /// For one more request, where no connection has room for it and no other can be had.
    pub(super) fn crowd(&self) -> Option<Sender> {
        let now = Instant::now();
        let mut conns = self.conns();
        self.look(&mut conns, now);
        let best = conns.iter_mut().min_by_key(|conn| (conn.is_quiet(now), conn.load.running()));
        best.map(|conn| conn.sender(now))
    }

    /// Keeps a new connection, and takes it for one request. What is `heard` on it is noted there.
    pub(super) fn keep(
        &self,
        inner: http2::SendRequest<Body>,
        load: Arc<Load>,
        heard: Heard,
    ) -> Sender {
        let now = Instant::now();
        let mut conn = Conn { inner, load, opened: now, used: now, heard, alive: now };
        let sender = conn.sender(now);
        self.conns().push(conn);
        sender
    }

    /// Gives no more requests to the connection that has this load. What goes on with it goes on.
    pub(super) fn forget(&self, load: &Arc<Load>) {
        self.conns().retain(|conn| !Arc::ptr_eq(&conn.load, load));
    }

    /// As [`Kept::forget`], of the connection that this place is on.
    pub(super) fn leave(&self, place: &Place) {
        self.forget(&place.0);
    }

    /// Lets go of connections that are closed or were idle for too long.
    pub(super) fn sweep(&self) {
        self.look(&mut self.conns(), Instant::now());
    }

    fn look(&self, conns: &mut Vec<Conn>, now: Instant) {
        conns.retain_mut(|conn| {
            conn.look(now);
            !conn.is_over(now, self.0.limit)
        });
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

#[cfg(test)]
mod tests {
    use super::*;
    use hyper_util::rt::{TokioExecutor, TokioIo};

    const IDLE: Duration = Duration::from_secs(60);

    /// A connection that takes `most` requests, kept in `kept` and taken for one. It lives as long
    /// as what it returns beside.
    async fn keep(kept: &Kept, most: usize) -> (Sender, Heard, impl Sized) {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let opened = http2::handshake(TokioExecutor::new(), TokioIo::new(ours)).await;
        let (inner, driver) = opened.unwrap();
        let (load, heard) = (kept.load(), Heard::default());
        load.allow(most);
        (kept.keep(inner, load, heard.clone()), heard, (driver, theirs))
    }

    fn same(a: &Sender, b: &Sender) -> bool {
        Arc::ptr_eq(&a.place.0, &b.place.0)
    }

    #[tokio::test(start_paused = true)]
    async fn the_oldest_that_has_room_is_taken() {
        let kept = Kept::new(IDLE);
        assert!(kept.take(None).is_none());
        let (a, _, _a) = keep(&kept, 2).await;
        let (b, _, _b) = keep(&kept, 2).await;
        let more = [kept.take(None).unwrap(), kept.take(None).unwrap()];
        assert!(same(&a, &more[0]) && same(&b, &more[1]));
        assert!(kept.take(None).is_none());
        drop(more);
        assert!(same(&a, &kept.take(None).unwrap()));
    }

    #[tokio::test(start_paused = true)]
    async fn over_its_number_the_least_busy_that_speaks_is_taken() {
        let kept = Kept::new(IDLE);
        assert!(kept.crowd().is_none());
        let (a, heard, _a) = keep(&kept, 1).await;
        let (b, _, _b) = keep(&kept, 1).await;
        let more = [kept.crowd().unwrap(), kept.crowd().unwrap()];
        assert!(same(&a, &more[0]) && same(&b, &more[1]));
        drop(b);
        assert!(same(&more[1], &kept.crowd().unwrap()));
        tokio::time::sleep(QUIET * 2).await;
        heard.note();
        assert!(same(&a, &kept.crowd().unwrap()));
        kept.leave(&a.place);
        assert!(same(&more[1], &kept.crowd().unwrap()));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_owes_answers_and_says_nothing_is_not_taken() {
        let kept = Kept::new(IDLE);
        let (a, heard, _a) = keep(&kept, 9).await;
        for _ in 0..3 {
            tokio::time::sleep(QUIET).await;
            assert!(kept.take(None).is_some());
            heard.note();
        }
        assert!(kept.take(None).is_some());
        tokio::time::sleep(QUIET + Duration::from_millis(1)).await;
        assert!(kept.take(None).is_none());
        heard.note();
        assert!(kept.take(None).is_some());
        // One that owes nothing may be silent.
        drop(a);
        tokio::time::sleep(IDLE / 2).await;
        assert!(kept.take(None).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_one_is_let_go_of_and_one_at_work_is_not() {
        let kept = Kept::new(IDLE);
        let (a, heard, _a) = keep(&kept, 9).await;
        tokio::time::sleep(IDLE * 2).await;
        heard.note();
        assert!(kept.take(None).is_some());
        tokio::time::sleep(IDLE).await;
        drop(a);
        kept.sweep();
        assert!(kept.conns().is_empty());
    }
}
