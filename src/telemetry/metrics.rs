//! Every metric family: name, help and label values stand here and nowhere else.
//!
//! Labels are bounded by their type: only `&'static str` comes in, so no path, host or other input
//! becomes a series.

use super::process::Process;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use std::sync::Arc;

/// `Content-Type` of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Counts everything. Clones share the numbers and cost one reference count.
#[derive(Clone, Debug)]
pub struct Metrics(Arc<Families>);

/// The numbers, and the registry that names them.
#[derive(Debug)]
struct Families {
    /// Names and help texts; written once at start, then only read by scrapes.
    registry: Registry,
    /// Requests by what was decided.
    requests: Labelled,
    /// Central polls by outcome.
    origin_polls: Labelled,
    /// Client requests that went to the origin.
    origin_requests: Counter,
    /// Events pushed by kind.
    pushes: Labelled,
    /// Bytes of all pushed events.
    push_bytes: Counter,
    /// Streams open now.
    streams: Gauge,
    /// Streams ever opened.
    streams_opened: Counter,
    /// Streams that Pollcast ended, by reason.
    byes: Labelled,
    /// Topics in memory now.
    topics: Gauge,
    /// Subscriptions now.
    subscriptions: Gauge,
    /// Caps reached, by name.
    limits: Labelled,
    /// Hints by source.
    hints: Labelled,
    /// HTML answers by what became of the script tag.
    injections: Labelled,
    /// Failed origin requests by kind.
    upstream_errors: Labelled,
    /// Client connections open now.
    connections: Gauge,
    /// Watches put back to `credential`, by reason.
    demotions: Labelled,
    /// Watches that are so now.
    demoted: Gauge,
    /// Identities whose subscriptions were ended, by reason.
    dismissals: Labelled,
}

/// A counter family with one label. The known values exist from the start (a dashboard shows 0, not
/// a gap) and are found without a lock; another literal gets its own series at first use.
#[derive(Debug)]
struct Labelled {
    /// Key of the one label.
    key: &'static str,
    /// Value and counter; a handful, so a linear look beats a hash.
    known: Vec<(&'static str, Counter)>,
    /// Shared with the registry.
    family: Family<[(&'static str, &'static str); 1], Counter>,
}

impl Labelled {
    fn new(key: &'static str, values: &[&'static str]) -> Self {
        let family = Family::default();
        let known =
            values.iter().map(|&value| (value, family.get_or_create_owned(&[(key, value)])));
        Self { key, known: known.collect(), family: family.clone() }
    }

    fn inc(&self, value: &'static str) {
        if let Some((_, counter)) = self.known.iter().find(|(name, _)| *name == value) {
            counter.inc();
        } else {
            self.family.get_or_create(&[(self.key, value)]).inc();
        }
    }
}

impl Families {
    fn new() -> Self {
        let polls =
            ["changed", "same", "not_modified", "status", "error", "timeout", "older", "limit"];
        let caps = [
            "connections",
            "streams",
            "stream_head",
            "topics",
            "topics_per_stream",
            "body",
            "snapshots",
        ];
        let tags =
            ["injected", "not_html", "csp", "encoding", "fragment", "failed", "no_transform"];
        let decisions = ["pass", "own", "write", "watched", "marked", "snapshot"];
        let mut families = Self {
            registry: Registry::with_prefix("pollcast"),
            requests: Labelled::new("decision", &decisions),
            origin_polls: Labelled::new("outcome", &polls),
            origin_requests: Counter::default(),
            pushes: Labelled::new("kind", &["snapshot", "delta", "current", "stale", "gone"]),
            push_bytes: Counter::default(),
            streams: Gauge::default(),
            streams_opened: Counter::default(),
            byes: Labelled::new("reason", &["drain", "off", "lifetime", "slow", "empty"]),
            topics: Gauge::default(),
            subscriptions: Gauge::default(),
            limits: Labelled::new("name", &caps),
            hints: Labelled::new("source", &["write"]),
            injections: Labelled::new("outcome", &tags),
            upstream_errors: Labelled::new("kind", &["connect", "timeout"]),
            connections: Gauge::default(),
            demotions: Labelled::new("reason", &["differs", "unsteady", "private", "cookie"]),
            demoted: Gauge::default(),
            dismissals: Labelled::new("reason", &["anew", "refused"]),
        };
        families.register_labelled();
        families.register_plain();
        families
    }

    fn register_labelled(&mut self) {
        for (name, help, labelled) in [
            ("requests", "Client requests by what was decided", &self.requests),
            ("origin_polls", "Central polls by outcome", &self.origin_polls),
            ("demotions", "Watches put back to credential, by reason", &self.demotions),
            ("dismissals", "Identities whose subscriptions ended, by reason", &self.dismissals),
            ("pushes", "Events pushed to streams by kind", &self.pushes),
            ("byes", "Streams ended by Pollcast, by reason", &self.byes),
            ("limit_reached", "Times a cap turned somebody away, by its name", &self.limits),
            ("hints", "Hints by source", &self.hints),
            ("injections", "HTML answers by what became of the script tag", &self.injections),
            ("upstream_errors", "Failed origin requests by kind", &self.upstream_errors),
        ] {
            self.registry.register(name, help, labelled.family.clone());
        }
    }

    fn register_plain(&mut self) {
        for (name, help, counter) in [
            ("origin_requests", "Client requests sent on to the origin", &self.origin_requests),
            ("push_bytes", "Bytes of all pushed events", &self.push_bytes),
            ("streams_opened", "Streams opened since start", &self.streams_opened),
        ] {
            self.registry.register(name, help, counter.clone());
        }
        for (name, help, gauge) in [
            ("streams", "Streams open now", &self.streams),
            ("topics", "Topics in memory now", &self.topics),
            ("subscriptions", "Subscriptions now", &self.subscriptions),
            ("connections", "Client connections open now", &self.connections),
            ("demoted", "Watches that are put back to credential now", &self.demoted),
        ] {
            self.registry.register(name, help, gauge.clone());
        }
        self.registry.register_collector(Box::new(Process));
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Fresh numbers, all zero.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Families::new()))
    }

    /// A client request: `pass`, `own`, `write`, `watched`, `marked` or `snapshot`.
    pub fn request(&self, decision: &'static str) {
        self.0.requests.inc(decision);
    }

    /// A central poll ended: `changed`, `same`, `not_modified`, `status`, `error`, `timeout`,
    /// `older` or `limit`.
    pub fn origin_poll(&self, outcome: &'static str) {
        self.0.origin_polls.inc(outcome);
    }

    /// A client request went to the origin.
    pub fn origin_request(&self) {
        self.0.origin_requests.inc();
    }

    /// An event was pushed to one stream: `snapshot`, `delta`, `current`, `stale` or `gone`.
    pub fn push(&self, kind: &'static str) {
        self.0.pushes.inc(kind);
    }

    /// Bytes written to streams.
    pub fn push_bytes(&self, bytes: usize) {
        self.0.push_bytes.inc_by(bytes as u64);
    }

    /// A stream began. Pair with [`Metrics::stream_closed`].
    pub fn stream_opened(&self) {
        self.0.streams.inc();
        self.0.streams_opened.inc();
    }

    /// A stream ended, by whomever.
    pub fn stream_closed(&self) {
        self.0.streams.dec();
    }

    /// Pollcast ended a stream: `drain`, `off`, `lifetime`, `slow` or `empty`.
    pub fn bye(&self, reason: &'static str) {
        self.0.byes.inc(reason);
    }

    /// Number of topics in memory.
    pub fn topics(&self, count: i64) {
        self.0.topics.set(count);
    }

    /// A subscription began. Pair with [`Metrics::subscription_closed`].
    pub fn subscription_opened(&self) {
        self.0.subscriptions.inc();
    }

    /// A subscription ended.
    pub fn subscription_closed(&self) {
        self.0.subscriptions.dec();
    }

    /// A cap turned somebody away; `name` is its key under `[limits]`.
    pub fn limit(&self, name: &'static str) {
        self.0.limits.inc(name);
    }

    /// A watch must not be shared any more.
    pub fn demotion(&self, reason: &'static str) {
        self.0.demotions.inc(reason);
    }

    /// So many watches are put back to `credential` now.
    pub fn demoted(&self, count: usize) {
        self.0.demoted.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// An identity's subscriptions were ended.
    pub fn dismissal(&self, reason: &'static str) {
        self.0.dismissals.inc(reason);
    }

    /// A hint came in from this source: `write`.
    pub fn hint(&self, source: &'static str) {
        self.0.hints.inc(source);
    }

    /// An HTML answer: `injected`, or why not.
    pub fn injected(&self, outcome: &'static str) {
        self.0.injections.inc(outcome);
    }

    /// A request to the origin failed.
    pub fn upstream_error(&self, kind: &'static str) {
        self.0.upstream_errors.inc(kind);
    }

    /// A client connected. Pair with [`Metrics::connection_closed`].
    pub fn connection_opened(&self) {
        self.0.connections.inc();
    }

    /// A client's connection ended.
    pub fn connection_closed(&self) {
        self.0.connections.dec();
    }

    /// All families as `OpenMetrics` text ([`CONTENT_TYPE`]). Reads `/proc/self`.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        if prometheus_client::encoding::text::encode(&mut text, &self.0.registry).is_err() {
            // Writing to a string can't fail; half a page must not pass for a whole one all the
            // same.
            text.clear();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_series_exist_from_the_start() {
        let text = Metrics::new().encode();
        for line in [
            "pollcast_requests_total{decision=\"marked\"} 0",
            "pollcast_origin_polls_total{outcome=\"not_modified\"} 0",
            "pollcast_streams 0",
            "pollcast_push_bytes_total 0",
            "# EOF",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }

    #[test]
    fn clones_share_the_numbers() {
        let metrics = Metrics::new();
        let clone = metrics.clone();
        clone.request("pass");
        clone.limit("somewhere_new");
        clone.stream_opened();
        clone.stream_opened();
        clone.stream_closed();
        clone.push_bytes(12);
        clone.topics(3);
        let text = metrics.encode();
        for line in [
            "pollcast_requests_total{decision=\"pass\"} 1",
            "pollcast_limit_reached_total{name=\"somewhere_new\"} 1",
            "pollcast_streams 1",
            "pollcast_streams_opened_total 2",
            "pollcast_push_bytes_total 12",
            "pollcast_topics 3",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}\n{text}");
        }
    }
}
