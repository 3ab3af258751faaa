//! What `Vary` says of the fields that a topic's key is made of.
//!
//! Rule: a field that the origin names must be in the key. One that isn't is learnt: the keys of
//! its watch have it from then on, and what was known under the shorter keys is forgotten. A field
//! that is another one in each message can't be in a key.

use arc_swap::ArcSwap;
use http::{HeaderMap, header};
use std::collections::{BTreeMap, BTreeSet};

/// Names learnt for one watch at most: an origin that names more doesn't mean them.
const MOST: usize = 16;

/// What an answer's `Vary` means for its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Varies {
    /// The key has it all.
    Within,
    /// A field was learnt: make the key again.
    Learnt,
    /// On something that no key can have.
    Beyond,
}

/// Fields that the origin named beyond the usual key, by the watch's name. They outlive a reload.
#[derive(Debug, Default)]
pub struct Learnt(ArcSwap<BTreeMap<String, BTreeSet<String>>>);

/// Fields that never matter to an answer's state: `Accept-Encoding` chooses a coding only; the rest
/// is the same for all polls of one page.
const COVERED: &[&str] = &[
    "",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "origin",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
];

/// Fields that differ from message to message; `*` matches the rest of a name.
const OF_A_MESSAGE: &[&str] = &[
    "b3",
    "baggage",
    "cache-control",
    "cf-ray",
    "connection",
    "content-length",
    "elastic-apm-*",
    "if-*",
    "keep-alive",
    "newrelic",
    "pollcast-*",
    "pragma",
    "priority",
    "proxy-*",
    "sentry-trace",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "uber-trace-id",
    "upgrade",
    "x-amzn-trace-id",
    "x-b3-*",
    "x-cloud-trace-context",
    "x-correlation-id",
    "x-datadog-*",
    "x-request-id",
    "x-request-start",
];

impl Learnt {
    /// True if the keys of this watch have this (lower-case) field though it is usually irrelevant.
    #[must_use]
    pub fn has(&self, watch: &str, name: &str) -> bool {
        self.0.load().get(watch).is_some_and(|names| names.contains(name))
    }

    /// How many it has learnt for this watch.
    #[must_use]
    pub fn count(&self, watch: &str) -> usize {
        self.0.load().get(watch).map_or(0, BTreeSet::len)
    }

    /// Reads an answer's `Vary`; `is_in_key` says which (lower-case) fields the keys of this watch
    /// have, learnt ones included.
    pub fn read(
        &self,
        watch: &str,
        response: &HeaderMap,
        is_in_key: impl Fn(&str) -> bool,
    ) -> Varies {
        let values = response.get_all(header::VARY).iter();
        let names = values.flat_map(|value| value.as_bytes().split(|b| *b == b','));
        let mut worst = Varies::Within;
        for name in names {
            let name =
                String::from_utf8_lossy(&name.trim_ascii().to_ascii_lowercase()).into_owned();
            let of_a_message = OF_A_MESSAGE.iter().any(|pattern| matches(pattern, &name));
            let varies = match name.as_str() {
                "*" => Varies::Beyond,
                name if COVERED.contains(&name) || is_in_key(name) => Varies::Within,
                _ if of_a_message => Varies::Beyond,
                name if self.learn(watch, name) => Varies::Learnt,
                _ => Varies::Beyond,
            };
            worst = worst.max(varies);
        }
        worst
    }

    /// False if there is no room.
    fn learn(&self, watch: &str, name: &str) -> bool {
        if self.0.load().get(watch).is_some_and(|names| names.len() >= MOST) {
            return false;
        }
        self.0.rcu(|known| {
            let mut known = BTreeMap::clone(known);
            known.entry(watch.to_owned()).or_default().insert(name.to_owned());
            known
        });
        tracing::info!(
            watch,
            field = name,
            "the origin's Vary names it: topics are told apart by it"
        );
        true
    }
}

/// `*` at the end matches the rest of a name.
pub(super) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => name.starts_with(prefix),
        None => name == pattern,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn vary(value: &'static str) -> HeaderMap {
        [(header::VARY, HeaderValue::from_static(value))].into_iter().collect()
    }

    #[test]
    fn a_named_field_is_learnt_once_and_for_its_watch_only() {
        let learnt = Learnt::default();
        let read = |value| {
            learnt.read("w", &vary(value), |name| {
                ["accept", "cookie"].contains(&name) || learnt.has("w", name)
            })
        };
        for (value, want) in [
            ("*", Varies::Beyond),
            ("Accept-Encoding, Accept, Cookie, Origin", Varies::Within),
            ("Accept, User-Agent", Varies::Learnt),
            ("user-agent", Varies::Within),
            ("X-Request-ID", Varies::Beyond),
            ("DPR, If-None-Match", Varies::Beyond),
        ] {
            assert_eq!(read(value), want, "{value}");
        }
        assert!(learnt.has("w", "user-agent"));
        assert!(!learnt.has("v", "user-agent"));
    }

    #[test]
    fn who_was_keyed_before_a_field_was_learnt_is_not_one_without_it() {
        use crate::config::{Audience, Config};
        use crate::watch::{Facts, Keyer, Target};
        let keyer = Keyer::new([0; 32], Config::new(http::Uri::from_static("http://o")).identity);
        let target = Target::new("/a", &[], 0);
        let key = |headers: HeaderMap| {
            let audience = Audience::Credential;
            let facts = Facts { watch: "w", audience, target: &target, headers: &headers };
            keyer.key(facts, keyer.nobody())
        };
        let with = || {
            let value = HeaderValue::from_static("10.0.0.1");
            [(http::HeaderName::from_static("x-real-ip"), value)].into_iter().collect()
        };
        let early = key(with());
        assert_eq!(early, key(HeaderMap::new()));
        assert_eq!(keyer.varies("w", &vary("X-Real-IP")), Varies::Learnt);
        assert_ne!(key(with()), key(HeaderMap::new()));
        assert_ne!(early, key(HeaderMap::new()));
    }

    #[test]
    fn an_origin_that_names_everything_is_refused() {
        let learnt = Learnt::default();
        let names: Vec<_> = (0..=MOST).map(|n| format!("sec-x-{n}")).collect();
        let headers = [(header::VARY, HeaderValue::try_from(names.join(",")).unwrap())];
        let got = learnt.read("w", &headers.into_iter().collect(), |_| false);
        assert_eq!(got, Varies::Beyond);
    }
}
