//! From an origin's answer to a snapshot, or the reason why it can't be one.
//!
//! Validity: status 200; a text media type; UTF-8 without a byte order mark (a page's `text()`
//! would drop it); within the body limit; no new value for an identity cookie; no `Vary` beyond the
//! key.

use super::vary::Varies;
use super::{Keyer, Snapshot, StateHash, ignore};
use crate::config::Watch;
use http::{HeaderMap, StatusCode, header};
use tokio::time::Instant;

/// Why an answer can't be pushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Not a 200: pages see for themselves what the origin says.
    Status(StatusCode),
    /// Longer than `limits.body`.
    TooLong,
    /// Not a text media type, not UTF-8, or in an unknown or broken content coding.
    NotText,
    /// It gave an identity cookie a new value: polling in the user's name could end the session.
    Identity(StatusCode),
    /// `Vary` names what can't be part of a key.
    Vary,
    /// `Vary` named a field that wasn't part of the key, and is from now on.
    Rekeyed,
}

impl Refusal {
    /// True if trying again can't help: the endpoint isn't one that can be pushed to this identity.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Identity(_) | Self::Vary | Self::Rekeyed | Self::NotText)
    }
}

/// Reads an answer to a request that this watch matches. `body` is without content coding;
/// `request` is the head that was answered.
///
/// # Errors
/// [`Refusal`] says why it can't be pushed.
pub fn read(
    keyer: &Keyer,
    watch: &Watch,
    request: &HeaderMap,
    (status, headers, body): (StatusCode, &HeaderMap, &[u8]),
    begun: Instant,
) -> Result<Snapshot, Refusal> {
    if keyer.changes_identity(request, headers) {
        return Err(Refusal::Identity(status));
    }
    if status != StatusCode::OK {
        return Err(Refusal::Status(status));
    }
    match keyer.varies(&watch.name, headers) {
        Varies::Within => {}
        Varies::Learnt => return Err(Refusal::Rekeyed),
        Varies::Beyond => return Err(Refusal::Vary),
    }
    if !is_text(headers) || body.starts_with(b"\xef\xbb\xbf") {
        return Err(Refusal::NotText);
    }
    let page = request.get(header::ORIGIN).filter(|origin| {
        // A page of another host may not be let read it.
        !crate::http::fields::is_host(origin, request.get(header::HOST))
    });
    let readable = page.map(|page| readable(page, request, headers));
    if readable.as_ref().is_some_and(Option::is_none) {
        return Err(Refusal::Status(status));
    }
    let text = std::str::from_utf8(body).map_err(|_| Refusal::NotText)?;
    let hash = state_hash(status, headers, body, &watch.ignore);
    let snapshot = Snapshot::new(begun, headers, text, hash);
    Ok(Snapshot { readable: readable.flatten(), ..snapshot })
}

/// True if the media type is text that arrives whole: JSON, XML, `text/*`; never a stream of events
/// or lines.
#[must_use]
pub fn is_text(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let (media, parameters) = value.split_once(';').unwrap_or((value, ""));
    let media = media.trim().to_ascii_lowercase();
    let parameters = parameters.to_ascii_lowercase().replace([' ', '"'], "");
    let charset = parameters.split(';').find_map(|p| p.strip_prefix("charset="));
    if !charset.is_none_or(|charset| matches!(charset, "utf-8" | "utf8" | "us-ascii")) {
        return false;
    }
    match media.as_str() {
        "text/event-stream" => false,
        "application/json" | "application/xml" | "application/graphql-response+json" => true,
        media if media.ends_with("+json") || media.ends_with("+xml") => {
            !media.contains("json-seq") && !media.contains("stream+")
        }
        media => media.starts_with("text/") && !media.contains("ndjson"),
    }
}

/// Fields that change from answer to answer without the state's changing, and those that belong to
/// one message or coding.
const VOLATILE: &[&str] = &[
    "age",
    "alt-svc",
    "connection",
    "content-encoding",
    "content-length",
    "date",
    "etag",
    "expires",
    "keep-alive",
    "last-modified",
    "nel",
    "proxy-connection",
    "ratelimit",
    "report-to",
    "server-timing",
    "set-cookie",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "x-cache",
    "x-cache-hits",
    "x-correlation-id",
    "x-request-id",
    "x-response-time",
    "x-runtime",
    "x-served-by",
    "x-timer",
    "x-trace-id",
];

/// Prefixes of such.
const VOLATILE_PREFIXES: &[&str] =
    &["cf-", "pollcast-", "ratelimit-", "x-amz", "x-ratelimit-", "x-rate-limit-"];

fn is_volatile(name: &str) -> bool {
    VOLATILE.contains(&name) || VOLATILE_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

fn state_hash(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    ignored: &[Vec<String>],
) -> StateHash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&status.as_u16().to_le_bytes());
    let mut fields: Vec<_> = headers
        .iter()
        .filter(|(name, _)| !is_volatile(name.as_str()))
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect();
    fields.sort_by_key(|(name, _)| *name);
    for (name, value) in fields {
        for part in [name.as_bytes(), value] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    hasher.update(&u64::MAX.to_le_bytes());
    let mut at = 0;
    if !ignored.is_empty() {
        for span in ignore::masked(body, ignored) {
            hasher.update(body.get(at..span.start).unwrap_or_default());
            hasher.update(b"\0");
            at = span.end;
        }
    }
    hasher.update(body.get(at..).unwrap_or_default());
    StateHash::of(hasher.finalize())
}

/// The fields that a page of another host may read, as text; `None` if it may not read the answer.
fn readable(
    page: &http::HeaderValue,
    request: &HeaderMap,
    headers: &HeaderMap,
) -> Option<Vec<(String, String)>> {
    /// Fetch standard, "CORS-safelisted response-header name".
    const SAFE: &[&str] = &[
        "cache-control",
        "content-language",
        "content-length",
        "content-type",
        "expires",
        "last-modified",
        "pragma",
    ];
    let mut lines = headers.get_all(header::ACCESS_CONTROL_ALLOW_ORIGIN).iter();
    let (Some(allowed), None) = (lines.next(), lines.next()) else { return None };
    let credentials = request.contains_key(header::COOKIE);
    let with =
        headers.get(header::ACCESS_CONTROL_ALLOW_CREDENTIALS).is_some_and(|value| value == "true");
    let admitted = match allowed.as_bytes() {
        b"*" => !credentials,
        allowed => allowed == page.as_bytes() && (with || !credentials),
    };
    let exposed_too = headers.get_all(header::ACCESS_CONTROL_EXPOSE_HEADERS).iter();
    let exposed_too: Vec<_> = exposed_too
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .map(|name| name.trim().to_ascii_lowercase())
        .collect();
    let all = !credentials && exposed_too.iter().any(|name| name == "*");
    let mut fields = exposed(headers);
    fields.retain(|(name, _)| all || SAFE.contains(&name.as_str()) || exposed_too.contains(name));
    admitted.then_some(fields)
}

/// True if the answer says that it is for one user: `Cache-Control: private`.
pub(super) fn is_private(headers: &HeaderMap) -> bool {
    says(headers, b"private")
}

/// True if no cache keeps it: `Cache-Control: no-store`.
pub(super) fn is_unstored(headers: &HeaderMap) -> bool {
    says(headers, b"no-store")
}

fn says(headers: &HeaderMap, wanted: &[u8]) -> bool {
    let values = headers.get_all(header::CACHE_CONTROL).iter();
    values.flat_map(|value| value.as_bytes().split(|b| *b == b',')).any(|directive| {
        // RFC 9111 §5.2.2.7: with field names it concerns those fields only, which few caches obey.
        let name = directive.split(|b| *b == b'=').next().unwrap_or_default();
        name.trim_ascii().eq_ignore_ascii_case(wanted)
    })
}

/// True for a field that may reach another user than the one whom it was sent to: it is compared,
/// or says nothing of who asked.
pub(super) fn is_common(name: &str) -> bool {
    const COMMON: &[&str] =
        &["age", "content-length", "date", "etag", "expires", "last-modified", "vary"];
    !is_volatile(name) || COMMON.contains(&name)
}

/// The fields that a page may see, as text. `Set-Cookie` is never stored; fields of one message or
/// coding don't fit another.
pub(super) fn exposed(headers: &HeaderMap) -> Vec<(String, String)> {
    const HIDDEN: &[&str] = &[
        "connection",
        "content-encoding",
        "keep-alive",
        "proxy-connection",
        "set-cookie",
        "set-cookie2",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let coded = headers.contains_key(header::CONTENT_ENCODING);
    headers
        .iter()
        .filter(|(name, _)| {
            let name = name.as_str();
            let length_of_coding = coded && name == "content-length";
            !HIDDEN.contains(&name) && !name.starts_with("pollcast-") && !length_of_coding
        })
        .map(|(name, value)| {
            // Latin-1, as browsers read field values.
            let value = value.as_bytes().iter().map(|b| char::from(*b)).collect();
            (name.as_str().to_owned(), value)
        })
        .collect()
}

#[cfg(test)]
mod tests;
