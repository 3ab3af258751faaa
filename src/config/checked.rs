//! The checked form: every value is usable as it stands.

use super::{Glob, Service};
use ipnet::IpNet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
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
    /// Threads that carry connections; `None` is one for each core.
    pub workers: Option<usize>,
    /// Other processes may listen on the same address at the same time.
    pub reuse_port: bool,
    /// The server behind us: scheme, authority, no path.
    pub origin: http::Uri,
    /// Where the origin listens, if on a Unix socket; [`Config::origin`] is `http://localhost`
    /// then.
    pub origin_socket: Option<PathBuf>,
    /// Which protocol the origin is spoken to in.
    pub origin_protocol: OriginProtocol,
    /// PEM file of the certificates that may sign the origin's; `None` is the system's.
    pub origin_ca: Option<PathBuf>,
    /// Which `Host` the origin sees.
    pub origin_host: OriginHost,
    /// What the origin is told of a request's way.
    pub forwarding: Forwarding,
    /// Ceiling for every watch.
    pub mode: Mode,
    /// Paths of writes that change nothing that is polled, and log nobody in.
    pub unrelated_writes: Vec<Glob>,
    /// Path prefix of the own endpoints: begins with `/`, doesn't end with one.
    pub prefix: String,
    /// Which request fields tell users apart.
    pub identity: Identity,
    /// The polled endpoints; the first that matches counts.
    pub watches: Vec<Watch>,
    /// Pages of other hosts.
    pub cors: Cors,
    /// The script tag in HTML.
    pub inject: Inject,
    /// TLS for clients.
    pub tls: Tls,
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

impl Config {
    /// Threads that carry connections.
    #[must_use]
    pub fn worker_count(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.workers.unwrap_or_else(cores)
    }
}

/// Which protocol the origin is spoken to in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginProtocol {
    /// HTTP/1.1 in clear text; over TLS what ALPN agrees on, HTTP/2 first.
    Auto,
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, in clear text by prior knowledge.
    Http2,
}

/// Which `Host` the origin sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginHost {
    /// The client's own.
    Keep,
    /// The origin's, as the config names it.
    Origin,
}

/// What the origin is told of a request's way.
#[derive(Clone, Debug)]
pub struct Forwarding {
    /// Which fields are written.
    pub fields: Vec<ForwardingField>,
    /// Whose forwarding fields are believed and appended to; everybody else's are replaced.
    pub trusted: Vec<IpNet>,
    /// Whether a request says `Via`, which finds loops.
    pub via: bool,
}

/// A field that tells the origin of a request's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardingField {
    /// `X-Forwarded-For`.
    For,
    /// `X-Forwarded-Proto`.
    Proto,
    /// `X-Forwarded-Host`.
    Host,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// TLS for clients: both files, or neither, which is clear text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM file: the certificate first, then those between it and the root.
    pub certificate: Option<PathBuf>,
    /// PEM file of its private key.
    pub key: Option<PathBuf>,
}

impl Tls {
    /// Certificate and key, if clients speak TLS.
    #[must_use]
    pub fn files(&self) -> Option<(&Path, &Path)> {
        self.certificate.as_deref().zip(self.key.as_deref())
    }
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
    /// Who may share one central poll.
    pub audience: Audience,
    /// What it takes before a state that one identity was shown goes to another.
    pub proof: Proof,
    /// Credentials of its own for central polls; `None` is those of the subscribers.
    pub poll_as: Option<Service>,
    /// Share answers that say `Cache-Control: private` or set an identity cookie all the same.
    pub share_private: bool,
    /// Whom the script asks to look as soon as a state has changed.
    pub refresh: Refresh,
    /// Globs over the paths of writes that hint this watch, beside the default path rule.
    pub write_hints: Vec<Glob>,
    /// JSON pointers that don't count as a change (unescaped reference tokens each).
    pub ignore: Vec<Vec<String>>,
}

/// Who may share one central poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Audience {
    /// Who sends the same credentials.
    Credential,
    /// All whom the origin lets see it: they get the same bytes.
    Shared,
    /// Anyone; central polls carry no credentials.
    Public,
}

/// What it takes before a state that one identity was shown goes to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Two identities were shown it by requests of their own.
    Two,
    /// Every identity must have been shown it by a request of its own.
    Each,
}

/// Whom the script in the page asks to look as soon as a state has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refresh {
    /// Nobody: the app's next poll shows it.
    None,
    /// The app's data library, if it is one that the script knows.
    Library,
    /// That, or else the timer that polls the URL: run early, with whatever else it does.
    Timer,
}

/// How often to poll centrally.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interval {
    /// As often as the fastest subscriber's app would.
    Auto,
    /// This often, whatever the apps do (where hints can be trusted).
    Every(Duration),
}

/// Pages of other hosts.
#[derive(Clone, Debug, Default)]
pub struct Cors {
    /// Origins (scheme, host, port; as browsers write them) whose pages may open streams.
    pub origins: Vec<String>,
}

/// The script tag in HTML.
#[derive(Clone, Copy, Debug)]
pub struct Inject {
    /// Whether to write the tag at all.
    pub enabled: bool,
    /// What to do about a policy that would block it.
    pub csp: Csp,
}

/// What becomes of a page's Content-Security-Policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Csp {
    /// It stays; a page whose policy would block the script or its stream gets no tag.
    Leave,
    /// It gets the own paths, where it lacks them.
    Extend,
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
    /// Event streams of one client address at once.
    pub streams_per_client: usize,
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
    /// Bytes of a stream request's fields, which are kept for as long as the stream.
    pub stream_head: usize,
    /// Bytes of a request target.
    pub target: usize,
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
    /// Failures in a row of one watch that open its breaker.
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
    /// A request body that doesn't move for this long is given up.
    pub client_body: Duration,
    /// A client that takes nothing of an answer for this long is cut off.
    pub client_write: Duration,
    /// An answer's body that doesn't move for this long is cut off.
    pub origin_body: Duration,
    /// A tunnel in which nothing moves for this long is cut.
    pub upgrade: Duration,
    /// Idle origin connections are kept this long.
    pub idle: Duration,
    /// On leaving, readiness is off this long before anything else happens.
    pub unready: Duration,
    /// Time to leave: what isn't finished then is cut.
    pub drain: Duration,
}
