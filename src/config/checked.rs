//! The checked form: every value is usable as it stands.

use super::Glob;
use std::net::SocketAddr;
use std::time::Duration;

/// How far Pollcast goes, of a watch or of the whole proxy: each step includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// A plain proxy.
    Off,
    /// Everything crosses unchanged; Pollcast counts what it could save.
    Observe,
    /// Polls that ask at once share one request to the origin.
    Collapse,
    /// Changes are pushed to the pages.
    Push,
}

impl std::fmt::Display for Mode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Off => "off",
            Self::Observe => "observe",
            Self::Collapse => "collapse",
            Self::Push => "push",
        })
    }
}

/// Everything an operator decided.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// The server behind us: scheme, authority, no path.
    pub origin: http::Uri,
    /// Ceiling for every watch.
    pub mode: Mode,
    /// Path prefix of the own endpoints: begins with `/`, doesn't end with one.
    pub prefix: String,
    /// Which request fields tell users apart.
    pub identity: Identity,
    /// The polled endpoints; the first that matches counts.
    pub watches: Vec<Watch>,
    /// The script tag in HTML.
    pub inject: Inject,
    /// The operator's listener.
    pub admin: Admin,
    /// Log lines.
    pub log: Log,
    /// Caps.
    pub limits: Limits,
    /// Central polls.
    pub poll: Poll,
    /// Event streams.
    pub stream: StreamTimes,
    /// Passthrough.
    pub timeouts: Timeouts,
}

/// Which request fields tell users apart.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Lower-case field names.
    pub headers: Vec<http::HeaderName>,
    /// Cookie names; `*` means all.
    pub cookies: Vec<String>,
    /// Query parameters that are cache busters: no part of a topic.
    pub cache_busters: Vec<String>,
    /// Request fields that never change what the origin answers (lower case; a trailing `*`
    /// matches a prefix), beside the built-in ones.
    pub irrelevant: Vec<String>,
}

/// One rule that names polled endpoints.
#[derive(Clone, Debug)]
pub struct Watch {
    /// Short name, for metrics and logs. Unique.
    pub name: String,
    /// Matches the path (without the query).
    pub path: Glob,
    /// How far to go; the effective mode is the lower of this and [`Config::mode`].
    pub mode: Mode,
    /// Percentage of browsers (0 to 100) that are pushed; sticky per browser.
    pub percent: u8,
    /// How often to poll centrally.
    pub interval: Interval,
    /// Globs over the paths of writes that hint this watch, beside the default path rule.
    pub write_hints: Vec<Glob>,
    /// JSON pointers that don't count as a change (unescaped reference tokens each).
    pub ignore: Vec<Vec<String>>,
}

/// How often to poll centrally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// As often as the fastest subscriber's app would.
    Auto,
    /// This often, whatever the apps do (where hints can be trusted).
    Every(Duration),
}

/// The script tag in HTML.
#[derive(Clone, Copy, Debug)]
pub struct Inject {
    /// Whether to write the tag at all.
    pub enabled: bool,
}

/// The operator's listener.
#[derive(Clone, Copy, Debug)]
pub struct Admin {
    /// `None` switches it off.
    pub listen: Option<SocketAddr>,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Log lines.
#[derive(Clone, Debug)]
pub struct Log {
    /// A tracing filter: `info`, `pollcast=debug`, …
    pub level: String,
    /// Text or JSON.
    pub format: LogFormat,
}

/// Caps. At a cap the newcomer is served as without Pollcast; nothing already served is disturbed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Client connections at once.
    pub connections: usize,
    /// Event streams at once.
    pub streams: usize,
    /// Topics in memory.
    pub topics: usize,
    /// Topics of one stream.
    pub topics_per_stream: usize,
    /// Bytes of one watched body.
    pub body: usize,
    /// Bytes of all snapshots together; as many again for watched answers on their way to clients.
    pub snapshots: usize,
    /// Bytes of a stream request's body.
    pub stream_request: usize,
    /// Bytes of a message head, and of the buffer that reads it.
    pub head: usize,
    /// Number of past states kept per topic, for deltas to slow readers and resumed streams.
    pub history: usize,
}

/// Central polls.
#[derive(Clone, Copy, Debug)]
pub struct Poll {
    /// Polls per second to the origin, all topics together.
    pub rate: u32,
    /// Polls to the origin at once.
    pub concurrency: usize,
    /// An answer that takes longer makes the topic stale.
    pub timeout: Duration,
    /// No cadence is faster.
    pub min_interval: Duration,
    /// Cadence of a client that names none.
    pub default_interval: Duration,
    /// When a hinted poll finds nothing new, it looks again after these.
    pub settle: [Duration; 2],
    /// A snapshot verified within this answers a marked request.
    pub collapse_max_age: Duration,
    /// A page polls each pushed URL for real this often (rolling cookies, proof of access).
    pub reauthorize: Duration,
    /// A topic without subscribers is forgotten after this.
    pub linger: Duration,
    /// Failures in a row that open the breaker.
    pub breaker_failures: u32,
}

/// Event streams.
#[derive(Clone, Copy, Debug)]
pub struct StreamTimes {
    /// Longest time between two beats.
    pub beat: Duration,
    /// A stream is ended after this (jittered), so that clients spread over replicas.
    pub lifetime: Duration,
    /// A reader that takes nothing for this long is cut off.
    pub write_timeout: Duration,
    /// After `bye off`, pages ask again this often (jittered).
    pub off_retry: Duration,
}

/// Passthrough.
#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// From accept (or the last response) to a complete request head.
    pub client_head: Duration,
    /// To connect to the origin.
    pub connect: Duration,
    /// From the request to the origin's response head.
    pub origin_head: Duration,
    /// Idle origin connections are kept this long.
    pub idle: Duration,
    /// Time to leave: what isn't finished then is cut.
    pub drain: Duration,
}

impl Config {
    /// All defaults, for one origin and no watch.
    #[must_use]
    pub fn new(origin: http::Uri) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            origin,
            mode: Mode::Push,
            prefix: "/__pollcast".to_owned(),
            identity: Identity {
                headers: vec![http::header::AUTHORIZATION],
                cookies: vec!["*".to_owned()],
                cache_busters: ["_", "t", "ts", "cb"].map(str::to_owned).to_vec(),
                irrelevant: Vec::new(),
            },
            watches: Vec::new(),
            inject: Inject { enabled: true },
            admin: Admin { listen: Some(SocketAddr::from(([127, 0, 0, 1], 9090))) },
            log: Log { level: "info".to_owned(), format: LogFormat::Text },
            limits: Limits::default(),
            poll: Poll::default(),
            stream: StreamTimes::default(),
            timeouts: Timeouts::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            streams: 10_000,
            topics: 10_000,
            topics_per_stream: 100,
            body: 1 << 20,
            snapshots: 256 << 20,
            stream_request: 64 << 10,
            head: 64 << 10,
            history: 4,
        }
    }
}

impl Default for Poll {
    fn default() -> Self {
        Self {
            rate: 200,
            concurrency: 32,
            timeout: Duration::from_secs(10),
            min_interval: Duration::from_millis(250),
            default_interval: Duration::from_secs(5),
            settle: [Duration::from_millis(250), Duration::from_secs(1)],
            collapse_max_age: Duration::from_secs(1),
            reauthorize: Duration::from_secs(60),
            linger: Duration::from_secs(30),
            breaker_failures: 5,
        }
    }
}

impl Default for StreamTimes {
    fn default() -> Self {
        Self {
            beat: Duration::from_secs(15),
            lifetime: Duration::from_secs(3600),
            write_timeout: Duration::from_secs(30),
            off_retry: Duration::from_secs(15),
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            client_head: Duration::from_secs(30),
            connect: Duration::from_secs(5),
            origin_head: Duration::from_secs(120),
            idle: Duration::from_secs(60),
            drain: Duration::from_secs(30),
        }
    }
}

impl Watch {
    /// A watch with every default, named after its glob.
    #[must_use]
    pub fn new(path: Glob) -> Self {
        Self {
            name: path.as_str().to_owned(),
            path,
            mode: Mode::Push,
            percent: 100,
            interval: Interval::Auto,
            write_hints: Vec::new(),
            ignore: Vec::new(),
        }
    }
}
