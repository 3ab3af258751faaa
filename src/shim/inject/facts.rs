//! What a request says of the place its answer will be shown in.
//!
//! The rule: the tag goes into what a browser shows as a page, and nowhere else. A script that
//! fetches HTML gets what the origin says, byte for byte.

use super::fields::lists;
use super::validator;
use crate::route::CLIENT_FIELD;
use http::{HeaderMap, HeaderValue, Method, Uri, header};

/// Request fields of libraries that fetch HTML and put it into the page they are in. Said where
/// the browser doesn't: over plain http there is no `Sec-Fetch-Dest`.
const PARTIAL: [&str; 9] = [
    // The script's own mark: what is polled is no page.
    CLIENT_FIELD,
    "hx-request",
    "turbo-frame",
    "x-turbo-request-id",
    "turbolinks-referrer",
    "x-pjax",
    "x-inertia",
    "x-up-version",
    "x-livewire",
];

/// What a request asks for, by `Sec-Fetch-Dest`; browsers send that over https and to localhost
/// only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dest {
    /// A page in a tab.
    Document,
    /// HTML by all signs, which must look like a page to be one: what a frame shows may as well be
    /// the answer to a form upload.
    Html,
    /// Something else: a script, an image, a fetch.
    Other,
}

/// What the rewriting of a response needs to know of its request. Taken before the request goes to
/// the origin.
#[derive(Clone, Debug)]
pub struct RequestFacts {
    /// GET or HEAD: conditions and fields are rewritten.
    pub(super) safe: bool,
    /// HEAD: fields without a body.
    pub(super) head: bool,
    /// What is asked for.
    pub(super) dest: Dest,
    /// A condition names a page with the tag in it.
    pub(super) marked: bool,
    /// Host and port, as the client names us.
    pub(super) authority: Option<String>,
}

impl RequestFacts {
    /// Reads the request as the client sent it.
    #[must_use]
    pub fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
        let authority = host.or_else(|| uri.authority().map(http::uri::Authority::as_str));
        Self {
            safe: method == Method::GET || method == Method::HEAD,
            head: method == Method::HEAD,
            dest: dest(headers),
            marked: validator::any_marked(headers),
            authority: authority.map(str::to_owned),
        }
    }

    /// True if the answer may get the tag.
    #[must_use]
    pub fn wants_page(&self) -> bool {
        self.safe && self.dest != Dest::Other
    }
}

fn dest(headers: &HeaderMap) -> Dest {
    let said = |name: &str| headers.get(name).map(HeaderValue::as_bytes);
    match said("sec-fetch-dest") {
        Some(b"document") => Dest::Document,
        Some(b"iframe" | b"frame") => Dest::Html,
        // A service worker that passes a navigation on: no script can make such a mode up (Fetch
        // standard, "new Request": "If mode is "navigate", then throw a TypeError").
        Some(b"empty") if said("sec-fetch-mode") == Some(b"navigate") => Dest::Html,
        // `<link rel=prefetch>`: no script reads it, and the navigation takes it from the cache.
        Some(b"empty") if is_prefetch(headers) => Dest::Html,
        // All browsers accept HTML by name when they navigate; scripts have to go out of their way.
        None if lists(headers, &header::ACCEPT, "text/html") && !is_partial(headers) => Dest::Html,
        _ => Dest::Other,
    }
}

fn is_prefetch(headers: &HeaderMap) -> bool {
    let is = |name: &str, want: &[u8]| headers.get(name).is_some_and(|v| v.as_bytes() == want);
    is("sec-fetch-mode", b"no-cors") && is("sec-purpose", b"prefetch")
}

fn is_partial(headers: &HeaderMap) -> bool {
    // Not any `X-Requested-With`: web views of apps send their name in it when they navigate.
    let ajax = headers
        .get("x-requested-with")
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"xmlhttprequest"));
    ajax || PARTIAL.iter().any(|name| headers.contains_key(*name))
        || lists(headers, &header::ACCEPT, "text/vnd.turbo-stream.html")
}
