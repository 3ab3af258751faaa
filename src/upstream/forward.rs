//! Passthrough: a client's message crosses to the origin and back as it came, but for what concerns
//! the hop itself.

use super::failure::{classify, refusal};
use super::patience::Progress;
use super::reuse::{Again, Served};
use crate::config::Config;
use crate::error::{Cause, Error};
use crate::http::{Body, fields};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::net::IpAddr;
use std::time::Duration;

/// Least size of a connection's buffer that hyper takes.
const LEAST_BUFFER: usize = 8 << 10;

/// The way to the origin. Cheap to clone; clones share the connections.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Pools idle connections; changes nothing in a message.
    client: Client<HttpConnector, Body>,
    /// `http`.
    scheme: Scheme,
    /// Where to connect. The client's `Host` crosses unchanged all the same.
    authority: Authority,
    /// From the request to the response head.
    head_limit: Duration,
    /// Tells a connection that died of old age from an origin that fails.
    served: Served,
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
    /// Connects lazily: nothing is asked of the origin before the first request.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(config.timeouts.connect));
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.timeouts.idle)
            .set_host(false)
            .http1_preserve_header_case(true)
            .http1_max_buf_size(config.limits.head.max(LEAST_BUFFER))
            .build(connector);
        let authority = config.origin.authority().cloned();
        Self {
            client,
            scheme: config.origin.scheme().cloned().unwrap_or(Scheme::HTTP),
            // The checked config has an authority always; the fallback fails at connect, and says
            // so.
            authority: authority.unwrap_or_else(|| Authority::from_static("invalid")),
            head_limit: config.timeouts.origin_head,
            served: Served::default(),
        }
    }

    /// Sends a request on and returns the answer's head; both bodies stream. Cancel safe: dropping
    /// it, or the answer's body, ends the origin's request.
    pub async fn forward(&self, req: Request<Body>, peer: IpAddr) -> Result<Response<Body>, Error> {
        let framed = req.version() != Version::HTTP_2;
        let response = self.exchange(req, peer, fields::strip_hop_by_hop).await?;
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Err(Cause::Malformed.into());
        }
        finish(response, framed)
    }

    /// Sends a WebSocket handshake on ([`fields::is_websocket`], HTTP/1.1). Cancel safe, as
    /// [`Upstream::forward`].
    pub async fn tunnel(&self, req: Request<Body>, peer: IpAddr) -> Result<Answer, Error> {
        let mut response = self.exchange(req, peer, fields::strip_for_tunnel).await?;
        if response.status() != StatusCode::SWITCHING_PROTOCOLS {
            return Ok(Answer::Response(finish(response, true)?));
        }
        let upgraded = hyper::upgrade::on(&mut response).await;
        let origin = upgraded.map_err(|error| Error::new(Cause::Closed, error))?;
        let (mut parts, _) = response.into_parts();
        parts.headers = fields::strip_pollcast(parts.headers);
        Ok(Answer::Tunnel { head: Response::from_parts(parts, ()), origin })
    }

    async fn exchange(
        &self,
        req: Request<Body>,
        peer: IpAddr,
        strip: fn(HeaderMap) -> HeaderMap,
    ) -> Result<Response<Incoming>, Error> {
        let mut req = self.address(req, peer, strip)?;
        let again = Again::of(&mut req);
        let first = self.send(req).await;
        let failure = match first {
            Ok(response) => return Ok(response),
            Err(failure) => failure,
        };
        match again {
            Some(again) if failure.cause() == Cause::Closed && self.served.had(&again.taken) => {
                self.send(again.request()).await
            }
            _ => Err(failure),
        }
    }

    async fn send(&self, req: Request<Body>) -> Result<Response<Incoming>, Error> {
        let progress = Progress::default();
        let answer = self.client.request(req.map(|body| progress.count(body)));
        let answer = progress.wait(answer, self.head_limit).await;
        let response = answer.ok_or(Cause::HeadTimeout)?.map_err(classify)?;
        self.served.note(&response);
        Ok(response)
    }

    /// The request as the origin gets it.
    fn address(
        &self,
        req: Request<Body>,
        peer: IpAddr,
        strip: fn(HeaderMap) -> HeaderMap,
    ) -> Result<Request<Body>, Error> {
        if let Some(cause) = refusal(&req) {
            return Err(cause.into());
        }
        let (mut parts, body) = req.into_parts();
        let mut map = fields::strip_pollcast(strip(parts.headers));
        map = fields::set_host(map, host(&parts.uri, parts.version, &self.authority).as_ref());
        if parts.version == Version::HTTP_2 {
            map = fields::join_cookies(map);
        }
        map = fields::forwarded(map, peer, "http");
        if !body.is_end_stream()
            && body.size_hint().exact().is_none()
            && !map.contains_key(CONTENT_LENGTH)
            && !map.contains_key(TRANSFER_ENCODING)
        {
            // Said aloud, since the client takes a GET with a body of unknown length for one
            // without a body.
            map.append(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let target = parts.uri.into_parts().path_and_query;
        parts.headers = map;
        parts.version = Version::HTTP_11;
        parts.uri = self.target(target.unwrap_or_else(|| PathAndQuery::from_static("/")))?;
        // The client's own connection isn't the origin's to upgrade. The rest crosses: the fields'
        // case lives in there.
        parts.extensions.remove::<OnUpgrade>();
        Ok(Request::from_parts(parts, body))
    }

    /// Path and query as they came, at the origin.
    fn target(&self, path_and_query: PathAndQuery) -> Result<Uri, Error> {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(path_and_query);
        Uri::from_parts(parts).map_err(|error| Error::new(Cause::Internal, error))
    }
}

/// The `Host` to write, if not the one that came.
///
/// RFC 9112 §3.2.2: "When a proxy receives a request with an absolute-form of request-target, the
/// proxy MUST ignore the received Host header field (if any) and instead replace it with the host
/// information of the request-target." HTTP/2 has it in `:authority`; HTTP/1.0 may have none, and
/// HTTP/1.1 must.
fn host(uri: &Uri, version: Version, origin: &Authority) -> Option<(HeaderValue, bool)> {
    match fields::named_host(uri) {
        Some(named) => Some((named, true)),
        None if version == Version::HTTP_10 => {
            HeaderValue::from_str(origin.as_str()).ok().map(|value| (value, false))
        }
        None => None,
    }
}

/// The answer as the client gets it. `framed`: the client's protocol has transfer codings.
fn finish(response: Response<Incoming>, framed: bool) -> Result<Response<Body>, Error> {
    if fields::has_foreign_coding(response.headers()) {
        return Err(Cause::Malformed.into());
    }
    let (mut parts, body) = response.into_parts();
    parts.version = Version::HTTP_11;
    let map = fields::strip_pollcast(fields::strip_hop_by_hop(parts.headers));
    parts.headers = if framed { map } else { fields::strip_framing(map) };
    Ok(Response::from_parts(parts, Body::Incoming(body)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::HOST;

    fn addressed(req: http::request::Builder) -> Result<Request<Body>, Error> {
        let config = Config::new(Uri::from_static("http://origin:3000"));
        let peer = IpAddr::from([10, 0, 0, 9]);
        Upstream::new(&config).address(
            req.body(Body::Empty).unwrap(),
            peer,
            fields::strip_hop_by_hop,
        )
    }

    #[tokio::test]
    async fn only_the_authority_changes_and_host_stays() {
        let req = Request::get("/a%2fb/../c?x=%41&y=[1]&").header(HOST, "app.example");
        let req = addressed(req).unwrap();
        assert_eq!(req.uri(), "http://origin:3000/a%2fb/../c?x=%41&y=[1]&");
        assert_eq!(req.headers()[HOST], "app.example");
        let star = addressed(Request::options("*").header(HOST, "a")).unwrap();
        assert_eq!(star.uri().path(), "*");
    }

    #[tokio::test]
    async fn the_target_names_the_host_where_it_can() {
        let req = Request::get("http://u:p@right:81/x").header(HOST, "wrong");
        assert_eq!(addressed(req).unwrap().headers()[HOST], "right:81");
        let req = Request::get("https://h2.example/x").version(Version::HTTP_2);
        let req = addressed(req).unwrap();
        assert_eq!(
            (req.version(), &req.headers()[HOST]),
            (Version::HTTP_11, &"h2.example".parse().unwrap())
        );
        let req = addressed(Request::get("/x").version(Version::HTTP_10)).unwrap();
        assert_eq!(req.headers()[HOST], "origin:3000");
    }

    #[tokio::test]
    async fn what_could_be_read_in_two_ways_is_refused() {
        for req in [
            Request::get("/"),
            Request::get("/").header(HOST, "a").header(HOST, "b"),
            Request::post("/").header(HOST, "a").header(TRANSFER_ENCODING, "gzip, chunked"),
            Request::connect("a:443").header(HOST, "a"),
        ] {
            let error = addressed(req).unwrap_err();
            assert_eq!(error.fault(), crate::error::Fault::Client, "{error}");
        }
    }
}
