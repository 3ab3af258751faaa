//! Identity and topic keys.
//!
//! Rule: two requests get the same key only if the origin could not tell them apart, but for what
//! is declared irrelevant: cache busters, conditional and hop-by-hop fields, and fields that
//! describe the connection or the trace rather than the wish. With audience `credential` the
//! identity is part of the key, so a key that is too fine costs a poll, and one that is too coarse
//! can't cross users. With the wider ones it isn't, nor are the fields that it is made of: who may
//! be given such a topic's state is a matter of proof, not of the key.

use super::irrelevant::IRRELEVANT;
use super::vary::{Learnt, Varies, matches};
use super::{Target, cookies};
use crate::config::{Audience, Identity};
use crate::http::fields;
use blake3::Hasher;
use http::{HeaderMap, HeaderName, header};
use std::{net::IpAddr, sync::Arc};

/// Names one topic within this process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicKey([u8; 32]);

impl std::fmt::Debug for TopicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "TopicKey({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

/// Names whoever sent a request, within this process. Nothing of the credentials can be read from
/// it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdentityId([u8; 32]);

impl std::fmt::Debug for IdentityId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IdentityId({:02x}{:02x}…)", self.0[0], self.0[1])
    }
}

impl IdentityId {
    /// Names what this identity asks for at a path of a watch, whoever shares it.
    #[must_use]
    pub fn at(&self, watch: &str, path: &str) -> TopicKey {
        let mut hasher = Hasher::new_keyed(&self.0);
        part(&mut hasher, watch.as_bytes());
        part(&mut hasher, path.as_bytes());
        TopicKey(*hasher.finalize().as_bytes())
    }

    /// From 0 to 1, a different one for each: spreads what all do at once.
    #[must_use]
    pub fn fraction(&self) -> f64 {
        f64::from(self.0[0]) / 256.0
    }
}

/// What a key is made of.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The watch's name.
    pub watch: &'a str,
    /// Who may share the topic.
    pub audience: Audience,
    /// Path and query, cache busters apart.
    pub target: &'a Target,
    /// The request's fields, `Host` included.
    pub headers: &'a HeaderMap,
}

/// Makes keys. The secret lives as long as the process, so that keys mean nothing outside it.
pub struct Keyer {
    /// Keys every hash: a dump of keys can't be searched for known credentials.
    secret: [u8; 32],
    /// Which fields tell users apart.
    identity: Identity,
    /// Which fields the origin's `Vary` added.
    learnt: Arc<Learnt>,
}

impl Keyer {
    /// `secret` should be random, and fresh for each process.
    #[must_use]
    pub fn new(secret: [u8; 32], identity: Identity) -> Self {
        Self { secret, identity, learnt: Arc::default() }
    }

    /// With what another one has learnt.
    #[must_use]
    pub fn remembering(self, learnt: Arc<Learnt>) -> Self {
        Self { learnt, ..self }
    }

    /// Which fields tell users apart.
    #[must_use]
    pub fn identity_rule(&self) -> &Identity {
        &self.identity
    }

    /// Who sent this.
    #[must_use]
    pub fn identify(&self, headers: &HeaderMap) -> IdentityId {
        let mut hasher = Hasher::new_keyed(&self.secret);
        for name in &self.identity.headers {
            for value in headers.get_all(name) {
                part(&mut hasher, name.as_str().as_bytes());
                part(&mut hasher, value.as_bytes());
            }
        }
        part(&mut hasher, b"cookies");
        cookies::credentials(&self.identity.cookies, headers, |credential| {
            part(&mut hasher, credential);
        });
        IdentityId(*hasher.finalize().as_bytes())
    }

    /// True if users are told apart by a field that says which way a request came.
    #[must_use]
    pub fn names_the_way(&self) -> bool {
        self.identity.headers.iter().any(fields::is_forwarding)
    }

    /// Who sends no credentials.
    #[must_use]
    pub fn nobody(&self) -> IdentityId {
        self.identify(&HeaderMap::new())
    }

    /// Names whoever comes from this address and sends no credentials.
    #[must_use]
    pub fn place(&self, address: IpAddr) -> IdentityId {
        let mut hasher = Hasher::new_keyed(&self.secret);
        part(&mut hasher, b"place");
        part(&mut hasher, address.to_string().as_bytes());
        IdentityId(*hasher.finalize().as_bytes())
    }

    /// A copy of the fields without those that tell users apart.
    #[must_use]
    pub fn anonymous(&self, headers: &HeaderMap) -> HeaderMap {
        let own = |name: &HeaderName| *name == header::COOKIE || self.is_credential(name);
        headers
            .iter()
            .filter(|(name, _)| !own(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Those fields alone.
    #[must_use]
    pub fn credentials(&self, headers: &HeaderMap) -> HeaderMap {
        let own = |name: &HeaderName| *name == header::COOKIE || self.is_credential(name);
        headers
            .iter()
            .filter(|(name, _)| own(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// True for a field that always carries credentials, whatever the configuration says, too.
    fn is_credential(&self, name: &HeaderName) -> bool {
        self.identity.headers.contains(name)
    }

    /// Which topic this asks for.
    #[must_use]
    pub fn key(&self, facts: Facts<'_>, identity: IdentityId) -> TopicKey {
        let mut hasher = Hasher::new_keyed(&self.secret);
        part(&mut hasher, facts.watch.as_bytes());
        // Whoever has a learnt field and was keyed before it was learnt isn't one without it.
        part(&mut hasher, &self.learnt.count(facts.watch).to_le_bytes());
        part(&mut hasher, facts.target.canonical().as_bytes());
        let own = facts.audience == Audience::Credential;
        // Somebody's cookies belong to them. Whoever has no named one is many.
        let jars = || facts.audience != Audience::Public && identity == self.nobody();
        match facts.audience {
            Audience::Credential => part(&mut hasher, &identity.0),
            Audience::Shared => part(&mut hasher, b"shared"),
            Audience::Public => part(&mut hasher, b"public"),
        }
        let mut fields: Vec<_> = facts
            .headers
            .iter()
            .filter(|(name, value)| {
                let learnt = || {
                    self.learnt.has(facts.watch, name.as_str())
                        && (*name != header::COOKIE || jars())
                };
                let theirs = !own && self.is_credential(name);
                // Of a page of this host it says nothing, and most requests don't carry it.
                let host = facts.headers.get(header::HOST);
                let ours = *name == header::ORIGIN && fields::is_host(value, host);
                !theirs && !ours && (!self.is_irrelevant(name.as_str()) || learnt())
            })
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        // Stable: the order of equal names means something, that of different names doesn't.
        fields.sort_by_key(|(name, _)| *name);
        for (name, value) in fields {
            part(&mut hasher, name.as_bytes());
            part(&mut hasher, value);
        }
        TopicKey(*hasher.finalize().as_bytes())
    }

    /// True if a field of this (lower-case) name never changes what the origin answers.
    #[must_use]
    pub fn is_irrelevant(&self, name: &str) -> bool {
        if self.identity.headers.iter().any(|known| known.as_str() == name) {
            return false;
        }
        let listed = |pattern: &str| matches(pattern, name);
        IRRELEVANT.iter().any(|pattern| listed(pattern))
            || self.identity.irrelevant.iter().any(|pattern| listed(pattern))
    }

    /// Whether the answer's `Vary` names a field that isn't part of the watch's keys: two requests
    /// with one key might then get different answers.
    #[must_use]
    pub fn varies(&self, watch: &str, response: &HeaderMap) -> Varies {
        let is_in_key = |name: &str| {
            !self.is_irrelevant(name)
                || self.learnt.has(watch, name)
                || name == header::COOKIE
                    && self.identity.cookies.iter().any(|cookie| cookie == "*")
        };
        self.learnt.read(watch, response, is_in_key)
    }

    /// True if the answer gives whoever asked another identity.
    #[must_use]
    pub fn changes_identity(&self, request: &HeaderMap, response: &HeaderMap) -> bool {
        cookies::changes_identity(&self.identity.cookies, request, response)
    }
}

/// Length first: otherwise `ab` + `c` and `a` + `bc` would be one key.
fn part(hasher: &mut Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    fn keyer() -> Keyer {
        Keyer::new([7; 32], Config::new(http::Uri::from_static("http://o")).identity)
    }

    fn map(fields: &[(&str, &str)]) -> HeaderMap {
        let parse = |(n, v): &(&str, &str)| {
            (n.parse::<HeaderName>().unwrap(), HeaderValue::from_str(v).unwrap())
        };
        fields.iter().map(parse).collect()
    }

    fn key(raw: &str, fields: &[(&str, &str)]) -> TopicKey {
        let (keyer, headers) = (keyer(), map(fields));
        let target = Target::new(raw, &[], 0);
        let identity = keyer.identify(&headers);
        let audience = Audience::Credential;
        keyer.key(Facts { watch: "w", audience, target: &target, headers: &headers }, identity)
    }

    #[test]
    fn what_the_origin_could_see_gives_another_key() {
        let base = [("host", "h"), ("accept", "a/b"), ("cookie", "s=1"), ("x-tenant", "1")];
        let same = key("/a?b", &base);
        assert_ne!(same, key("/a?c", &base));
        assert_ne!(same, key("/a", &base));
        for at in 0..base.len() {
            let mut other = base;
            other[at].1 = "s=other";
            assert_ne!(same, key("/a?b", &other), "{:?}", base[at]);
            let mut fewer = base.to_vec();
            fewer.remove(at);
            assert_ne!(same, key("/a?b", &fewer), "{:?}", base[at]);
        }
        let mut more = base.to_vec();
        more.extend([("user-agent", "x"), ("sec-fetch-mode", "cors"), ("x-request-id", "9")]);
        assert_eq!(same, key("/a?b", &more));
        let turned: Vec<_> = base.iter().rev().copied().collect();
        assert_eq!(same, key("/a?b", &turned));
    }

    /// What the origin may see of a request, written down without hashing.
    fn visible(target: &str, fields: &[(&str, &str)]) -> impl PartialEq + std::fmt::Debug {
        const IRRELEVANT: [&str; 3] = ["user-agent", "x-request-id", "if-none-match"];
        let mut seen = std::collections::BTreeMap::<String, Vec<String>>::new();
        for (name, value) in fields.iter().filter(|(name, _)| !IRRELEVANT.contains(name)) {
            seen.entry((*name).to_owned()).or_default().push((*value).to_owned());
        }
        // RFC 9113 §8.2.3: the one field that is one however often it comes.
        if let Some(lines) = seen.get_mut("cookie") {
            *lines = vec![lines.join("; ")];
        }
        (target.to_owned(), seen)
    }

    /// Few enough that two requests are often alike, and close enough to run into each other.
    fn requests() -> impl Strategy<Value = (&'static str, Vec<(&'static str, &'static str)>)> {
        const TARGETS: [&str; 10] =
            ["/a", "/a?", "/A", "/a/", "//a", "/a?b", "/a?b=", "/a%3Fb", "/a?b&c", "/a?c&b"];
        const NAMES: [&str; 9] = [
            "accept",
            "accept-x",
            "authorization",
            "cookie",
            "host",
            "if-none-match",
            "user-agent",
            "x-a",
            "x-request-id",
        ];
        const VALUES: [&str; 6] = ["", "a", "b", "a=1", "a=1; b=2", "b=2"];
        let field = (proptest::sample::select(&NAMES), proptest::sample::select(&VALUES));
        (proptest::sample::select(&TARGETS), proptest::collection::vec(field, 0..4))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn keys_are_equal_where_the_origin_sees_the_same_and_nowhere_else(
            (one, other) in (requests(), requests()),
            at in 0_usize..4,
        ) {
            // Mostly a request and the same with something else in one place.
            let mut near = one.clone();
            match near.1.get_mut(at) {
                Some(field) => *field = other.1.first().copied().unwrap_or(*field),
                None if at % 2 == 0 => near.0 = other.0,
                None => near.1.reverse(),
            }
            for two in [&near, &other] {
                prop_assert_eq!(
                    key(one.0, &one.1) == key(two.0, &two.1),
                    visible(one.0, &one.1) == visible(two.0, &two.1),
                    "{:?} {:?}", one, two
                );
            }
        }

        #[test]
        fn field_boundaries_cannot_be_moved(
            (a, b, c) in ("[a-z]{0,6}", "[a-z]{0,6}", "[a-z]{0,6}"),
        ) {
            let one = key("/x", &[("accept", &format!("{a}{b}")), ("x-c", &c)]);
            let two = key("/x", &[("accept", &a), ("x-c", &format!("{b}{c}"))]);
            prop_assert_eq!(one == two, b.is_empty());
        }
    }
}
