//! HTTP/2: agreed on by TLS, or without it by prior knowledge (proxies in front of us).

use super::connection::{Accepted, Shared};
use super::wire::{Signs, Wire};
use super::{Client, Handler, Reply, Settings};
use crate::drain::Drain;
use crate::error::{Cause, Error};
use crate::http::{Body, BoxError, Frame, Frames};
use bytes::Bytes;
use http::{Method, Request, Response};
use hyper::body::{Frame as BodyFrame, Incoming};
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Requests of one connection at once. Browsers use 100 and fewer; a proxy in front of us
/// multiplexes many clients.
const CONCURRENT_STREAMS: u32 = 256;

/// Bytes that wait to be sent, per request. The default of 400 KB times 256 would be no bound.
const SEND_BUFFER: usize = 64 << 10;

/// A peer that is silent for so long is asked whether it lives.
const PING_INTERVAL: Duration = Duration::from_secs(30);

/// How HTTP/2 is spoken to clients. What bounds resets (CVE-2023-44487 and kin) are hyper's own
/// limits.
pub(super) fn builder(settings: &Settings, drain: Drain) -> http2::Builder<Spawner> {
    let mut builder = http2::Builder::new(Spawner(drain));
    builder
        .auto_date_header(false)
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .max_concurrent_streams(CONCURRENT_STREAMS)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(u32::try_from(settings.head).unwrap_or(u32::MAX));
    builder
}

/// Spawns each request as a task that leaving waits for.
#[derive(Clone)]
pub(super) struct Spawner(Drain);

impl<F> hyper::rt::Executor<F> for Spawner
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}

/// Serves one connection to its end.
pub(super) async fn serve<H: Handler>(shared: Arc<Shared<H>>, accepted: Accepted) {
    let Accepted { transport, read, client, admission: _admission } = accepted;
    let wire = Wire::new(transport, read, &shared.settings, false, Signs::default());
    let wire = TokioIo::new(wire);
    let handler = shared.handler.clone();
    let service = service_fn(move |req| answer(handler.clone(), req, client));
    let mut conn = pin!(shared.http2.serve_connection(wire, service));
    let mut leaving = pin!(shared.drain.leaving());
    let mut told = false;
    let end = poll_fn(|cx| {
        if !told && leaving.as_mut().poll(cx).is_ready() {
            told = true;
            conn.as_mut().graceful_shutdown();
        }
        conn.as_mut().poll(cx)
    });
    if let Err(error) = end.await {
        tracing::debug!(%error, "connection broke off");
    }
}

async fn answer<H: Handler>(
    handler: H,
    req: Request<Incoming>,
    client: Client,
) -> Result<Response<Body>, Infallible> {
    let head_only = req.method() == Method::HEAD;
    Ok(match handler.handle(req, client).await {
        Reply::Response(response) => response,
        Reply::Stream { head, .. } if head_only => head.map(|()| Body::Empty),
        Reply::Stream { head, frames } => {
            head.map(|()| Body::boxed(Events { frames: Some(frames), shared: Bytes::new() }))
        }
        // A handshake is `Upgrade`, which HTTP/2 doesn't have; no handler should come here.
        Reply::Tunnel { .. } => Error::from(Cause::Internal).response(),
    })
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
