//! HTTP/2: agreed on by TLS, or without it by prior knowledge (proxies in front of us).

use super::connection::{Accepted, Shared};
use super::multiplex::{Open, Requests, Spawner, Told};
use super::refuse::Refusal;
use super::websocket::{self, Handshake};
use super::wire::{Signs, Wire};
use super::{Client, Handler, Reply, Settings, tunnel, upload};
use crate::drain::Drain;
use crate::error::{Cause, Error};
use crate::http::{Body, BoxError, Frame, Frames};
use bytes::Bytes;
use http::header::CONNECTION;
use http::{Method, Request, Response, StatusCode};
use hyper::body::{Frame as BodyFrame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep};

/// Requests of one connection at once. Browsers use 100 and fewer; a proxy in front of us
/// multiplexes many clients.
const CONCURRENT_STREAMS: u32 = 256;

/// Bytes that wait to be sent, per request. The default of 400 KB times 256 would be no bound.
const SEND_BUFFER: usize = 64 << 10;

/// Bytes of an upload that its origin hasn't taken yet. Less would slow down what comes from afar:
/// this is 10 MB/s over 100 ms.
const STREAM_WINDOW: u32 = 1 << 20;

/// The same of all uploads of one connection: 16 MiB, the most memory that a client can make them
/// take. It takes 16 uploads that their origin doesn't read to stop the others of the connection,
/// which may be those of many clients behind a proxy; with the window of one stream it would take
/// one. With room for all of [`CONCURRENT_STREAMS`], a client could make us hold 256 MiB.
const CONNECTION_WINDOW: u32 = 16 * STREAM_WINDOW;

/// A peer that is silent for so long is asked whether it lives.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// Requests that a client may take back before we have seen them, and requests whose frames made us
/// reset them: over either, the connection is closed (CVE-2023-44487, CVE-2025-8671). What is taken
/// back later is counted by [`Requests`].
const RESETS: usize = 128;

/// Bytes that an idle connection writes within [`PING_INTERVAL`]: pings and answers to them.
const IDLE_BYTES: u64 = 64;

/// How HTTP/2 is spoken to clients. CONTINUATION frames without end (CVE-2024-27316) are bounded by
/// the size of a head.
pub(super) fn builder(settings: &Settings, drain: Drain) -> http2::Builder<Spawner> {
    let mut builder = http2::Builder::new(Spawner { drain, patience: settings.client_write });
    builder
        .auto_date_header(false)
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .max_concurrent_streams(CONCURRENT_STREAMS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_pending_accept_reset_streams(RESETS)
        .max_local_error_reset_streams(RESETS)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(settings.head).unwrap_or(u32::MAX))
        // RFC 8441: WebSockets.
        .enable_connect_protocol();
    builder
}

/// Serves one connection to its end.
pub(super) async fn serve<H: Handler>(shared: Arc<Shared<H>>, accepted: Accepted) {
    let Accepted { transport, read, client, admission: _admission } = accepted;
    let (signs, requests) = (Signs::default(), Requests::default());
    let wire = Wire::new(transport, read, &shared.settings, false, signs.clone());
    let limit = shared.settings.client_head;
    let mut idle = Idle { signs, requests: requests.clone(), limit, seen: None, sleep: None };
    let (handler_of, begun) = (Arc::clone(&shared), requests.clone());
    let service =
        service_fn(move |req| answer(Arc::clone(&handler_of), req, client, begun.begin()));
    let mut conn = pin!(shared.http2.serve_connection(TokioIo::new(wire), service));
    let mut leaving = pin!(shared.drain.leaving());
    // Told to leave, and told so for doing nothing or too much.
    let (mut told, mut warned) = (false, false);
    let end = poll_fn(|cx| {
        let mut tell = !told && leaving.as_mut().poll(cx).is_ready();
        let idles = idle.poll(cx).is_ready();
        // A client may go on for as long as it doesn't acknowledge that it should leave.
        if (idles && warned) || requests.is_abuse(2) {
            return Poll::Ready(Ok(()));
        }
        if idles || (!warned && requests.is_abuse(1)) {
            (warned, tell) = (true, !told);
        }
        if tell {
            told = true;
            conn.as_mut().graceful_shutdown();
        }
        conn.as_mut().poll(cx)
    });
    if let Err(error) = end.await {
        tracing::debug!(%error, "connection broke off");
    }
}

/// Whether a connection does nothing: no request is open and none comes, and nothing of an old
/// answer is taken.
struct Idle {
    /// What was written.
    signs: Signs,
    /// What is open.
    requests: Requests,
    /// How long that may last, to twice that.
    limit: Duration,
    /// Requests and bytes at the last look.
    seen: Option<(u64, u64)>,
    /// Until the next look.
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Idle {
    /// Ready each time that it has lasted for too long.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let limit = self.limit;
        loop {
            let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
            if self.seen.is_some() {
                ready!(sleep.as_mut().poll(cx));
                sleep.as_mut().reset(Instant::now() + limit);
            }
            let now = (self.requests.begun(), self.signs.written());
            let pings = 1 + limit.as_secs() / PING_INTERVAL.as_secs();
            let still = self.seen.is_some_and(|(begun, written)| {
                begun == now.0 && now.1 - written <= IDLE_BYTES * pings
            });
            self.seen = Some(now);
            if still && self.requests.is_idle() {
                return Poll::Ready(());
            }
        }
    }
}

async fn answer<H: Handler>(
    shared: Arc<Shared<H>>,
    req: Request<Incoming>,
    client: Client,
    open: Open,
) -> Result<Response<Told>, Infallible> {
    if let Some(refusal) = refused(&req, &shared.settings) {
        return Ok(unframed(refusal).map(|body| Told::new(body, open)));
    }
    let head_only = req.method() == Method::HEAD;
    let (req, handshake) = websocket::translate(req);
    let (req, upload) = upload::limit(req, shared.settings.client_body);
    let response = match (shared.handler.handle(req, client).await, handshake) {
        // What went wrong is known here better than by the handler, to which the body only broke
        // off.
        (Reply::Response(response), _)
            if upload.is_set() && response.status() == StatusCode::BAD_REQUEST =>
        {
            unframed(Refusal::Stalled)
        }
        // An answer that is no WebSocket, though it is fine: to the client it would look like one.
        (Reply::Response(response), Some(_)) if response.status().is_success() => {
            Error::from(Cause::Malformed).response()
        }
        (Reply::Response(response), _) => response,
        (Reply::Stream { head, .. }, _) if head_only => head.map(|()| Body::Empty),
        (Reply::Stream { head, frames }, _) => {
            head.map(|()| Body::boxed(Events { frames: Some(frames), shared: Bytes::new() }))
        }
        (Reply::Tunnel { head, origin }, Some(handshake)) => {
            return Ok(join(shared, (handshake, open), head, origin));
        }
        // A handshake of HTTP/1.1 is none here; no handler should come here.
        (Reply::Tunnel { .. }, None) => Error::from(Cause::Internal).response(),
    };
    Ok(response.map(|body| Told::new(body, open)))
}

/// The answer to what is refused. RFC 9113 §8.2.2: connections are no affair of messages here.
fn unframed(refusal: Refusal) -> Response<Body> {
    let mut response = refusal.response();
    response.headers_mut().remove(CONNECTION);
    response
}

/// Why a request isn't let in, if it isn't. Framing and syntax are HTTP/2's own affair.
fn refused<B>(req: &Request<B>, settings: &Settings) -> Option<Refusal> {
    let target = req.uri().path_and_query().map_or(0, |target| target.as_str().len());
    (target > settings.target).then_some(Refusal::Target)
}

/// Joins a WebSocket with its origin, in a task of its own.
fn join<H: Handler>(
    shared: Arc<Shared<H>>,
    (handshake, open): (Handshake, Open),
    head: Response<()>,
    origin: Upgraded,
) -> Response<Told> {
    let Some(response) = handshake.answer(head) else {
        return Error::from(Cause::Malformed).response().map(|body| Told::new(body, open));
    };
    // The answer ends at once, the request when the tunnel does.
    let answered = Told::new(Body::Empty, open.beside());
    let drain = shared.drain.clone();
    drain.spawn(async move {
        open.finish();
        let _open = open;
        if let Ok(client) = handshake.client.await {
            tunnel::run(TokioIo::new(client), origin, shared.settings.upgrade, &shared.drain).await;
        }
    });
    response.map(|()| answered)
}

/// Events as a body. hyper holds one piece at most until the window has room, and asks for no other
/// meanwhile.
struct Events {
    /// `None` once it has ended.
    frames: Option<Box<dyn Frames>>,
    /// Second part of the frame whose first was taken.
    shared: Bytes,
}

impl http_body::Body for Events {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<BodyFrame<Bytes>, BoxError>>> {
        loop {
            if !self.shared.is_empty() {
                let shared = std::mem::take(&mut self.shared);
                return Poll::Ready(Some(Ok(BodyFrame::data(shared))));
            }
            let Some(frames) = &mut self.frames else { return Poll::Ready(None) };
            match std::task::ready!(frames.poll_frame(cx)) {
                Some(Frame { head, shared }) => {
                    self.shared = shared;
                    if !head.is_empty() {
                        return Poll::Ready(Some(Ok(BodyFrame::data(head))));
                    }
                }
                None => self.frames = None,
            }
        }
    }
}
