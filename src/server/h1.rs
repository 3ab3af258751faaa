//! HTTP/1.1, and the take-over of its socket.
//!
//! The rule: bytes of two writers never mix. hyper holds 16 KB of buffers for as long as it holds a
//! connection, too much for a stream that is idle most of its life, so a stream takes its socket
//! back. It may do so only at an instant when hyper is pending, waits for this very answer, and has
//! flushed all that it ever buffered ([`Signs::flushed`]): earlier answers on a pipelined
//! connection may still be on their way. A tunnel takes the socket when hyper is done with the 101.

use super::connection::{Accepted, Shared};
use super::event_stream::{EventStream, Start};
use super::transport::Transport;
use super::wire::{Signs, Wire};
use super::{Client, Handler, Reply, Settings, tunnel};
use crate::http::{Body, Frames, Interim};
use bytes::{Bytes, BytesMut};
use http::header::{CONNECTION, HeaderMap, HeaderValue};
use http::{Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future, pending, poll_fn, ready};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tokio::io::AsyncReadExt as _;

/// Room in a connection's buffer beyond the longest head: the gate's word on it comes before
/// hyper's, and hyper takes no less than this.
const BUFFER: usize = 8 << 10;

/// How long a client may go on sending what nobody will read.
const LINGER: Duration = Duration::from_secs(2);

/// Bytes of a stream that the kernel holds unsent.
const UNSENT: u32 = 64 << 10;

/// How HTTP/1.1 is spoken to clients.
pub(super) fn builder(settings: &Settings) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .preserve_header_case(true)
        // The origin's date crosses, or none: an answer crosses as it came.
        .auto_date_header(false)
        // A client that closes its side has left: what it asked for is cancelled.
        .half_close(false)
        .pipeline_flush(false)
        .timer(TokioTimer::new())
        .header_read_timeout(settings.client_head)
        .max_buf_size(settings.head + BUFFER);
    builder
}

/// What wants the socket.
enum Taken {
    /// An event stream.
    Stream(Response<()>, Box<dyn Frames>),
    /// A WebSocket.
    Tunnel(Upgraded),
}

/// What the service leaves for the driver to find. Touched by one task only; shared because hyper
/// owns the service.
#[derive(Clone, Default)]
struct Slot(Arc<Left>);

/// See [`Slot`].
#[derive(Default)]
struct Left {
    /// What wants the socket.
    taken: Mutex<Option<Taken>>,
    /// True if the last request had a body, of which the client may still be sending.
    upload: AtomicBool,
}

impl Slot {
    fn taken(&self) -> MutexGuard<'_, Option<Taken>> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wants_stream(&self) -> bool {
        matches!(*self.taken(), Some(Taken::Stream(..)))
    }
}

/// Answers the requests of one connection.
struct Answers<H> {
    /// Has the handler, and knows whether the process leaves.
    shared: Arc<Shared<H>>,
    /// The other end.
    client: Client,
    /// Where an answer that wants the socket goes.
    slot: Slot,
    /// Which request is refused.
    signs: Signs,
    /// Number of requests so far.
    seen: Cell<u64>,
    /// Writes what comes before an answer; one for all requests, which come one after the other.
    interim: Interim,
}

impl<H> Answers<H> {
    fn new(shared: Arc<Shared<H>>, client: Client, slot: Slot, signs: Signs) -> Self {
        let interims = signs.interims().clone();
        let interim = Interim::new(move |status, fields| interims.say(status, fields));
        Self { shared, client, slot, signs, seen: Cell::new(0), interim }
    }
}

impl<H: Handler> Service<Request<Incoming>> for Answers<H> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn call(&self, mut req: Request<Incoming>) -> Self::Future {
        let (shared, client, slot) = (Arc::clone(&self.shared), self.client, self.slot.clone());
        let (signs, request) = (self.signs.clone(), self.seen.get() + 1);
        self.seen.set(request);
        slot.0.upload.store(!req.body().is_end_stream(), Ordering::Relaxed);
        signs.interims().begin();
        // RFC 9110 §15.2: "a server MUST NOT send a 1xx response to an HTTP/1.0 client."
        if req.version() == Version::HTTP_11 {
            req.extensions_mut().insert(self.interim.clone());
        }
        if let Some(refusal) = signs.refused(request) {
            // It may have sent more than was looked at.
            slot.0.upload.store(true, Ordering::Relaxed);
            return Box::pin(ready(Ok(refusal.response())));
        }
        Box::pin(async move {
            let head_only = req.method() == Method::HEAD;
            let handshake = is_handshake(req.headers());
            match shared.handler.handle(req.map(Body::Incoming), client).await {
                Reply::Response(response) => Ok(match signs.refused(request) {
                    // What went wrong is known here better than by the handler, to which the body
                    // only broke off.
                    Some(refusal) if response.status() == StatusCode::BAD_REQUEST => {
                        refusal.response()
                    }
                    // One that leaves has no more to give: the client asks the next one.
                    _ if handshake || shared.drain.is_leaving() => last(response),
                    _ => response,
                }),
                // RFC 9110 §9.3.2: "the server MUST NOT send content in the response" to HEAD.
                Reply::Stream { head, .. } if head_only => Ok(head.map(|()| Body::Empty)),
                Reply::Stream { head, frames } => {
                    *slot.taken() = Some(Taken::Stream(head, frames));
                    // Never answered: the driver takes the socket away from under this future.
                    pending().await
                }
                Reply::Tunnel { head, origin } => {
                    *slot.taken() = Some(Taken::Tunnel(origin));
                    // hyper writes the 101, since only it knows the case of the origin's fields.
                    Ok(head.map(|()| Body::Empty))
                }
            }
        })
    }
}

/// True if the gate lets everything through behind this request.
fn is_handshake(fields: &HeaderMap) -> bool {
    crate::http::fields::offers_websocket(fields)
}

/// The last answer on its connection: what comes next has passed no gate.
fn last(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// Serves one connection until it ends or becomes a stream or a tunnel, which get a task of their
/// own: this one, with all of hyper in it, ends.
pub(super) async fn serve<H: Handler>(shared: Arc<Shared<H>>, accepted: Accepted) {
    let Accepted { transport, read, client, admission } = accepted;
    let Some((taken, transport, unread)) = drive(&shared, transport, read, client).await else {
        return;
    };
    match taken {
        Taken::Stream(head, frames) => {
            bound_unsent(transport.socket());
            let start = Start { head, frames, unread: unread.len() };
            let patience = shared.settings.write_timeout;
            let metrics = shared.metrics.clone();
            let stream = EventStream::new(transport, start, patience, metrics, admission);
            shared.drain.spawn(stream);
        }
        Taken::Tunnel(origin) => {
            let shared = Arc::clone(&shared);
            shared.clone().drain.spawn(async move {
                let _admission = admission;
                let client =
                    Wire::new(transport, unread, &shared.settings, false, Signs::default());
                tunnel::run(client, origin, shared.settings.upgrade, &shared.drain).await;
            });
        }
    }
}

/// Lets hyper speak. Returns what wants the socket, the socket, and the bytes that hyper read but
/// didn't use.
async fn drive<H: Handler>(
    shared: &Arc<Shared<H>>,
    transport: Transport,
    read: Bytes,
    client: Client,
) -> Option<(Taken, Transport, Bytes)> {
    let (slot, signs) = (Slot::default(), Signs::default());
    let answers = Answers::new(Arc::clone(shared), client, slot.clone(), signs.clone());
    let wire = Wire::new(transport, read, &shared.settings, true, signs.clone());
    let wire = TokioIo::new(wire);
    let mut conn = shared.http1.serve_connection(wire, answers);
    let mut closing = pin!(shared.drain.closing());
    let (mut heard, mut told) = (false, false);
    let end = poll_fn(|cx| {
        loop {
            let polled = Pin::new(&mut conn).poll(cx);
            if signs.flushed() {
                signs.interims().settle();
            }
            match polled {
                Poll::Pending if slot.wants_stream() && signs.flushed() => {
                    return Poll::Ready(Ok(true));
                }
                Poll::Ready(end) => return Poll::Ready(end.map(|()| false)),
                // Asked once, it wakes this task by itself.
                Poll::Pending if told || heard && !shared.drain.is_leaving() => {
                    return Poll::Pending;
                }
                Poll::Pending if closing.as_mut().poll(cx).is_pending() => {
                    heard = true;
                    return Poll::Pending;
                }
                // Only now, when all that has come in is read: what hyper takes for idle it closes.
                Poll::Pending => {
                    told = true;
                    Pin::new(&mut conn).graceful_shutdown();
                }
            }
        }
    });
    let mid_answer = match end.await {
        Ok(mid_answer) => mid_answer,
        Err(error) => {
            tracing::debug!(%error, "connection broke off");
            if error.is_parse() {
                // hyper has answered, and there may be more of what it can't read.
                linger(conn.into_parts().io.into_inner().into_parts().0).await;
            }
            return None;
        }
    };
    let Some(taken) = slot.taken().take() else {
        if slot.0.upload.load(Ordering::Relaxed) {
            linger(conn.into_parts().io.into_inner().into_parts().0).await;
        }
        return None;
    };
    if mid_answer != matches!(taken, Taken::Stream(..)) || !signs.flushed() {
        // The connection ended before the answer could begin.
        return None;
    }
    let parts = conn.into_parts();
    let (transport, replay) = parts.io.into_inner().into_parts();
    Some((taken, transport, concat(parts.read_buf, replay)))
}

/// Reads away what the client is still sending, for a moment.
///
/// RFC 9112 §9.6: "If a server performs an immediate close of a TCP connection, there is a
/// significant risk that the client will not be able to read the last HTTP response": the origin
/// may have answered a large upload before its end, and a reset would overtake the answer.
async fn linger(mut transport: Transport) {
    let mut scratch = [0; 1024];
    let read = async { while matches!(transport.read(&mut scratch).await, Ok(1..)) {} };
    // Late or not, the connection closes now.
    let _ = tokio::time::timeout(LINGER, read).await;
}

/// Keeps the kernel from queueing old events by the megabyte for a slow reader: they wait at the
/// source, which conflates. What is in flight isn't bounded by this, so the throughput stays.
fn bound_unsent(socket: &tokio::net::TcpStream) {
    #[cfg(any(target_os = "linux", target_os = "android", target_vendor = "apple"))]
    if let Err(error) = SockRef::from(socket).set_tcp_notsent_lowat(UNSENT) {
        tracing::debug!(%error, "socket options");
    }
}

/// Both in one; hyper's buffer comes first.
fn concat(first: Bytes, then: Bytes) -> Bytes {
    match (first.is_empty(), then.is_empty()) {
        (_, true) => first,
        (true, _) => then,
        _ => {
            let mut all = BytesMut::from(first);
            all.extend_from_slice(&then);
            all.freeze()
        }
    }
}
