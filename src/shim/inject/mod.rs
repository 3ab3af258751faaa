//! Writes the script tag into HTML pages on their way through.
//!
//! A page is a document that a browser shows: its bytes change by the tag, its validators by a
//! suffix, and nothing else changes. Whatever isn't surely a page, and every page that can't be
//! rewritten, goes on as it came (fail open).

mod coding;
mod page;
mod place;
mod policy;
#[cfg(test)]
mod tests;
mod validator;

use crate::http::Body;
use bytes::Bytes;
use coding::Coding;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, Uri, header};
use page::Page;
use policy::{Ruling, Site};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// What became of a response to a request for a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The tag is in.
    Injected,
    /// Not HTML, or not to be shown (an attachment).
    NotHtml,
    /// The page's policy would block the tag or the stream.
    Csp,
    /// A content coding or character encoding that can't be rewritten.
    Encoding,
    /// HTML, but not a whole page.
    Fragment,
    /// Broken coding, or no head within the limit.
    Failed,
    /// `Cache-Control: no-transform`.
    NoTransform,
}

impl Outcome {
    /// All of them, in the order of their labels' first use.
    pub const ALL: [Self; 7] = [
        Self::Injected,
        Self::NotHtml,
        Self::Csp,
        Self::Encoding,
        Self::Fragment,
        Self::Failed,
        Self::NoTransform,
    ];

    /// As a metric label.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Injected => "injected",
            Self::NotHtml => "not_html",
            Self::Csp => "csp",
            Self::Encoding => "encoding",
            Self::Fragment => "fragment",
            Self::Failed => "failed",
            Self::NoTransform => "no_transform",
        }
    }
}

/// Is told what became of each page: once, when it is known (that may be while its body streams).
pub type Report = Arc<dyn Fn(Outcome) + Send + Sync>;

/// What a request asks for, by `Sec-Fetch-Dest`; browsers send that over https and to localhost
/// only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dest {
    /// A page in a tab.
    Document,
    /// A page in a frame: may as well be the answer to a form upload, so it must look like a page.
    Frame,
    /// Not said, but HTML is accepted by name.
    Html,
    /// Not said.
    Unknown,
    /// Something else: a script, an image, a fetch.
    Other,
}

/// What the rewriting of a response needs to know of its request. Taken before the request goes to
/// the origin.
#[derive(Clone, Debug)]
pub struct RequestFacts {
    /// GET or HEAD: conditions are rewritten.
    safe: bool,
    /// GET: the body is rewritten.
    get: bool,
    /// What is asked for.
    dest: Dest,
    /// A condition names a page with the tag in it.
    marked: bool,
    /// Host and port, as the client names us.
    authority: Option<String>,
}

impl RequestFacts {
    /// Reads the request as the client sent it.
    #[must_use]
    pub fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let dest = match headers.get("sec-fetch-dest").map(HeaderValue::as_bytes) {
            Some(b"document") => Dest::Document,
            Some(b"iframe" | b"frame") => Dest::Frame,
            Some(_) => Dest::Other,
            None if accepts_html(headers) => Dest::Html,
            None => Dest::Unknown,
        };
        let host = headers.get(header::HOST).and_then(|value| value.to_str().ok());
        let authority = host.or_else(|| uri.authority().map(http::uri::Authority::as_str));
        Self {
            safe: method == Method::GET || method == Method::HEAD,
            get: method == Method::GET,
            dest,
            marked: validator::any_marked(headers),
            authority: authority.map(str::to_owned),
        }
    }

    fn wants_page(&self) -> bool {
        matches!(self.dest, Dest::Document | Dest::Frame | Dest::Html)
    }
}

/// Writes the script tag into pages.
#[derive(Clone)]
pub struct Injector {
    /// Path of the script.
    script: String,
    /// Path of the stream.
    stream: String,
    /// Whom to tell.
    report: Report,
    /// Reasons that were logged: each is said once, not once per page. Never held across an await.
    said: Arc<Mutex<BTreeSet<&'static str>>>,
}

impl std::fmt::Debug for Injector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Injector").field("script", &self.script).finish_non_exhaustive()
    }
}

impl Injector {
    /// `prefix`: path prefix of the own endpoints, as in [`crate::config::Config::prefix`].
    #[must_use]
    pub fn new(prefix: &str, report: Report) -> Self {
        Self {
            script: format!("{prefix}/shim.js"),
            stream: format!("{prefix}/stream"),
            report,
            said: Arc::default(),
        }
    }

    /// The request's fields as the origin should see them, so that its answer can be rewritten.
    #[must_use]
    pub fn request(&self, facts: &RequestFacts, headers: HeaderMap) -> HeaderMap {
        if !facts.safe || !(facts.wants_page() || facts.marked) {
            return headers;
        }
        rebuild(headers, |name, value| match *name {
            header::IF_NONE_MATCH => validator::condition(&value),
            // RFC 9110 §13.1.3: ignored where there is an If-None-Match, and without one it could
            // confirm a page that was cached without the tag.
            header::IF_MODIFIED_SINCE => facts.marked.then_some(value),
            header::ACCEPT_ENCODING if facts.wants_page() => Some(rewritable_codings(value)),
            _ => Some(value),
        })
    }

    /// The response as the client should see it.
    #[must_use]
    pub fn response(&self, facts: &RequestFacts, response: Response<Body>) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        if parts.status == StatusCode::NOT_MODIFIED {
            if facts.safe && facts.marked {
                parts.headers = rebuild(parts.headers, mark_etag);
            }
            return Response::from_parts(parts, body);
        }
        if !facts.get || facts.dest == Dest::Other || !may_be_page(parts.status, &parts.headers) {
            return Response::from_parts(parts, body);
        }
        match self.plan(facts, &parts.headers) {
            Err(outcome) => {
                (self.report)(outcome);
                Response::from_parts(parts, body)
            }
            Ok((tag, coding)) => {
                parts.headers = rebuild(parts.headers, rewritten_field);
                let sure = facts.dest == Dest::Document;
                let page = Page::new(body, tag, coding, sure, Arc::clone(&self.report));
                Response::from_parts(parts, Body::boxed(page))
            }
        }
    }

    /// The tag and the coding; or why the page is left alone.
    fn plan(&self, facts: &RequestFacts, headers: &HeaderMap) -> Result<(Bytes, Coding), Outcome> {
        if !is_html(headers) {
            return Err(Outcome::NotHtml);
        }
        let Some(coding) = Coding::of(headers).filter(|_| ascii_superset(headers)) else {
            self.say("encoding", "its content coding or character encoding can't be rewritten");
            return Err(Outcome::Encoding);
        };
        if lists(headers, &header::CACHE_CONTROL, "no-transform") {
            self.say("no-transform", "it says Cache-Control: no-transform");
            return Err(Outcome::NoTransform);
        }
        let site = Site {
            authority: facts.authority.as_deref(),
            script: &self.script,
            stream: &self.stream,
        };
        let script = &self.script;
        match policy::ask(headers, &site) {
            Ruling::Runs => Ok((format!("<script src=\"{script}\"></script>").into(), coding)),
            Ruling::Nonce(nonce) => {
                let tag = format!("<script src=\"{script}\" nonce=\"{nonce}\"></script>");
                Ok((tag.into(), coding))
            }
            Ruling::Blocked(reason) => {
                self.say(reason, "its policies block the script or its stream");
                Err(Outcome::Csp)
            }
        }
    }

    /// Logs a reason once.
    fn say(&self, reason: &'static str, why: &'static str) {
        let new = self.said.lock().unwrap_or_else(PoisonError::into_inner).insert(reason);
        if new {
            tracing::info!(reason, "a page is left without the script tag: {why}");
        }
    }
}

/// Rebuilds the fields with some changed or dropped. `HeaderMap::remove` would move the last field
/// into the hole.
fn rebuild(
    headers: HeaderMap,
    mut change: impl FnMut(&HeaderName, HeaderValue) -> Option<HeaderValue>,
) -> HeaderMap {
    let mut rebuilt = HeaderMap::with_capacity(headers.len());
    let mut last = None;
    for (name, value) in headers {
        // The iterator names a field once, then gives its further values without a name.
        last = name.or(last);
        if let Some(name) = &last
            && let Some(value) = change(name, value)
        {
            rebuilt.append(name.clone(), value);
        }
    }
    rebuilt
}

fn mark_etag(name: &HeaderName, value: HeaderValue) -> Option<HeaderValue> {
    if name == header::ETAG { validator::marked(&value) } else { Some(value) }
}

/// The fields that describe the origin's bytes no longer hold.
fn rewritten_field(name: &HeaderName, value: HeaderValue) -> Option<HeaderValue> {
    match name.as_str() {
        "content-length" | "content-md5" | "digest" | "content-digest" | "repr-digest" => None,
        "accept-ranges" => Some(HeaderValue::from_static("none")),
        _ => mark_etag(name, value),
    }
}

/// The codings that a response could be decoded from. Others (dictionaries, `*`) would make the
/// page unrewritable.
fn rewritable_codings(value: HeaderValue) -> HeaderValue {
    let Ok(text) = value.to_str() else { return value };
    let kept: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|entry| {
            let token = entry.split(';').next().unwrap_or("").trim();
            Coding::from_token(token).is_some()
        })
        .collect();
    let list = if kept.is_empty() { "identity".to_owned() } else { kept.join(", ") };
    HeaderValue::try_from(list).unwrap_or(value)
}

fn accepts_html(headers: &HeaderMap) -> bool {
    lists(headers, &header::ACCEPT, "text/html")
}

/// True if a comma-separated field has this member, parameters aside.
fn lists(headers: &HeaderMap, name: &HeaderName, member: &str) -> bool {
    headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).any(|text| {
        text.split(',')
            .any(|item| item.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case(member))
    })
}

/// True if a browser could show the body of such a response as a page of its own.
fn may_be_page(status: StatusCode, headers: &HeaderMap) -> bool {
    let shown = status.is_success() || status.is_client_error() || status.is_server_error();
    let whole = !matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::RESET_CONTENT | StatusCode::PARTIAL_CONTENT
    );
    shown && whole && !headers.contains_key(header::CONTENT_RANGE)
}

/// The media type and its parameters; `None` if there isn't exactly one.
fn media_type(headers: &HeaderMap) -> Option<(&str, &str)> {
    let mut values = headers.get_all(header::CONTENT_TYPE).iter();
    let text = values.next()?.to_str().ok()?;
    let parts = text.split_once(';').unwrap_or((text, ""));
    values.next().is_none().then_some(parts)
}

fn is_html(headers: &HeaderMap) -> bool {
    let html = media_type(headers)
        .is_some_and(|(essence, _)| essence.trim().eq_ignore_ascii_case("text/html"));
    let saved = headers.get(header::CONTENT_DISPOSITION).is_some_and(|value| {
        let text = value.as_bytes().trim_ascii_start();
        text.len() >= 10 && text[..10].eq_ignore_ascii_case(b"attachment")
    });
    html && !saved
}

/// False for the encodings (WHATWG Encoding, §4.2) in which the tag's bytes, or the page's own
/// `<`, mean something else.
fn ascii_superset(headers: &HeaderMap) -> bool {
    let Some((_, parameters)) = media_type(headers) else { return false };
    let Some(charset) = parameters.split(';').find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("charset").then_some(value)
    }) else {
        return true;
    };
    let label = charset.trim().trim_matches(['"', '\'']).trim().to_ascii_lowercase();
    let others = [
        "utf-16",
        "utf16",
        "utf-32",
        "utf-7",
        "ucs-",
        "unicode",
        "csunicode",
        "iso-2022",
        "csiso2022",
        "iso-10646-ucs",
        "hz-",
        "replacement",
    ];
    !others.iter().any(|prefix| label.starts_with(prefix))
}
