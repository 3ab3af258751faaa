//! Every key of the file, in the order of `proxy.toml.example`: how it is read and where it goes.
//! The parser, the search for the nearest key and the test of the example all walk this table, so
//! that none of them can drift.

use super::nouns as noun;
use super::service::service;
use super::value::{Read, Value, duration, list, number, size, truth, word};
use super::{
    Audience, Config, Csp, ForwardingField, Glob, Interval, LogFormat, Mode, OriginHost,
    OriginProtocol, Proof, Refresh, Service,
};
use std::ops::RangeInclusive;
use std::time::Duration;

/// One key: what it is called, and how its value gets into `T`.
pub(super) struct Key<T: 'static> {
    /// As in the file.
    pub name: &'static str,
    /// Reads, checks and stores.
    pub read: fn(&mut T, &Value<'_>) -> Read<()>,
}

/// One table of the file.
pub(super) struct Section {
    /// As in the file; empty for the top.
    pub name: &'static str,
    /// Its keys.
    pub keys: &'static [Key<Config>],
}

/// What a `[[watch]]` says; `None` where it says nothing.
#[derive(Default)]
pub(super) struct WatchForm {
    /// Short name.
    pub name: Option<String>,
    /// Required.
    pub path: Option<Glob>,
    /// How far to go.
    pub mode: Option<Mode>,
    /// Percentage of browsers.
    pub percent: Option<u8>,
    /// How often to poll centrally.
    pub interval: Option<Interval>,
    /// Who may share one central poll.
    pub audience: Option<Audience>,
    /// What sharing takes.
    pub proof: Option<Proof>,
    /// Credentials for central polls.
    pub poll_as: Option<Service>,
    /// Share what says that it is private.
    pub share_private: bool,
    /// Whom the script asks to look.
    pub refresh: Option<Refresh>,
    /// From `hints`.
    pub write_hints: Vec<Glob>,
    /// JSON pointers.
    pub ignore: Vec<Vec<String>>,
}

const fn key<T>(name: &'static str, read: fn(&mut T, &Value<'_>) -> Read<()>) -> Key<T> {
    Key { name, read }
}

fn put<T>(slot: &mut T, value: Read<T>) -> Read<()> {
    *slot = value?;
    Ok(())
}

const fn ms(least: u64, most: u64) -> RangeInclusive<Duration> {
    Duration::from_millis(least)..=Duration::from_millis(most)
}

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;

/// All tables but `[[watch]]`.
pub(super) static SECTIONS: &[Section] = &[
    Section { name: "", keys: TOP },
    Section { name: "identity", keys: IDENTITY },
    Section { name: "cors", keys: CORS },
    Section { name: "inject", keys: INJECT },
    Section { name: "forwarding", keys: FORWARDING },
    Section { name: "tls", keys: TLS },
    Section { name: "admin", keys: ADMIN },
    Section { name: "log", keys: LOG },
    Section { name: "limits", keys: LIMITS },
    Section { name: "poll", keys: POLL },
    Section { name: "stream", keys: STREAM },
    Section { name: "timeouts", keys: TIMEOUTS },
];

static TOP: &[Key<Config>] = &[
    key("listen", |c, v| put(&mut c.listen, noun::listen(v))),
    key("workers", |c, v| put(&mut c.workers, noun::workers(v))),
    key("reuse_port", |c, v| put(&mut c.reuse_port, truth(v))),
    key("origin", |c, v| {
        (c.origin, c.origin_socket) = noun::origin(v)?;
        Ok(())
    }),
    key("origin_host", |c, v| {
        let hosts = [("keep", OriginHost::Keep), ("origin", OriginHost::Origin)];
        put(&mut c.origin_host, word(v, &hosts))
    }),
    key("origin_protocol", |c, v| put(&mut c.origin_protocol, origin_protocol(v))),
    key("origin_ca", |c, v| put(&mut c.origin_ca, noun::path_or(v, "system"))),
    key("trusted_proxies", |c, v| {
        put(&mut c.forwarding.trusted, list(v, "10.0.0.0/8", noun::network))
    }),
    key("mode", |c, v| put(&mut c.mode, noun::mode(v))),
    key("unrelated_writes", |c, v| put(&mut c.unrelated_writes, list(v, "/ingest/**", noun::glob))),
    key("prefix", |c, v| put(&mut c.prefix, noun::prefix(v))),
];

static IDENTITY: &[Key<Config>] = &[
    key("headers", |c, v| {
        put(&mut c.identity.headers, list(v, "authorization", noun::identity_header))
    }),
    key("cookies", |c, v| put(&mut c.identity.cookies, list(v, "session", noun::cookie))),
    key("cache_busters", |c, v| put(&mut c.identity.cache_busters, list(v, "_", noun::parameter))),
    key("irrelevant", |c, v| {
        put(&mut c.identity.irrelevant, list(v, "x-request-id", noun::irrelevant))
    }),
];

/// The keys of a `[[watch]]`.
pub(super) static WATCH: &[Key<WatchForm>] = &[
    key("name", |w, v| put(&mut w.name, noun::watch_name(v).map(Some))),
    key("path", |w, v| put(&mut w.path, noun::glob(v).map(Some))),
    key("mode", |w, v| put(&mut w.mode, noun::mode(v).map(Some))),
    key("percent", |w, v| put(&mut w.percent, number(v, 0..=100).map(Some))),
    key("interval", |w, v| put(&mut w.interval, noun::interval(v, ms(10, DAY)).map(Some))),
    key("audience", |w, v| put(&mut w.audience, audience(v).map(Some))),
    key("proof", |w, v| {
        let proofs = [("two", Proof::Two), ("each", Proof::Each)];
        put(&mut w.proof, word(v, &proofs).map(Some))
    }),
    key("poll_as", |w, v| put(&mut w.poll_as, service(v))),
    key("share_private", |w, v| put(&mut w.share_private, truth(v))),
    key("refresh", |w, v| {
        let kinds =
            [("timer", Refresh::Timer), ("library", Refresh::Library), ("none", Refresh::None)];
        put(&mut w.refresh, word(v, &kinds).map(Some))
    }),
    key("hints", |w, v| put(&mut w.write_hints, list(v, "write:/api/todos/**", noun::hint))),
    key("ignore", |w, v| put(&mut w.ignore, list(v, "/generatedAt", noun::pointer))),
];

static CORS: &[Key<Config>] =
    &[key("origins", |c, v| put(&mut c.cors.origins, list(v, "https://app.example", noun::page)))];

static INJECT: &[Key<Config>] = &[
    key("enabled", |c, v| put(&mut c.inject.enabled, truth(v))),
    key("csp", |c, v| {
        put(&mut c.inject.csp, word(v, &[("leave", Csp::Leave), ("extend", Csp::Extend)]))
    }),
];

static FORWARDING: &[Key<Config>] = &[
    key("fields", |c, v| put(&mut c.forwarding.fields, list(v, "x-forwarded-for", forwarding))),
    key("via", |c, v| put(&mut c.forwarding.via, truth(v))),
];

static TLS: &[Key<Config>] = &[
    key("certificate", |c, v| put(&mut c.tls.certificate, noun::path_or(v, "off"))),
    key("key", |c, v| put(&mut c.tls.key, noun::path_or(v, "off"))),
];

static ADMIN: &[Key<Config>] =
    &[key("listen", |c, v| put(&mut c.admin.listen, noun::listen_or_off(v)))];

static LOG: &[Key<Config>] = &[
    key("level", |c, v| put(&mut c.log.level, noun::filter(v))),
    key("format", |c, v| {
        put(&mut c.log.format, word(v, &[("text", LogFormat::Text), ("json", LogFormat::Json)]))
    }),
];

static LIMITS: &[Key<Config>] = &[
    key("connections", |c, v| put(&mut c.limits.connections, number(v, 1..=1_000_000))),
    key("streams", |c, v| put(&mut c.limits.streams, number(v, 1..=1_000_000))),
    key("streams_per_client", |c, v| {
        put(&mut c.limits.streams_per_client, number(v, 1..=1_000_000))
    }),
    key("topics", |c, v| put(&mut c.limits.topics, number(v, 1..=1_000_000))),
    key("topics_per_stream", |c, v| put(&mut c.limits.topics_per_stream, number(v, 1..=1000))),
    key("body", |c, v| put(&mut c.limits.body, size(v, KIB..=64 * MIB))),
    key("snapshots", |c, v| put(&mut c.limits.snapshots, size(v, MIB..=64 * GIB))),
    key("stream_request", |c, v| put(&mut c.limits.stream_request, size(v, KIB..=16 * MIB))),
    key("stream_head", |c, v| put(&mut c.limits.stream_head, size(v, KIB..=MIB))),
    // The HTTP library itself takes 65,534 bytes at most.
    key("target", |c, v| put(&mut c.limits.target, size(v, KIB..=63 * KIB))),
    // Below 8 KiB hyper refuses to start.
    key("head", |c, v| put(&mut c.limits.head, size(v, 8 * KIB..=MIB))),
    key("history", |c, v| put(&mut c.limits.history, number(v, 0..=64))),
];

static POLL: &[Key<Config>] = &[
    key("rate", |c, v| put(&mut c.poll.rate, number(v, 1..=100_000))),
    key("concurrency", |c, v| put(&mut c.poll.concurrency, number(v, 1..=10_000))),
    key("timeout", |c, v| put(&mut c.poll.timeout, duration(v, ms(10, 10 * MINUTE)))),
    key("min_interval", |c, v| put(&mut c.poll.min_interval, duration(v, ms(10, HOUR)))),
    key("default_interval", |c, v| put(&mut c.poll.default_interval, duration(v, ms(10, DAY)))),
    key("settle", |c, v| put(&mut c.poll.settle, settle(v))),
    key("collapse_max_age", |c, v| put(&mut c.poll.collapse_max_age, duration(v, ms(0, MINUTE)))),
    key("reauthorize", |c, v| put(&mut c.poll.reauthorize, duration(v, ms(SECOND, DAY)))),
    key("linger", |c, v| put(&mut c.poll.linger, duration(v, ms(0, HOUR)))),
    key("breaker_failures", |c, v| put(&mut c.poll.breaker_failures, number(v, 1..=1000))),
];

static STREAM: &[Key<Config>] = &[
    key("beat", |c, v| put(&mut c.stream.beat, duration(v, ms(100, 5 * MINUTE)))),
    key("lifetime", |c, v| put(&mut c.stream.lifetime, duration(v, ms(SECOND, 7 * DAY)))),
    key("write_timeout", |c, v| {
        put(&mut c.stream.write_timeout, duration(v, ms(SECOND, 10 * MINUTE)))
    }),
    key("off_retry", |c, v| put(&mut c.stream.off_retry, duration(v, ms(SECOND, HOUR)))),
];

static TIMEOUTS: &[Key<Config>] = &[
    key("client_head", |c, v| put(&mut c.timeouts.client_head, duration(v, ms(100, 10 * MINUTE)))),
    key("connect", |c, v| put(&mut c.timeouts.connect, duration(v, ms(10, 5 * MINUTE)))),
    key("origin_head", |c, v| put(&mut c.timeouts.origin_head, duration(v, ms(100, HOUR)))),
    key("client_body", |c, v| put(&mut c.timeouts.client_body, duration(v, ms(100, DAY)))),
    key("client_write", |c, v| put(&mut c.timeouts.client_write, duration(v, ms(100, DAY)))),
    key("origin_body", |c, v| put(&mut c.timeouts.origin_body, duration(v, ms(100, DAY)))),
    key("upgrade", |c, v| put(&mut c.timeouts.upgrade, duration(v, ms(100, 7 * DAY)))),
    key("idle", |c, v| put(&mut c.timeouts.idle, duration(v, ms(0, HOUR)))),
    key("unready", |c, v| put(&mut c.timeouts.unready, duration(v, ms(0, HOUR)))),
    key("drain", |c, v| put(&mut c.timeouts.drain, duration(v, ms(0, HOUR)))),
];

fn audience(value: &Value<'_>) -> Read<Audience> {
    let audiences = [
        ("credential", Audience::Credential),
        ("shared", Audience::Shared),
        ("public", Audience::Public),
    ];
    word(value, &audiences)
}

fn origin_protocol(value: &Value<'_>) -> Read<OriginProtocol> {
    let protocols = [
        ("auto", OriginProtocol::Auto),
        ("http1", OriginProtocol::Http1),
        ("http2", OriginProtocol::Http2),
    ];
    word(value, &protocols)
}

fn forwarding(value: &Value<'_>) -> Read<ForwardingField> {
    let fields = [
        ("x-forwarded-for", ForwardingField::For),
        ("x-forwarded-proto", ForwardingField::Proto),
        ("x-forwarded-host", ForwardingField::Host),
        ("forwarded", ForwardingField::Forwarded),
    ];
    word(value, &fields)
}

fn settle(value: &Value<'_>) -> Read<[Duration; 2]> {
    let advice = "must be two times, the shorter one first, as in [\"250ms\", \"1s\"]";
    let times = list(value, "250ms", |v| duration(v, ms(0, MINUTE)))?;
    match <[Duration; 2]>::try_from(times) {
        Ok([first, second]) if first <= second => Ok([first, second]),
        _ => super::value::refuse(value, advice),
    }
}
