//! One request and its answer, on one connection.

use super::answering::Answering;
use super::dial::{Dialer, Protocol};
use super::failure::classify;
use super::h2;
use super::kept::{Kept, Sender, Unserved, unserved};
use super::link;
use super::outbound::{multiplexed, single};
use super::patience::Progress;
use super::pool::{Conn, Pool};
use crate::config::{Config, OriginProtocol};
use crate::drain::Drain;
use crate::error::{Cause, Error};
use crate::http::Body;
use crate::silence::Silence;
use http::{Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::time::Instant;

/// Least size of a connection's buffer that hyper takes.
const LEAST_BUFFER: usize = 8 << 10;

/// Sends requests to one origin. Clones share its connections.
#[derive(Clone, Debug)]
pub(super) struct Exchange(Arc<Shared>);

/// See [`Exchange`].
#[derive(Debug)]
struct Shared {
    /// Opens connections.
    dialer: Dialer,
    /// Idle HTTP/1.1 connections.
    pool: Pool,
    /// The HTTP/2 connections that take new requests.
    kept: Kept,
    /// Held while a connection is opened that may be HTTP/2, so that a crowd opens as many as it
    /// needs and not a crowd. When the last attempt failed, and why: who waited for it meanwhile
    /// won't wait again.
    opening: tokio::sync::Mutex<Option<(Instant, Cause)>>,
    /// The last connection spoke HTTP/1.1, or the next one must: each request may open its own.
    separate: AtomicBool,
    /// From the request to the response head.
    head_limit: Duration,
    /// An answer's body that doesn't move for this long is cut off.
    body_limit: Duration,
    /// Bytes of a response head, and of the buffer that reads it.
    head_bytes: usize,
    /// Tracks what goes on after its request.
    drain: Drain,
}

/// A connection that can take a request now.
enum Way {
    /// For this request alone.
    Http1(Box<Conn>),
    /// Shared.
    Http2(Sender),
}

/// What HTTP/1.1 or HTTP/2 brings.
type Answered = Result<Response<Incoming>, TrySendError<Request<Body>>>;

/// How far a request got.
#[allow(clippy::large_enum_variant, reason = "it is made once a request, and taken apart at once")]
enum Step {
    /// Its answer's head is here, or won't be.
    Answer(Answered),
    /// The connection ended before it said so.
    Ended,
    /// Nothing came for too long.
    Late,
}

/// Why a request has no answer.
pub(super) struct Failed {
    /// For the client and the log.
    pub(super) error: Error,
    /// The request itself, if nothing of it was sent.
    pub(super) unsent: Option<Request<Body>>,
    /// The connection had served before and said nothing since: its end may have nothing to do with
    /// this request.
    pub(super) aged: bool,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self { error, unsent: None, aged: false }
    }
}

impl Shared {
    /// Closes what has been idle for too long or was closed by the origin, now and again. Never
    /// returns.
    async fn sweep(&self, idle: Duration) {
        let every = (idle / 2).clamp(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            tokio::time::sleep(every).await;
            self.pool.sweep();
            self.kept.sweep();
        }
    }
}

impl Exchange {
    pub(super) fn new(config: &Config, drain: &Drain) -> anyhow::Result<Self> {
        let idle = config.timeouts.idle;
        let shared = Arc::new(Shared {
            dialer: Dialer::new(config)?,
            pool: Pool::new(idle, config.limits.connections),
            kept: Kept::new(idle),
            opening: tokio::sync::Mutex::default(),
            separate: AtomicBool::new(match config.origin_protocol {
                OriginProtocol::Http1 => true,
                OriginProtocol::Http2 => false,
                OriginProtocol::Auto => config.origin.scheme_str() != Some("https"),
            }),
            head_limit: config.timeouts.origin_head,
            body_limit: config.timeouts.origin_body,
            head_bytes: config.limits.head.max(LEAST_BUFFER),
            drain: drain.clone(),
        });
        let (swept, leaving) = (Arc::clone(&shared), drain.clone());
        drain.spawn(async move {
            tokio::select! {
                () = swept.sweep(idle) => {}
                () = leaving.leaving() => {}
            }
        });
        Ok(Self(shared))
    }

    /// Sends one request. `fresh`: on no connection that is there already. Cancel safe: dropping it
    /// ends the origin's request.
    pub(super) async fn send(
        &self,
        req: Request<Body>,
        fresh: bool,
    ) -> Result<Response<Body>, Failed> {
        let (parts, body) = req.into_parts();
        let (progress, body) = Progress::of(body);
        let req = Request::from_parts(parts, body);
        // What is rare is boxed, here and above: a request's future is moved as a whole, and is as
        // large as the largest of its parts.
        let ready = match fresh {
            true => None,
            false => poll_fn(|cx| Poll::Ready(self.0.pool.take(cx))).await,
        };
        let way = match ready {
            Some(conn) => Way::Http1(conn),
            None => Box::pin(self.open_way(fresh.then(Instant::now))).await?,
        };
        match way {
            Way::Http1(conn) => self.send_http1(conn, single(req), progress).await,
            Way::Http2(sender) => {
                let req = multiplexed(req, self.0.dialer.is_secure())?;
                Box::pin(self.send_http2(sender, req, progress)).await
            }
        }
    }

    /// Opens an HTTP/1.1 connection of its own, for a request that may switch protocols.
    pub(super) async fn send_alone(&self, req: Request<Body>) -> Result<Response<Incoming>, Error> {
        let link = self.0.dialer.dial_http1().await?;
        let (mut sender, driver) =
            self.http1().handshake(TokioIo::new(link)).await.map_err(classify)?;
        self.0.drain.spawn(async move {
            if let Err(error) = driver.with_upgrades().await {
                tracing::debug!(%error, "origin connection broke off");
            }
        });
        let answer = tokio::time::timeout(self.0.head_limit, sender.send_request(req)).await;
        answer.map_err(|_| Cause::HeadTimeout)?.map_err(classify)
    }

    /// An answer whose connection is driven elsewhere.
    pub(super) fn body(&self, response: Response<Incoming>) -> Response<Body> {
        response.map(|incoming| Answering::apart(incoming, self.0.body_limit, None))
    }

    /// A connection, of those that are there or a new one. `after`: an older one won't do, since an
    /// origin that closes one may be closing all.
    async fn open_way(&self, after: Option<Instant>) -> Result<Way, Error> {
        let shared = &self.0;
        if shared.separate.load(Ordering::Relaxed) {
            return self.open().await;
        }
        if let Some(sender) = shared.kept.take(after) {
            return Ok(Way::Http2(sender));
        }
        let since = Instant::now();
        let mut failed = loop {
            let failed = tokio::select! {
                failed = shared.opening.lock() => Some(failed),
                () = shared.kept.freed() => None,
            };
            // Somebody may have opened one while this request waited, or left room for it.
            if let Some(sender) = shared.kept.take(after) {
                return Ok(Way::Http2(sender));
            }
            if let Some(failed) = failed {
                break failed;
            }
        };
        // Or learned that there is none.
        match *failed {
            Some((at, cause)) if at > since => return self.crowd(cause.into()),
            _ => {}
        }
        if shared.separate.load(Ordering::Relaxed) {
            drop(failed);
            return self.open().await;
        }
        let opened = self.open().await;
        *failed = opened.as_ref().err().map(|error| (Instant::now(), error.cause()));
        opened.or_else(|error| self.crowd(error))
    }

    /// The way of a request for which no connection could be opened: one that is full may have room
    /// for it in time.
    fn crowd(&self, error: Error) -> Result<Way, Error> {
        self.0.kept.crowd().map(Way::Http2).ok_or(error)
    }

    async fn open(&self) -> Result<Way, Error> {
        let (link, protocol) = self.0.dialer.dial().await?;
        let multiplexes = protocol == Protocol::Http2;
        self.0.separate.store(!multiplexes, Ordering::Relaxed);
        if multiplexes {
            let shared = &self.0;
            let opened = h2::open(link, shared.head_bytes, &shared.kept, &shared.drain).await;
            return opened.map(Way::Http2);
        }
        let (line, heard) = link::Line::new(link);
        let (sender, driver) =
            self.http1().handshake(TokioIo::new(line)).await.map_err(classify)?;
        Ok(Way::Http1(Conn::new(sender, driver, heard, Silence::new(self.0.head_limit))))
    }

    fn http1(&self) -> http1::Builder {
        let mut builder = http1::Builder::new();
        builder
            .preserve_header_case(true)
            // A line that is no field is dropped; the answer is worth more than the line.
            .ignore_invalid_headers_in_responses(true)
            // RFC 9112 §5.1 and §5.2 let a proxy mend these in answers.
            .allow_spaces_after_header_name_in_responses(true)
            .allow_obsolete_multiline_headers_in_responses(true)
            .max_buf_size(self.0.head_bytes);
        builder
    }

    async fn send_http1(
        &self,
        mut conn: Box<Conn>,
        req: Request<Body>,
        progress: Progress,
    ) -> Result<Response<Body>, Failed> {
        let heard = conn.heard.clone();
        heard.forget();
        let Conn { sender, driver, silence, served, .. } = &mut *conn;
        let mut answer = pin!(sender.try_send_request(req));
        silence.broken();
        let mut frames = 0;
        let step = poll_fn(|cx| {
            // The driver takes the request and brings the answer.
            let ended = Pin::new(&mut *driver).poll(cx).is_ready();
            match answer.as_mut().poll(cx) {
                Poll::Ready(answer) => return Poll::Ready(Step::Answer(answer)),
                Poll::Pending if ended => return Poll::Ready(Step::Ended),
                Poll::Pending => {}
            }
            // A long upload isn't a slow origin.
            let sent = progress.frames();
            if std::mem::replace(&mut frames, sent) != sent {
                silence.broken();
            }
            silence.poll_over(cx).map(|()| Step::Late)
        });
        let aged = *served;
        let answer = match step.await {
            Step::Answer(answer) => answer,
            Step::Ended => {
                // Only when the connection is gone is the request given back.
                drop(conn);
                return Err(unanswered(answer.await, aged && !heard.anything()));
            }
            Step::Late => return Err(Error::from(Cause::HeadTimeout).into()),
        };
        let response = match answer {
            Ok(response) => response,
            failed => return Err(unanswered(failed, aged && !heard.anything())),
        };
        if !progress.is_over() {
            return Ok(self.answer_early(conn, response));
        }
        let (parts, incoming) = response.into_parts();
        if incoming.is_end_stream() {
            let mut conn = Some(conn);
            poll_fn(|cx| {
                if let Some(conn) = conn.take() {
                    self.0.pool.give(conn, cx);
                }
                Poll::Ready(())
            })
            .await;
            return Ok(Response::from_parts(parts, Body::Incoming(incoming)));
        }
        let body = Answering::on(conn, self.0.pool.clone(), incoming, self.0.body_limit);
        Ok(Response::from_parts(parts, body))
    }

    /// The origin answers while the client still uploads: both go on at their own pace, so the
    /// connection gets a task of its own.
    fn answer_early(&self, conn: Box<Conn>, response: Response<Incoming>) -> Response<Body> {
        let Conn { sender, driver, .. } = *conn;
        // With nobody to send more, the connection ends after this answer.
        drop(sender);
        self.0.drain.spawn(async move {
            if let Err(error) = driver.await {
                tracing::debug!(%error, "origin connection broke off");
            }
        });
        self.body(response)
    }

    async fn send_http2(
        &self,
        mut sender: Sender,
        req: Request<Body>,
        progress: Progress,
    ) -> Result<Response<Body>, Failed> {
        progress.hold(&sender.place);
        let answer = progress.wait(sender.send(req), self.0.head_limit).await;
        match answer.ok_or(Cause::HeadTimeout).map_err(Error::from)? {
            Ok(response) => {
                let (place, limit) = (sender.place, self.0.body_limit);
                Ok(response.map(|incoming| Answering::apart(incoming, limit, Some(place))))
            }
            Err(_) if progress.broke() => Err(Error::from(Cause::ClientLeft).into()),
            Err(failed) => {
                let unserved = unserved(failed.error());
                if unserved == Unserved::Connection {
                    // It may not know yet that it is dead: the second try must not meet it.
                    self.0.kept.leave(&sender.place);
                }
                Err(unanswered(Err(failed), unserved != Unserved::No))
            }
        }
    }
}

fn unanswered(answer: Answered, aged: bool) -> Failed {
    match answer {
        Err(mut failed) => {
            let unsent = failed.take_message();
            Failed { error: classify(failed.into_error()), unsent, aged }
        }
        // An answer whose connection is gone has no body.
        Ok(_) => Error::from(Cause::Closed).into(),
    }
}
