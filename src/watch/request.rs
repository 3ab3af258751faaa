//! What a central poll sends: the app's own request again.

use super::{Keyer, Target};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use zeroize::Zeroizing;

/// A poll's target and fields. It holds credentials: they are wiped when it is dropped, and never
/// printed.
#[derive(Clone)]
pub struct PollRequest {
    /// Path and query.
    target: Target,
    /// When the target was read, in milliseconds since 1970: tells cache busters from other
    /// numbers.
    then_ms: u64,
    /// Name and value of every field, in order.
    fields: Vec<(HeaderName, Zeroizing<Vec<u8>>)>,
}

/// Fields of a request that belong to that one message, or would change what a poll gets back.
const NOT_REPEATED: &[&str] = &[
    "accept-encoding",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "keep-alive",
    "pragma",
    "priority",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "sec-fetch-storage-access",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "traceparent",
    "tracestate",
    "sentry-trace",
    "baggage",
];

impl PollRequest {
    /// A poll like a request with these fields (`Host` included).
    #[must_use]
    pub fn new(target: Target, headers: &HeaderMap, now_ms: u64) -> Self {
        let fields = headers
            .iter()
            .filter(|(name, _)| {
                let name = name.as_str();
                !NOT_REPEATED.contains(&name)
                    && !name.starts_with("if-")
                    && !name.starts_with("pollcast-")
            })
            .map(|(name, value)| (name.clone(), Zeroizing::new(value.as_bytes().to_vec())))
            .collect();
        Self { target, then_ms: now_ms, fields }
    }

    /// Path and query with fresh cache busters.
    #[must_use]
    pub fn target(&self, keyer: &Keyer, now_ms: u64) -> String {
        self.target.fresh(&keyer.identity_rule().cache_busters, self.then_ms, now_ms)
    }

    /// The fields as they go out. Values are marked sensitive, so that nothing prints them.
    #[must_use]
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::with_capacity(self.fields.len() + 2);
        for (name, value) in &self.fields {
            if let Ok(mut value) = HeaderValue::from_bytes(value) {
                value.set_sensitive(true);
                headers.append(name.clone(), value);
            }
        }
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, br, zstd"));
        headers
    }
}

impl std::fmt::Debug for PollRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.fields.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("PollRequest").field("fields", &names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_the_wish_and_prints_no_secret() {
        let headers: HeaderMap = [
            (header::HOST, "h"),
            (header::AUTHORIZATION, "Bearer planted-secret"),
            (header::IF_NONE_MATCH, "\"x\""),
            (header::CACHE_CONTROL, "no-cache"),
        ]
        .map(|(n, v)| (n, HeaderValue::from_static(v)))
        .into_iter()
        .collect();
        let request = PollRequest::new(Target::new("/planted-path", &[], 0), &headers, 0);
        let sent = request.headers();
        assert_eq!(sent[header::AUTHORIZATION], "Bearer planted-secret");
        assert!(!sent.contains_key(header::IF_NONE_MATCH));
        assert!(!sent.contains_key(header::CACHE_CONTROL));
        assert!(!format!("{request:?} {sent:?}").contains("planted"));
    }
}
