//! What a client asks of a stream.

use crate::watch::StateHash;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use serde::Deserialize;
use std::time::Duration;

/// A stream request, checked.
#[derive(Debug)]
pub struct StreamRequest {
    /// What the client calls this stream, should it have to leave it in a hurry.
    pub name: Option<String>,
    /// The client's clock as it asked, in milliseconds since 1970.
    pub now_ms: Option<u64>,
    /// Topics, in the client's order: events name them by index.
    pub topics: Vec<Wanted>,
}

/// One topic that a client wants.
#[derive(Debug)]
pub struct Wanted {
    /// Path and query as the app sent them.
    pub target: String,
    /// The request that the app would make: the stream request's own browser fields, and those
    /// that the app set.
    pub headers: HeaderMap,
    /// Which of them the app set.
    pub own: Vec<HeaderName>,
    /// State hash of the body that the client holds.
    pub have: Option<StateHash>,
    /// How often the app polls.
    pub every: Option<Duration>,
}

/// Why a stream request is refused. The text says what is wrong and what to do.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not JSON, or not of the form.
    #[error("the stream request is not of the form {{\"client\", \"topics\": […]}}: {0}")]
    Form(String),
    /// The client id has other characters or another length.
    #[error("client (and name, if any) must be 1 to 64 of [A-Za-z0-9_-]")]
    Client,
    /// Not one topic.
    #[error("topics is empty: name at least one")]
    NoTopics,
    /// Over the cap.
    #[error("{0} topics in one stream: at most {1} (limits.topics_per_stream)")]
    TooMany(usize, usize),
    /// Not a path.
    #[error("topics[{0}].url must be a path and query on this host, like /api/x?y=1")]
    Url(usize),
    /// A field that can't be sent.
    #[error("topics[{0}].headers has a field that is not valid in HTTP")]
    Field(usize),
}

#[derive(Deserialize)]
struct Form {
    client: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    now_ms: Option<u64>,
    topics: Vec<Topic>,
}

#[derive(Deserialize)]
struct Topic {
    url: String,
    #[serde(default)]
    headers: Fields,
    #[serde(default)]
    have: Option<String>,
    #[serde(default)]
    every_ms: Option<u64>,
    #[serde(default)]
    credentials: Option<bool>,
}

/// Fields as pairs, or as an object: both are natural to write.
#[derive(Deserialize)]
#[serde(untagged)]
enum Fields {
    Pairs(Vec<(String, String)>),
    Object(std::collections::BTreeMap<String, String>),
}

impl Default for Fields {
    fn default() -> Self {
        Self::Pairs(Vec::new())
    }
}

/// Cadences outside this range are a mistake or an attack on the poller's arithmetic.
const SLOWEST: Duration = Duration::from_secs(24 * 3600);

impl StreamRequest {
    /// Reads a request body. `own` are the fields of the stream request itself.
    ///
    /// # Errors
    /// [`Fault`], for a 400.
    pub fn parse(body: &[u8], own: &HeaderMap, most: usize) -> Result<Self, Fault> {
        let form: Form =
            serde_json::from_slice(body).map_err(|error| Fault::Form(error.to_string()))?;
        let named = form.name.as_deref().is_none_or(crate::route::client_id_ok);
        if !named || !crate::route::client_id_ok(&form.client) {
            return Err(Fault::Client);
        }
        match form.topics.len() {
            0 => return Err(Fault::NoTopics),
            count if count > most => return Err(Fault::TooMany(count, most)),
            _ => {}
        }
        let base = browser_fields(own);
        let topics = form.topics.into_iter().enumerate();
        let topics = topics.map(|(index, topic)| wanted(index, topic, &base));
        let topics = topics.collect::<Result<_, _>>()?;
        Ok(Self { name: form.name, now_ms: form.now_ms, topics })
    }
}

fn wanted(index: usize, topic: Topic, base: &HeaderMap) -> Result<Wanted, Fault> {
    if !is_target(&topic.url) {
        return Err(Fault::Url(index));
    }
    let mut headers = base.clone();
    if topic.credentials == Some(false) {
        // The app asks another host without cookies.
        headers.remove(header::COOKIE);
    }
    let pairs = match topic.headers {
        Fields::Pairs(pairs) => pairs,
        Fields::Object(object) => object.into_iter().collect(),
    };
    let mut own = Vec::new();
    for (name, value) in pairs {
        let name = HeaderName::try_from(name).map_err(|_| Fault::Field(index))?;
        let value = latin1(&value).ok_or(Fault::Field(index))?;
        if !is_forbidden(name.as_str()) {
            // An app's own `accept-language` replaces the browser's.
            own.push(name.clone());
            headers.insert(name, value);
        }
    }
    let every = topic.every_ms.map(|ms| Duration::from_millis(ms).min(SLOWEST));
    let have = topic.have.as_deref().and_then(StateHash::parse);
    Ok(Wanted { target: topic.url, headers, own, have, every })
}

/// True for path and query in origin form, and nothing that another parser could take for a host:
/// `//host`, `/\host`, a fragment, a control character. The central poller must not be made to ask
/// anyone but the origin.
#[must_use]
pub fn is_target(url: &str) -> bool {
    let plain = url.bytes().all(|b| (0x21..=0x7e).contains(&b) && b != b'\\' && b != b'#');
    plain
        && url.len() <= 8192
        && url.starts_with('/')
        && !url.starts_with("//")
        && url.parse::<Uri>().is_ok_and(|uri| {
            uri.authority().is_none()
                && uri.path_and_query().is_some_and(|target| target.as_str() == url)
        })
}

/// The fields of the stream request that the browser would send with the app's own request too.
fn browser_fields(own: &HeaderMap) -> HeaderMap {
    let of_this_message = |name: &str| {
        name == "accept"
            || name == "origin"
            || name.starts_with("content-")
            || name.starts_with("if-")
            || name.starts_with("pollcast-")
            || matches!(
                name,
                "cache-control"
                    | "connection"
                    | "expect"
                    | "keep-alive"
                    | "pragma"
                    | "range"
                    | "te"
                    | "trailer"
                    | "transfer-encoding"
                    | "upgrade"
                    | "last-event-id"
            )
    };
    own.iter()
        .filter(|(name, _)| !of_this_message(name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Fields that an app can't set, or that would make another request of it.
fn is_forbidden(name: &str) -> bool {
    const NAMES: &[&str] = &[
        "accept-encoding",
        "cf-connecting-ip",
        "connection",
        "cookie",
        "cookie2",
        "date",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "origin",
        "range",
        "referer",
        "te",
        "trailer",
        "transfer-encoding",
        "true-client-ip",
        "upgrade",
        "user-agent",
        "via",
        "x-client-ip",
    ];
    const PREFIXES: &[&str] =
        &["content-", "if-", "pollcast-", "proxy-", "sec-", "x-forwarded-", "x-real-ip"];
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// Field values are bytes; JSON gives them as Latin-1 code points.
fn latin1(text: &str) -> Option<HeaderValue> {
    let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    HeaderValue::from_bytes(&bytes?).ok()
}

/// Where the cookie and other browser fields are the caller's own: the plain view's request.
#[must_use]
pub fn plain_fields(own: &HeaderMap) -> HeaderMap {
    let mut headers = browser_fields(own);
    // `EventSource` asks for an event stream; the origin should be asked for what it has.
    let accept = own.get(header::ACCEPT).filter(|v| !v.as_bytes().starts_with(b"text/event-s"));
    let accept = accept.cloned().unwrap_or_else(|| HeaderValue::from_static("*/*"));
    headers.insert(header::ACCEPT, accept);
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(body: &str) -> Result<StreamRequest, Fault> {
        let own: HeaderMap = [
            (header::HOST, HeaderValue::from_static("h")),
            (header::COOKIE, HeaderValue::from_static("s=1")),
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::ACCEPT, HeaderValue::from_static("text/event-stream")),
        ]
        .into_iter()
        .collect();
        StreamRequest::parse(body.as_bytes(), &own, 2)
    }

    #[test]
    fn builds_the_request_that_the_app_would_make() {
        let body = r#"{"client":"c","topics":[{"url":"/a?b","headers":[["Accept","a/b"],
            ["Authorization","Bearer x"],["Host","evil"],["Cookie","s=2"],["Pollcast-Client","y"]],
            "have":"00112233445566778899aabbccddeeff","every_ms":2000}]}"#;
        let wanted = parse(body).unwrap().topics.remove(0);
        let mut fields: Vec<_> = wanted.headers.iter().map(|(n, v)| (n.as_str(), v)).collect();
        fields.sort_by_key(|(name, _)| *name);
        let want =
            [("accept", "a/b"), ("authorization", "Bearer x"), ("cookie", "s=1"), ("host", "h")];
        assert_eq!(fields.len(), want.len());
        assert!(fields.iter().zip(want).all(|(got, want)| got.0 == want.0 && got.1 == want.1));
        assert_eq!(wanted.every, Some(Duration::from_secs(2)));
        assert!(wanted.have.is_some());
    }

    #[test]
    fn each_fault_is_named() {
        let topic = r#"{"url":"/a"}"#;
        for (body, want) in [
            ("[", "not of the form"),
            (r#"{"client":"c"}"#, "missing field `topics`"),
            (r#"{"client":"c d","topics":[]}"#, "client (and name, if any) must be"),
            (r#"{"client":"c","name":"","topics":[]}"#, "client (and name, if any) must be"),
            (r#"{"client":"c","topics":[]}"#, "topics is empty"),
            (&format!(r#"{{"client":"c","topics":[{topic},{topic},{topic}]}}"#), "3 topics"),
            (r#"{"client":"c","topics":[{"url":"//evil/a"}]}"#, "topics[0].url"),
            (r#"{"client":"c","topics":[{"url":"/a","headers":[["a b","c"]]}]}"#, "headers"),
            (r#"{"client":"c","topics":[{"url":"/a","headers":[["a","b\r\nc: d"]]}]}"#, "headers"),
        ] {
            let fault = parse(body).unwrap_err().to_string();
            assert!(fault.contains(want), "{body}: {fault}");
        }
    }

    #[test]
    fn the_poller_can_be_sent_nowhere_else() {
        for url in [
            "http://evil/a",
            "//evil/a",
            "/\\evil",
            "@evil",
            "/a b",
            "/a\r\nX: y",
            "/a#b",
            "",
            "a",
            "/ä",
            "*",
            "/a\u{0}",
        ] {
            assert!(!is_target(url), "{url:?}");
        }
        for url in ["/", "/a/../b", "/a?b=http://x/", "/a%2Fb", "/a@b", "/a?"] {
            assert!(is_target(url), "{url:?}");
        }
    }
}
