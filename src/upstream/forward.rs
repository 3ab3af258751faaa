//! Passthrough: a client's message crosses to the origin and back as it came, but for what concerns
//! the hop itself.

use super::exchange::{Exchange, Failed};
use super::expect;
use super::outbound::{Outbound, max_forwards};
use crate::config::Config;
use crate::drain::Drain;
use crate::error::{Cause, Error};
use crate::http::{Body, Client, fields};
use arc_swap::ArcSwap;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Request, Response, StatusCode, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::Upgraded;
use std::sync::Arc;

/// The way to the origin. Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Carries messages; changes nothing in them.
    exchange: Exchange,
    /// What is changed in a request. Replaced as a whole when the configuration changes.
    outbound: Arc<ArcSwap<Outbound>>,
    /// What we call ourselves.
    name: Arc<str>,
}

/// What a handshake became.
#[derive(Debug)]
pub enum Answer {
    /// The origin declined: an ordinary answer.
    Response(Response<Body>),
    /// The origin switched protocols.
    Tunnel {
        /// The origin's 101.
        head: Response<()>,
        /// What follows it, both ways.
        origin: Upgraded,
    },
}

impl Upstream {
    /// Connects lazily: nothing is asked of the origin before the first request. What must go on
    /// for itself is a task of `drain`.
    ///
    /// # Errors
    /// The certificates to trust can't be read.
    pub fn new(config: &Config, drain: &Drain) -> anyhow::Result<Self> {
        let mut id = [0; 4];
        getrandom::fill(&mut id).map_err(|error| anyhow::anyhow!("no random: {error}"))?;
        let name = format!("pollcast-{:08x}", u32::from_le_bytes(id));
        Ok(Self {
            exchange: Exchange::new(config, drain)?,
            outbound: Arc::new(ArcSwap::from_pointee(Outbound::new(config, name.clone()))),
            name: name.into(),
        })
    }

    /// Takes up what a new configuration says of forwarding fields and `Host`; the origin stays.
    pub fn reconfigure(&self, config: &Config) {
        self.outbound.store(Arc::new(Outbound::new(config, self.name.to_string())));
    }

    /// Tells the operator of a proxy whose word isn't believed, if one speaks here as it came.
    pub fn overhear(&self, map: &HeaderMap, client: Client) {
        self.outbound.load().warn_of_stranger(map, client.peer.ip());
    }

    /// The fields of a request as the origin would see them from [`Upstream::forward`], for a
    /// central poll in the client's stead.
    ///
    /// # Errors
    /// The request has been here before.
    pub fn poll_fields(&self, map: HeaderMap, client: Client) -> Result<HeaderMap, Error> {
        self.outbound.load().tell(map, client, Version::HTTP_11)
    }

    /// Sends a request of our own, whose fields are as they are to be. Cancel safe, as
    /// [`Upstream::forward`].
    pub(super) async fn poll(&self, req: Request<Body>) -> Result<Response<Body>, Error> {
        self.exchange(req).await
    }

    /// Sends a request on and returns the answer's head; both bodies stream. Cancel safe: dropping
    /// it, or the answer's body, ends the origin's request.
    pub async fn forward(
        &self,
        req: Request<Body>,
        client: Client,
    ) -> Result<Response<Body>, Error> {
        if *req.method() == Method::OPTIONS && max_forwards(req.headers()) == Some(0) {
            // RFC 9110 §7.6.2: "If the received value is zero (0), the intermediary MUST NOT
            // forward the request; instead, the intermediary MUST respond as the final recipient."
            let mut response = Response::new(Body::Empty);
            *response.status_mut() = StatusCode::NO_CONTENT;
            return Ok(response);
        }
        let framed = req.version() != Version::HTTP_2;
        let req = self.outbound.load().request(req, client, false)?;
        let response = self.exchange(req).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Cause::Malformed.into());
        }
        finish(response, framed)
    }

    /// Sends a WebSocket handshake on ([`fields::is_websocket`], HTTP/1.1). Cancel safe, as
    /// [`Upstream::forward`].
    pub async fn tunnel(&self, req: Request<Body>, client: Client) -> Result<Answer, Error> {
        let req = self.outbound.load().request(req, client, true)?;
        let mut response = self.exchange.send_alone(req).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Answer::Response(finish(self.exchange.body(response), true)?));
        }
        if !fields::offers_websocket(response.headers()) {
            return Err(Cause::Malformed.into());
        }
        let upgraded = hyper::upgrade::on(&mut response).await;
        let origin = upgraded.map_err(|error| Error::new(Cause::Closed, error))?;
        let (mut parts, _): (_, Incoming) = response.into_parts();
        parts.headers = fields::strip_pollcast(parts.headers);
        Ok(Answer::Tunnel { head: Response::from_parts(parts, ()), origin })
    }

    /// Sends a request, and once more where its connection died of old age.
    ///
    /// An origin may close an idle connection at the very instant a request is sent on it. Without
    /// us the browser would notice and ask again; with us it would see a 502 that is nobody's
    /// fault. RFC 9110 §9.2.2: "A client SHOULD NOT automatically retry a request with a
    /// non-idempotent method unless it has some means to know that the request semantics are
    /// actually idempotent" and "A client SHOULD NOT automatically retry a failed automatic retry."
    async fn exchange(&self, req: Request<Body>) -> Result<Response<Body>, Error> {
        let again = again(&req);
        let req = expect::prepare(req);
        let Failed { error, unsent, aged } = match self.exchange.send(req, false).await {
            Ok(response) => return Ok(response),
            Err(failed) => failed,
        };
        if !aged || error.cause() != Cause::Closed {
            return Err(error);
        }
        match unsent.or(again) {
            Some(req) => {
                let again = Box::pin(self.exchange.send(expect::prepare(req), true));
                again.await.map_err(|failed| failed.error)
            }
            None => Err(error),
        }
    }
}

/// What a second try needs, if one is allowed: an idempotent method, and no body that the first try
/// uses up.
fn again(req: &Request<Body>) -> Option<Request<Body>> {
    if !(req.method().is_idempotent() && req.body().is_end_stream()) {
        return None;
    }
    let mut again = Request::new(Body::Empty);
    *again.method_mut() = req.method().clone();
    *again.uri_mut() = req.uri().clone();
    *again.headers_mut() = req.headers().clone();
    *again.extensions_mut() = req.extensions().clone();
    Some(again)
}

/// The answer as the client gets it. `framed`: the client's protocol has transfer codings.
fn finish(response: Response<Body>, framed: bool) -> Result<Response<Body>, Error> {
    if fields::has_foreign_coding(response.headers()) {
        return Err(Cause::Malformed.into());
    }
    let (mut parts, body) = response.into_parts();
    parts.version = Version::HTTP_11;
    let map = fields::strip_hop_by_hop(parts.headers);
    // RFC 9112 §6.3: "If a message is received with both a Transfer-Encoding and a Content-Length
    // header field, the Transfer-Encoding overrides the Content-Length", which "an intermediary
    // that chooses to forward the message MUST first remove".
    let map = match map.contains_key(TRANSFER_ENCODING) {
        true => fields::without(map, |name| *name == CONTENT_LENGTH),
        false => map,
    };
    parts.headers = if framed { map } else { fields::strip_framing(map) };
    Ok(Response::from_parts(parts, body))
}
