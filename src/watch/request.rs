//! What a central poll sends: the app's own request again.

use super::{Keyer, Target};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use std::collections::HashMap;
use std::sync::Arc;
use zeroize::Zeroizing;

/// A poll's target and fields. It holds credentials: they are wiped when the last poll that sends
/// them is dropped, and never printed.
#[derive(Clone)]
pub struct PollRequest {
    /// Path and query.
    target: Target,
    /// When the target was read, in milliseconds since 1970: tells cache busters from other
    /// numbers.
    then_ms: u64,
    /// Every field, in order. Shared with the other polls of the client's stream: otherwise one
    /// large cookie would be kept once for each topic.
    fields: Arc<[Arc<Field>]>,
}

struct Field {
    name: HeaderName,
    value: Zeroizing<Vec<u8>>,
}

/// Fields that polls of one client have in common: each is kept once. A poll keeps none but its
/// own, so what only others sent is wiped with these.
#[derive(Default)]
pub struct Common(HashMap<HeaderName, Vec<Arc<Field>>>);

impl Common {
    fn field(&mut self, name: &HeaderName, value: &[u8]) -> Arc<Field> {
        let known = self.0.entry(name.clone()).or_default();
        let same = known.iter().find(|field| field.value.as_slice() == value).cloned();
        same.unwrap_or_else(|| {
            let value = Zeroizing::new(value.to_vec());
            let field = Arc::new(Field { name: name.clone(), value });
            known.push(Arc::clone(&field));
            field
        })
    }
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
        Self::sharing(&mut Common::default(), target, headers, now_ms)
    }

    /// The same, which shares what it has in common with the others of a client.
    #[must_use]
    pub fn sharing(common: &mut Common, target: Target, headers: &HeaderMap, now_ms: u64) -> Self {
        let fields = headers
            .iter()
            .filter(|(name, _)| {
                let name = name.as_str();
                !NOT_REPEATED.contains(&name)
                    && !name.starts_with("if-")
                    && !name.starts_with("pollcast-")
            })
            .map(|(name, value)| common.field(name, value.as_bytes()))
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
        for field in self.fields.iter() {
            if let Ok(mut value) = HeaderValue::from_bytes(&field.value) {
                value.set_sensitive(true);
                headers.append(field.name.clone(), value);
            }
        }
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, br, zstd"));
        headers
    }
}

impl std::fmt::Debug for PollRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.fields.iter().map(|field| field.name.as_str()).collect();
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

    #[test]
    fn what_polls_have_in_common_is_kept_once_and_no_longer_than_they_are() {
        let map = |fields: &[(HeaderName, &'static str)]| -> HeaderMap {
            let value =
                |(n, v): &(HeaderName, &'static str)| (n.clone(), HeaderValue::from_static(v));
            fields.iter().map(value).collect()
        };
        let [cookie, bearer] = [(header::COOKIE, "s=1"), (header::AUTHORIZATION, "Bearer x")];
        let (twice, once) = (map(&[cookie.clone(), bearer]), map(&[cookie]));
        let mut common = Common::default();
        let mut sharing =
            |headers| PollRequest::sharing(&mut common, Target::new("/a", &[], 0), headers, 0);
        let (first, second) = (sharing(&twice), sharing(&once));
        assert!(Arc::ptr_eq(&first.fields[0], &second.fields[0]));
        assert!(!Arc::ptr_eq(
            &first.fields[0],
            &sharing(&map(&[(header::COOKIE, "s=2")])).fields[0]
        ));
        let [cookie, bearer] = [0, 1].map(|at| Arc::downgrade(&first.fields[at]));
        drop((common, first));
        assert!(bearer.upgrade().is_none());
        assert!(cookie.upgrade().is_some());
        assert_eq!(second.headers()[header::COOKIE], "s=1");
        drop(second);
        assert!(cookie.upgrade().is_none());
    }
}
