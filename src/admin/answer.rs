//! Request → answer, on one screen.

use super::{Desk, alarms};
use crate::http::Body;
use crate::telemetry::CONTENT_TYPE;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE as TYPE, HOST, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use std::net::IpAddr;

const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// Answers one request, whose body has been read.
pub(super) fn answer(request: &Request<Bytes>, desk: &Desk) -> Response<Body> {
    if !host_is_direct(request) {
        let text = "Pollcast: use an IP address or localhost to reach this listener\n";
        return plain(StatusCode::FORBIDDEN, TEXT, text);
    }
    let path = request.uri().path();
    if !matches!(path, "/metrics" | "/healthz" | "/readyz" | "/alarms" | "/restore") {
        let text = "Pollcast: there is /metrics, /healthz, /readyz, /alarms and /restore\n";
        return plain(StatusCode::NOT_FOUND, TEXT, text);
    }
    let (allow, fits) = match path {
        "/restore" => ("POST", *request.method() == Method::POST),
        _ => ("GET, HEAD", matches!(*request.method(), Method::GET | Method::HEAD)),
    };
    if !fits {
        let text = format!("Pollcast: {allow} only\n");
        let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, TEXT, text);
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
        return response;
    }
    let hub = desk.hub.get();
    match (path, desk.ready.why_not()) {
        ("/alarms", _) => plain(StatusCode::OK, JSON, alarms::list(hub)),
        ("/restore", _) => match alarms::restore(hub, request.headers(), request.body()) {
            Ok(()) => plain(StatusCode::OK, TEXT, "restored\n"),
            Err((status, why)) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
                plain(status, TEXT, format!("Pollcast: {why}\n"))
            }
        },
        ("/metrics", _) => plain(StatusCode::OK, CONTENT_TYPE, desk.metrics.encode()),
        ("/healthz", _) | (_, None) => plain(StatusCode::OK, TEXT, "ok\n"),
        (_, Some(reason)) => {
            plain(StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("not ready: {reason}\n"))
        }
    }
}

/// A page of another site can point its own name at our address (DNS rebinding) and would then read
/// us as its own origin; its requests carry that name. A client that sends no Host is no browser.
fn host_is_direct<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) => request.uri().host().is_none_or(is_direct),
        (Some(host), None) => host.to_str().is_ok_and(is_direct),
        (Some(_), Some(_)) => false,
    }
}

fn is_direct(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

fn plain(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response<Body> {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    let fields = response.headers_mut();
    fields.insert(TYPE, HeaderValue::from_static(kind));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    fields.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Ready;
    use crate::telemetry::Metrics;
    use std::sync::Arc;

    fn ask(method: &str, path: &str, host: Option<&str>, ready: &Ready) -> Response<Body> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        let desk = Desk { metrics: Metrics::new(), ready: ready.clone(), hub: Arc::default() };
        answer(&request.body(Bytes::new()).unwrap(), &desk)
    }

    #[test]
    fn each_path_has_its_status() {
        let ready = Ready::new();
        ready.yes();
        for (method, path, want) in [
            ("GET", "/metrics", 200),
            ("GET", "/healthz", 200),
            ("HEAD", "/healthz", 200),
            ("GET", "/readyz", 200),
            ("POST", "/metrics", 405),
            ("GET", "/alarms", 200),
            ("GET", "/restore", 405),
            ("POST", "/restore", 403),
            ("GET", "/", 404),
            ("POST", "/x", 404),
        ] {
            let got = ask(method, path, Some("127.0.0.1:9090"), &ready).status();
            assert_eq!(got, want, "{method} {path}");
        }
    }

    #[test]
    fn not_ready_says_why_and_is_healthy() {
        let ready = Ready::new();
        assert_eq!(ask("GET", "/readyz", None, &ready).status(), 503);
        assert_eq!(ask("GET", "/healthz", None, &ready).status(), 200);
        ready.yes();
        assert_eq!(ask("GET", "/readyz", None, &ready).status(), 200);
        ready.clone().not("draining");
        let Body::Full(text) = ask("GET", "/readyz", None, &ready).into_body() else { panic!() };
        assert_eq!(text, "not ready: draining\n");
    }

    #[test]
    fn another_sites_name_is_refused() {
        for (host, want) in [
            ("localhost", true),
            ("LOCALHOST:9090", true),
            ("127.0.0.1:9090", true),
            ("[::1]:9090", true),
            ("10.1.2.3", true),
            ("evil.example", false),
            ("127.0.0.1.evil.example:9090", false),
            ("localhost.evil.example", false),
            ("[evil.example]", false),
            ("", false),
        ] {
            let status = ask("GET", "/metrics", Some(host), &Ready::new()).status();
            assert_eq!(status == 200, want, "{host}");
        }
    }
}
