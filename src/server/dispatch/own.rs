//! The own endpoints: script, mode, event stream, plain server-sent events.

use super::live::Live;
use super::seats::{Once, Seated};
use super::wishes::wish;
use super::{Reply, Shared, cors};
use crate::config::Mode;
use crate::http::{Body, Client, Frame, fields};
use crate::hub::{View, Wish};
use crate::route::{self, Own};
use crate::stream::{
    Bye, EventStream, Fault, Pace, StreamRequest, Wanted, frames, is_target, plain_fields,
};
use crate::watch::{Common, StateHash, Target, unix_ms};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Limited};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The parameter that asks the plain view for whole bodies.
const FULL: &str = "__pollcast=full";

/// Fields of a stream request: as many as any request over HTTP/1.1 may have. Over HTTP/2 a head
/// could have far more of them, each with its place in every topic.
const MOST_FIELDS: usize = 100;

/// No heart beats faster: each costs a wake-up.
const FASTEST_BEAT: Duration = Duration::from_millis(500);

/// Answers a request under the prefix, from this peer.
pub async fn answer(
    shared: &Shared,
    live: &Arc<Live>,
    (own, client): (Own, Client),
    mut req: Request<Body>,
) -> Reply {
    // What concerns the client's connection isn't the central poll's.
    let headers = std::mem::take(req.headers_mut());
    *req.headers_mut() = fields::strip_hop_by_hop(headers);
    let page = cors::page(live, req.headers()).cloned();
    if let (Some(page), true) = (&page, cors::is_preflight(req.method(), req.headers())) {
        let fields = "content-type, last-event-id";
        return Reply::Response(cors::allow(page, fields, true));
    }
    let get = req.method() == Method::GET || req.method() == Method::HEAD;
    let bodied = !req.body().is_end_stream();
    let result = match own {
        Own::Script if get => Ok(Reply::Response(live.scripts.shim.respond(req.headers()))),
        Own::Worker if get => Ok(Reply::Response(live.scripts.worker.respond(req.headers()))),
        Own::Mode if get => Ok(Reply::Response(live.scripts.respond_mode())),
        Own::Stream if req.method() == Method::POST => stream(shared, live, req, client).await,
        Own::Leave(at) if req.method() == Method::POST => leave(shared, live, &req, at),
        Own::Plain(at) if req.method() == Method::GET => plain(shared, live, (at, client), &req),
        Own::Stream | Own::Leave(_) => Err(not_allowed("POST")),
        Own::Script | Own::Worker | Own::Mode | Own::Plain(_) => Err(not_allowed("GET")),
        Own::Unknown => Err(error(StatusCode::NOT_FOUND, "no such endpoint of Pollcast")),
    };
    let mut reply = result.unwrap_or_else(|response| Reply::Response(*response));
    if let Some(page) = &page {
        match &mut reply {
            Reply::Response(response) => cors::admit(response.headers_mut(), page),
            Reply::Stream { head, .. } => cors::admit(head.headers_mut(), page),
            Reply::Tunnel { .. } => {}
        }
    }
    match reply {
        Reply::Response(mut response) if bodied => {
            // Its body may be unread. RFC 9112 §9.3: "A server MUST read the entire request message
            // body or close the connection after sending its response; otherwise, the remaining
            // data on a persistent connection would be misinterpreted as the next request."
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
            Reply::Response(response)
        }
        reply => reply,
    }
}

async fn stream(
    shared: &Shared,
    live: &Arc<Live>,
    req: Request<Body>,
    client: Client,
) -> Result<Reply, Box<Response<Body>>> {
    let asked = Instant::now();
    admit(live, req.headers())?;
    let config = &live.config;
    if config.mode < Mode::Push {
        return Ok(off(shared, config.stream.off_retry));
    }
    fits(shared, live, req.headers())?;
    let (parts, body) = req.into_parts();
    let body = Limited::new(body, config.limits.stream_request).collect();
    let body = match tokio::time::timeout(config.timeouts.client_head, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(fault)) if fault.is::<http_body_util::LengthLimitError>() => {
            let most = config.limits.stream_request;
            let text = format!("the stream request is over {most} bytes (limits.stream_request)");
            return Err(error(StatusCode::PAYLOAD_TOO_LARGE, &text));
        }
        Ok(Err(_)) => return Err(error(StatusCode::BAD_REQUEST, "the request's body broke off")),
        Err(_) => {
            return Err(error(StatusCode::REQUEST_TIMEOUT, "the request's body took too long"));
        }
    };
    let most = config.limits.topics_per_stream;
    let request = StreamRequest::parse(&body, &parts.headers, most).map_err(|fault| {
        if matches!(fault, Fault::TooMany(..)) {
            shared.metrics.limit("topics_per_stream");
        }
        error(StatusCode::BAD_REQUEST, &fault.to_string())
    })?;
    let page = cors::page(live, &parts.headers);
    let mut common = Common::default();
    let busters = &config.identity.cache_busters;
    let is_disputed = |raw: &str, now| Target::is_disputed(raw, busters, [now, unix_ms()]);
    let wish = |mut wanted: Wanted| {
        if request.now_ms.is_some_and(|now| is_disputed(&wanted.target, now)) {
            return Err("clock");
        }
        if let Some(page) = page {
            if !shared.preflights.admits(page, &wanted) {
                return Err("unwatched");
            }
            // The app's own request carries it, and the origin's answer speaks of it.
            wanted.headers.insert(header::ORIGIN, page.clone());
        }
        wish(shared, live, &wanted, (client, asked), &mut common)
    };
    let wishes = request.topics.into_iter().map(wish).collect();
    let address = live.address_of(&parts.headers, client);
    open(shared, live, (wishes, View::Shim, request.name), address)
}

fn leave(
    shared: &Shared,
    live: &Live,
    req: &Request<Body>,
    at: usize,
) -> Result<Reply, Box<Response<Body>>> {
    admit(live, req.headers())?;
    shared.named.leave(req.uri().path().get(at..).unwrap_or_default());
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    Ok(Reply::Response(response))
}

fn plain(
    shared: &Shared,
    live: &Arc<Live>,
    (at, client): (usize, Client),
    req: &Request<Body>,
) -> Result<Reply, Box<Response<Body>>> {
    admit(live, req.headers())?;
    if live.config.mode < Mode::Push {
        return Ok(off(shared, live.config.stream.off_retry));
    }
    fits(shared, live, req.headers())?;
    let whole = req.uri().path_and_query().map_or("", |target| target.as_str());
    let (target, view) = view(whole.get(at..).unwrap_or_default());
    if !is_target(&target) {
        let text = "what follows /sse must be a path and query on this host";
        return Err(error(StatusCode::BAD_REQUEST, text));
    }
    let path = target.split('?').next().unwrap_or_default();
    if route::pushed(&live.config, path).is_none() {
        let text = format!("no watch of mode push matches {path}: name it in a [[watch]]");
        return Err(error(StatusCode::NOT_FOUND, &text));
    }
    let last = req.headers().get("last-event-id").and_then(|id| id.to_str().ok());
    let mut headers = plain_fields(req.headers());
    if let Some(page) = cors::page(live, req.headers()) {
        // Whether it may read the answer is for the origin to say, here too.
        headers.insert(header::ORIGIN, page.clone());
    }
    let have = last.and_then(StateHash::parse);
    let wanted = Wanted { target, headers, own: Vec::new(), have, every: None };
    let address = live.address_of(req.headers(), client);
    let asked = (client, Instant::now());
    let wishes = vec![wish(shared, live, &wanted, asked, &mut Common::default())];
    open(shared, live, (wishes, view, None), address)
}

/// The origin's target, and how the caller wants changes.
fn view(target: &str) -> (String, View) {
    let Some((path, query)) = target.split_once('?') else {
        return (target.to_owned(), View::Patch);
    };
    if !query.split('&').any(|pair| pair == FULL) {
        return (target.to_owned(), View::Patch);
    }
    let kept: Vec<_> = query.split('&').filter(|pair| *pair != FULL).collect();
    let target = match kept.is_empty() {
        true => path.to_owned(),
        false => format!("{path}?{}", kept.join("&")),
    };
    (target, View::Full)
}

fn open(
    shared: &Shared,
    live: &Arc<Live>,
    (wishes, view, name): (Vec<Result<Wish, &'static str>>, View, Option<String>),
    address: IpAddr,
) -> Result<Reply, Box<Response<Body>>> {
    let full = |text: &str| {
        let mut response = error(StatusCode::SERVICE_UNAVAILABLE, text);
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("30"));
        response
    };
    let seat = shared.seats.take(address, live.config.limits.streams_per_client);
    let seat = seat.ok_or_else(|| {
        shared.metrics.limit("streams_per_client");
        full("too many streams of one client: limits.streams_per_client is reached")
    })?;
    let subscriber = shared.hub.subscribe(wishes, view).map_err(|at| full(&at.to_string()))?;
    if let Some(reply) = overtaken(shared, live) {
        return Ok(reply);
    }
    let times = &live.config.stream;
    let fastest = subscriber.fastest().unwrap_or(times.beat);
    let beat = match view {
        View::Shim => (fastest / 2).clamp(FASTEST_BEAT.min(times.beat), times.beat),
        View::Patch | View::Full => times.beat,
    };
    let pace = Pace {
        beat,
        lifetime: shared.hub.jitter(times.lifetime),
        retry: shared.hub.jitter(Duration::from_millis(200)),
    };
    let hello =
        (view == View::Shim).then(|| frames::hello(shared.hub.epoch(), pace.beat, pace.silence()));
    let frames = Box::new(EventStream::new(subscriber, hello, pace));
    let frames = shared.named.name(name, Box::new(Seated::new(frames, seat)));
    Ok(Reply::Stream { head: stream_head(), frames })
}

/// The end of a stream whose request took so long that other rules are in force, or that the
/// process leaves: it has missed what all streams were told. Looked at once the stream is
/// registered, so that between the two nothing can pass it by.
fn overtaken(shared: &Shared, live: &Arc<Live>) -> Option<Reply> {
    let now = shared.live.load_full();
    if shared.drain.is_leaving() {
        Some(bye(shared, "drain", Duration::from_millis(500)))
    } else if now.config.mode < Mode::Push {
        Some(off(shared, now.config.stream.off_retry))
    } else if !Arc::ptr_eq(&now, live) {
        Some(bye(shared, "lifetime", Duration::from_millis(500)))
    } else {
        None
    }
}

/// A stream that says only that nothing is pushed, and when to ask again.
fn off(shared: &Shared, retry: Duration) -> Reply {
    bye(shared, "off", retry)
}

fn bye(shared: &Shared, reason: &'static str, retry: Duration) -> Reply {
    let bye = Bye { reason, retry: shared.hub.jitter(retry) };
    shared.metrics.bye(bye.reason);
    let frame = Frame { head: Bytes::new(), shared: frames::bye(bye.reason, bye.retry) };
    Reply::Stream { head: stream_head(), frames: Box::new(Once(Some(frame))) }
}

fn stream_head() -> Response<()> {
    let mut head = Response::new(());
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
        // Otherwise nginx in front collects events until a buffer is full.
        (header::HeaderName::from_static("x-accel-buffering"), "no"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        head.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    head
}

/// Pages of this host, and those that the configuration names.
fn admit(live: &Live, headers: &HeaderMap) -> Result<(), Box<Response<Body>>> {
    if cors::page(live, headers).is_some() {
        return Ok(());
    }
    same_origin(headers)
}

/// A stream's fields are kept while it is open. A cap of their own: `limits.head` is what one
/// message may have, and a client may have many streams.
fn fits(shared: &Shared, live: &Live, headers: &HeaderMap) -> Result<(), Box<Response<Body>>> {
    let most = live.config.limits.stream_head;
    let bytes: usize = headers.iter().map(|(n, v)| n.as_str().len() + v.len()).sum();
    if bytes <= most && headers.len() <= MOST_FIELDS {
        return Ok(());
    }
    shared.metrics.limit("stream_head");
    let text = format!(
        "the fields of a stream request, cookies included, are over {most} bytes \
         (limits.stream_head), or more than {MOST_FIELDS}"
    );
    Err(error(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, &text))
}

/// Another site's page must not open streams with this user's cookies. Browsers say where a request
/// comes from in fields that pages can't set; a client that sends neither is no browser.
fn same_origin(headers: &HeaderMap) -> Result<(), Box<Response<Body>>> {
    let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
    let foreign = match (site, headers.get(header::ORIGIN)) {
        (Some(b"same-origin" | b"none"), _) | (None, None) => false,
        (Some(_), _) => true,
        (None, Some(origin)) => !fields::is_host(origin, headers.get(header::HOST)),
    };
    match foreign {
        true => Err(error(
            StatusCode::FORBIDDEN,
            "streams are for pages of the same origin, and of those in cors.origins",
        )),
        false => Ok(()),
    }
}

fn not_allowed(allow: &'static str) -> Box<Response<Body>> {
    let text = format!("this endpoint takes {allow} only");
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, &text);
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static(allow));
    response
}

fn error(status: StatusCode, text: &str) -> Box<Response<Body>> {
    let body = serde_json::json!({ "error": text }).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Box::new(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_is_no_part_of_the_target() {
        for (target, want, full) in [
            ("/a", "/a", false),
            ("/a?x=1", "/a?x=1", false),
            ("/a?__pollcast=full", "/a", true),
            ("/a?x=1&__pollcast=full&y", "/a?x=1&y", true),
        ] {
            let (got, view) = view(target);
            assert_eq!((got.as_str(), view == View::Full), (want, full), "{target}");
        }
    }

    #[test]
    fn other_sites_are_told_apart() {
        let check = |fields: &[(&'static str, &'static str)]| {
            let headers: HeaderMap = fields
                .iter()
                .map(|(n, v)| {
                    (n.parse::<header::HeaderName>().unwrap(), HeaderValue::from_static(v))
                })
                .collect();
            same_origin(&headers).is_ok()
        };
        assert!(check(&[]));
        assert!(check(&[("sec-fetch-site", "same-origin"), ("origin", "http://h")]));
        assert!(!check(&[("sec-fetch-site", "same-site")]));
        assert!(!check(&[("sec-fetch-site", "cross-site")]));
        assert!(check(&[("origin", "http://h:1"), ("host", "h:1")]));
        assert!(!check(&[("origin", "http://h:2"), ("host", "h:1")]));
        assert!(!check(&[("origin", "null"), ("host", "h:1")]));
    }
}
