//! Pages on another host than their API.
//!
//! Rule: what such a page may read is for the origin behind us to say. A preflight goes to it
//! without our own field; only where it admits the page is that field admitted too. The own
//! endpoints admit the pages that the configuration names.

use super::Shared;
use super::live::Live;
use crate::config::Mode;
use crate::error::Error;
use crate::http::{Body, Client, fields};
use crate::route::{self, CLIENT_FIELD};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HOST, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

/// How long a browser may remember a preflight's answer, in seconds.
const MAX_AGE: &str = "600";
/// Pages and paths that are remembered as admitted; the oldest go first.
const ADMITTED_MOST: usize = 256;

/// Which pages the origin has lately let read which path: page, path, with credentials.
#[derive(Debug, Default)]
pub struct Admitted(Mutex<VecDeque<(HeaderValue, String, bool)>>);

/// The page's origin, if it is another than ours and the configuration names it.
pub fn page<'a>(live: &Live, headers: &'a HeaderMap) -> Option<&'a HeaderValue> {
    let origin = headers.get(ORIGIN)?;
    let text = origin.to_str().ok()?;
    let named = live.config.cors.origins.iter().any(|known| known == text);
    (named && !fields::is_host(origin, headers.get(HOST))).then_some(origin)
}

/// Lets a page that the configuration names read an own endpoint's answer.
pub fn admit(headers: &mut HeaderMap, page: &HeaderValue) {
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, page.clone());
    headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    headers.append(VARY, HeaderValue::from_static("origin"));
}

/// The answer to a preflight of an own endpoint, or of our own field where the page is admitted.
pub fn allow(page: &HeaderValue, fields: &'static str, credentials: bool) -> Response<Body> {
    let mut response = Response::new(Body::Empty);
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    admit(headers, page);
    if !credentials {
        headers.remove(ACCESS_CONTROL_ALLOW_CREDENTIALS);
    }
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST"));
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(fields));
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static(MAX_AGE));
    response
}

/// True for a preflight.
pub fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    *method == Method::OPTIONS && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// A preflight of a watched URL, from a page that the configuration names.
pub fn is_ours(live: &Live, req: &Request<Body>) -> bool {
    is_preflight(req.method(), req.headers())
        && req.headers().get(ACCESS_CONTROL_REQUEST_METHOD).is_some_and(|method| method == "GET")
        && page(live, req.headers()).is_some()
        && route::pushed(&live.config, req.uri().path()).is_some()
        && live.config.mode >= Mode::Push
}

fn names(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let lines = headers.get_all(ACCESS_CONTROL_REQUEST_HEADERS).iter();
    lines.filter_map(|line| line.to_str().ok()).flat_map(|line| line.split(',')).map(str::trim)
}

/// Asks the origin without our field, which is admitted where the page is. Remembers what else is.
pub async fn preflight(
    shared: &Shared,
    live: &Live,
    mut req: Request<Body>,
    client: Client,
) -> Result<Response<Body>, Error> {
    let Some(page) = page(live, req.headers()).cloned() else {
        return shared.upstream.forward(req, client).await;
    };
    let path = req.uri().path().to_owned();
    shared.metrics.origin_request();
    if !names(req.headers()).any(|name| name.eq_ignore_ascii_case(CLIENT_FIELD)) {
        let response = shared.upstream.forward(req, client).await?;
        shared.preflights.note(&page, &path, &response);
        return Ok(response);
    }
    let rest: Vec<_> =
        names(req.headers()).filter(|name| !name.eq_ignore_ascii_case(CLIENT_FIELD)).collect();
    let (rest, alone) = (rest.join(","), rest.is_empty());
    let headers = std::mem::take(req.headers_mut());
    let mut headers = fields::without(headers, |name| *name == ACCESS_CONTROL_REQUEST_HEADERS);
    if let Some(rest) = HeaderValue::from_str(&rest).ok().filter(|_| !alone) {
        headers.insert(ACCESS_CONTROL_REQUEST_HEADERS, rest);
    }
    *req.headers_mut() = headers;
    let mut response = shared.upstream.forward(req, client).await?;
    shared.preflights.note(&page, &path, &response);
    let admitted = admission(&page, response.headers());
    if response.status().is_success() && admitted.is_some() {
        let ours = HeaderValue::from_static(CLIENT_FIELD);
        response.headers_mut().append(ACCESS_CONTROL_ALLOW_HEADERS, ours);
        return Ok(response);
    }
    // Without our field there would have been no preflight, so the origin may know of none: what
    // it says to the request itself counts.
    let known = shared.admitted.find(&page, &path).filter(|_| alone);
    Ok(known.map_or(response, |credentials| allow(&page, CLIENT_FIELD, credentials)))
}

/// Whether the origin lets the page read this answer, and whether with credentials.
pub fn admission(page: &HeaderValue, headers: &HeaderMap) -> Option<bool> {
    let mut lines = headers.get_all(ACCESS_CONTROL_ALLOW_ORIGIN).iter();
    // Browsers take two lines for a fault.
    let (Some(allowed), None) = (lines.next(), lines.next()) else { return None };
    let credentials =
        headers.get(ACCESS_CONTROL_ALLOW_CREDENTIALS).is_some_and(|value| value == "true");
    match allowed.as_bytes() {
        b"*" => Some(false),
        allowed if allowed == page.as_bytes() => Some(credentials),
        _ => None,
    }
}

/// Lets the page's script read where an answer's state stands, if the page may read the answer.
pub fn expose(response: &mut Response<Body>) {
    if response.headers().contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
        let name = HeaderValue::from_static("pollcast-state");
        response.headers_mut().append(ACCESS_CONTROL_EXPOSE_HEADERS, name);
    }
}

impl Admitted {
    /// The origin answered a GET of this path by this page.
    pub fn note(&self, page: &HeaderValue, path: &str, headers: &HeaderMap) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(other, at, _)| other != page || at != path);
        if let Some(credentials) = admission(page, headers) {
            known.push_back((page.clone(), path.to_owned(), credentials));
            let over = known.len().saturating_sub(ADMITTED_MOST);
            known.drain(..over);
        }
    }

    fn find(&self, page: &HeaderValue, path: &str) -> Option<bool> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = known.iter().find(|(other, at, _)| other == page && at == path);
        found.map(|(_, _, credentials)| *credentials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_origins_own_word_admits_a_page() {
        let page = HeaderValue::from_static("https://app.example");
        for (allowed, credentials, want) in [
            (&["https://app.example"][..], "true", Some(true)),
            (&["https://app.example"], "false", Some(false)),
            (&["*"], "true", Some(false)),
            (&["https://app.example.evil"], "true", None),
            (&["https://APP.example"], "true", None),
            (&["null"], "true", None),
            (&["https://app.example", "*"], "true", None),
            (&[], "true", None),
        ] {
            let mut headers = HeaderMap::new();
            for line in allowed {
                headers.append(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static(line));
            }
            let value = HeaderValue::from_static(credentials);
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, value);
            assert_eq!(admission(&page, &headers), want, "{allowed:?}");
        }
    }
}
