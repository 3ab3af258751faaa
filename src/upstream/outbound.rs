//! A request's head as the origin gets it.

use super::failure::refusal;
use crate::config::{Config, Forwarding, OriginHost};
use crate::error::{Cause, Error};
use crate::http::{Body, Client, fields};
use http::header::{CONTENT_LENGTH, HOST, MAX_FORWARDS, TRANSFER_ENCODING, VIA};
use http::uri::{Authority, PathAndQuery};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri, Version};
use http_body::Body as _;
use hyper::upgrade::OnUpgrade;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};

/// What is changed in a request on its way.
#[derive(Debug)]
pub(super) struct Outbound {
    /// Which forwarding fields are written, and whose are believed.
    forwarding: Forwarding,
    /// Which `Host` the origin sees.
    host: OriginHost,
    /// Host and port of the origin, as the config names them.
    authority: HeaderValue,
    /// What we call ourselves in `Via`: another name for each process, or two of them in a row
    /// would look like a circle.
    name: String,
    /// A peer that isn't trusted but speaks like a proxy was told of, once.
    warned: AtomicBool,
}

impl Outbound {
    pub(super) fn new(config: &Config, name: String) -> Self {
        let authority = config.origin.authority().map_or("", Authority::as_str);
        Self {
            forwarding: config.forwarding.clone(),
            host: config.origin_host,
            // An authority is text of a field value always.
            authority: HeaderValue::from_str(authority)
                .unwrap_or_else(|_| HeaderValue::from_static("localhost")),
            name,
            warned: AtomicBool::new(false),
        }
    }

    /// The request as HTTP/1.1 to the origin. `tunnel`: a WebSocket handshake.
    ///
    /// # Errors
    /// It can't be sent on, or has been here before.
    pub(super) fn request(
        &self,
        req: Request<Body>,
        client: Client,
        tunnel: bool,
    ) -> Result<Request<Body>, Error> {
        if let Some(cause) = refusal(&req) {
            return Err(cause.into());
        }
        let (mut parts, body) = req.into_parts();
        let strip = if tunnel { fields::strip_for_tunnel } else { fields::strip_hop_by_hop };
        let mut map = strip(parts.headers);
        map = fields::set_host(map, host(&parts.uri, parts.version, &self.authority).as_ref());
        if parts.version == Version::HTTP_2 {
            map = fields::join_cookies(map);
        }
        map = self.tell(map, client, parts.version)?;
        if !body.is_end_stream()
            && body.size_hint().exact().is_none()
            && !map.contains_key(CONTENT_LENGTH)
            && !map.contains_key(TRANSFER_ENCODING)
        {
            // Said aloud, since the client takes a GET with a body of unknown length for one
            // without a body.
            map.append(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        if parts.method == Method::OPTIONS {
            count_forward(&mut map);
        }
        parts.headers = map;
        parts.version = Version::HTTP_11;
        parts.uri = target(parts.uri);
        // The client's own connection isn't the origin's to upgrade. The rest crosses: the fields'
        // case lives in there.
        parts.extensions.remove::<OnUpgrade>();
        Ok(Request::from_parts(parts, body))
    }

    /// Writes the fields that concern the way and the place: for requests of clients, and for
    /// central polls in their stead.
    ///
    /// # Errors
    /// The request has been here before.
    pub(super) fn tell(
        &self,
        map: HeaderMap,
        client: Client,
        version: Version,
    ) -> Result<HeaderMap, Error> {
        if fields::came_round(&map, &self.name) {
            return Err(Cause::Loop.into());
        }
        let asked = fields::asked_host(&map);
        let mut map = fields::tell(map, client, asked.as_ref(), &self.forwarding);
        if self.forwarding.via
            && let Some(via) = fields::via(version, &self.name)
        {
            map.append(VIA, via);
        }
        if self.host == OriginHost::Origin {
            map = fields::set_host(map, Some(&(self.authority.clone(), true)));
        }
        Ok(map)
    }

    /// A proxy in front whose word is thrown away breaks apps that build their URLs from it: the
    /// operator should hear of it.
    pub(super) fn warn_of_stranger(&self, map: &HeaderMap, peer: IpAddr) {
        let speaks = map.contains_key("x-forwarded-proto") || map.contains_key("x-forwarded-for");
        if speaks
            && is_private(peer)
            && !fields::trusts(&self.forwarding, peer)
            && !self.warned.swap(true, Ordering::Relaxed)
        {
            let advice = "what it says is replaced; if it is your own proxy, name it there";
            tracing::warn!(%peer, "a peer sends X-Forwarded-* and isn't one of trusted_proxies: \
                                   {advice}");
        }
    }
}

/// True if the peer could be a proxy of the operator's.
fn is_private(peer: IpAddr) -> bool {
    match peer.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Path and query as they came.
fn target(uri: Uri) -> Uri {
    if uri.authority().is_none() {
        return uri;
    }
    // RFC 9112 §3.2.4: "If a proxy receives an OPTIONS request with an absolute-form of
    // request-target in which the URI has an empty path and no query component, then the last proxy
    // on the request chain MUST send a request-target of "*"": that is for forward proxies, whose
    // clients have no other way to say it. Ours have, and mean the root.
    let path = uri.into_parts().path_and_query;
    path.unwrap_or_else(|| PathAndQuery::from_static("/")).into()
}

/// The `Host` to write, if not the one that came.
///
/// RFC 9112 §3.2.2: "When a proxy receives a request with an absolute-form of request-target, the
/// proxy MUST ignore the received Host header field (if any) and instead replace it with the host
/// information of the request-target." HTTP/2 has it in `:authority`; HTTP/1.0 may have none, and
/// HTTP/1.1 must.
fn host(uri: &Uri, version: Version, origin: &HeaderValue) -> Option<(HeaderValue, bool)> {
    match fields::named_host(uri) {
        Some(named) => Some((named, true)),
        None if version == Version::HTTP_10 => Some((origin.clone(), false)),
        None => None,
    }
}

/// RFC 9110 §7.6.2: "the intermediary MUST generate an updated Max-Forwards field" for OPTIONS.
fn count_forward(map: &mut HeaderMap) {
    if let Some(left) = max_forwards(map) {
        map.insert(MAX_FORWARDS, left.saturating_sub(1).into());
    }
}

/// How many hops a request may go on, if it says so.
pub(super) fn max_forwards(map: &HeaderMap) -> Option<u32> {
    map.get(MAX_FORWARDS)?.to_str().ok()?.parse().ok()
}

/// An HTTP/1.1 request as HTTP/2 says it: host and scheme in the target, no fields of the
/// connection. One that is HTTP/2 already, since a connection gave it back unsent, stays as it is.
///
/// # Errors
/// The host isn't one.
pub(super) fn multiplexed(req: Request<Body>, secure: bool) -> Result<Request<Body>, Error> {
    if req.uri().authority().is_some() && !req.headers().contains_key(HOST) {
        return Ok(req);
    }
    let (mut parts, body) = req.into_parts();
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let path = parts.uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let uri = Uri::builder()
        .scheme(if secure { "https" } else { "http" })
        .authority(host)
        .path_and_query(path);
    parts.uri = uri.build().map_err(|error| Error::new(Cause::BadRequest("no host"), error))?;
    let of_http1: [HeaderName; 3] = [HOST, http::header::CONNECTION, TRANSFER_ENCODING];
    parts.headers = fields::without(parts.headers, |name| of_http1.contains(name));
    parts.version = Version::HTTP_2;
    Ok(Request::from_parts(parts, body))
}

/// The reverse of [`multiplexed`]; a request that is HTTP/1.1 already comes back as it is.
pub(super) fn single(req: Request<Body>) -> Request<Body> {
    let (mut parts, body) = req.into_parts();
    if let Some(host) = fields::named_host(&parts.uri) {
        parts.headers = fields::set_host(parts.headers, Some(&(host, true)));
        parts.uri = target(parts.uri);
        parts.version = Version::HTTP_11;
    }
    Request::from_parts(parts, body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;

    fn addressed(req: http::request::Builder) -> Result<Request<Body>, Error> {
        let config = Config::new(Uri::from_static("http://origin:3000"));
        let client = Client { peer: SocketAddr::from(([10, 0, 0, 9], 1)), tls: false };
        let outbound = Outbound::new(&config, "pollcast-1".to_owned());
        outbound.request(req.body(Body::Empty).unwrap(), client, false)
    }

    #[test]
    fn the_target_and_the_host_cross_as_they_are() {
        let req = Request::get("/a%2fb/../c?x=%41&y=[1]&").header(HOST, "app.example");
        let req = addressed(req).unwrap();
        assert_eq!(req.uri(), "/a%2fb/../c?x=%41&y=[1]&");
        assert_eq!(req.headers()[HOST], "app.example");
        let star = addressed(Request::options("*").header(HOST, "a")).unwrap();
        assert_eq!(star.uri().path(), "*");
    }

    #[test]
    fn the_target_names_the_host_where_it_can() {
        let req = Request::get("http://u:p@right:81/x").header(HOST, "wrong");
        let req = addressed(req).unwrap();
        assert_eq!(req.uri(), "/x");
        assert_eq!(req.headers()[HOST], "right:81");
        let req = Request::get("https://h2.example/x").version(Version::HTTP_2);
        let req = addressed(req).unwrap();
        assert_eq!(req.version(), Version::HTTP_11);
        assert_eq!(req.headers()[HOST], "h2.example");
        let req = addressed(Request::get("/x").version(Version::HTTP_10)).unwrap();
        assert_eq!(req.headers()[HOST], "origin:3000");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        for req in [
            Request::get("/"),
            Request::get("/").header(HOST, "a").header(HOST, "b"),
            Request::post("/").header(HOST, "a").header(TRANSFER_ENCODING, "gzip, chunked"),
            Request::connect("a:443").header(HOST, "a"),
            Request::builder().method("TRACE").header(HOST, "a"),
        ] {
            let error = addressed(req).unwrap_err();
            assert_eq!(error.fault(), crate::error::Fault::Client, "{error}");
        }
        let round = Request::get("/").header(HOST, "a").header(VIA, "1.1 pollcast-1");
        assert_eq!(addressed(round).unwrap_err().cause(), Cause::Loop);
    }

    #[test]
    fn http2_says_the_same_in_another_way() {
        let req = Request::get("/x?y").header(HOST, "app:81").header("a", "b");
        let req = multiplexed(req.body(Body::Empty).unwrap(), true).unwrap();
        assert_eq!(
            (req.uri().to_string().as_str(), req.headers().len()),
            ("https://app:81/x?y", 1)
        );
        // For the second try.
        let req = multiplexed(req, true).unwrap();
        assert_eq!(req.uri(), "https://app:81/x?y");
        let req = single(req);
        assert_eq!(req.uri(), "/x?y");
        assert_eq!(req.headers()[HOST], "app:81");
    }
}
