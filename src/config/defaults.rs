//! What counts where the operator says nothing.

use super::{
    Admin, Audience, Config, Cors, Csp, Forwarding, ForwardingField, Glob, Identity, Inject,
    Interval, Limits, Log, LogFormat, Mode, OriginHost, OriginProtocol, Poll, Proof, Refresh,
    StreamTimes, Timeouts, Tls, Watch,
};
use std::net::SocketAddr;
use std::time::Duration;

impl Config {
    /// All defaults, for one origin and no watch.
    #[must_use]
    pub fn new(origin: http::Uri) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            workers: None,
            reuse_port: false,
            origin,
            origin_socket: None,
            origin_protocol: OriginProtocol::Auto,
            origin_ca: None,
            origin_host: OriginHost::Keep,
            forwarding: Forwarding::default(),
            mode: Mode::Push,
            unrelated_writes: Vec::new(),
            prefix: "/__pollcast".to_owned(),
            identity: Identity {
                headers: vec![http::header::AUTHORIZATION],
                cookies: vec!["*".to_owned()],
                cache_busters: ["_", "cb"].map(str::to_owned).to_vec(),
                irrelevant: Vec::new(),
            },
            watches: Vec::new(),
            cors: Cors::default(),
            inject: Inject { enabled: true, csp: Csp::Leave },
            tls: Tls::default(),
            admin: Admin { listen: Some(SocketAddr::from(([127, 0, 0, 1], 9090))) },
            log: Log { level: "info".to_owned(), format: LogFormat::Text },
            limits: Limits::default(),
            poll: Poll::default(),
            stream: StreamTimes::default(),
            timeouts: Timeouts::default(),
        }
    }
}

impl Default for Forwarding {
    fn default() -> Self {
        Self {
            fields: vec![ForwardingField::For, ForwardingField::Proto, ForwardingField::Host],
            trusted: Vec::new(),
            via: true,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            streams: 10_000,
            streams_per_client: 1000,
            topics: 10_000,
            topics_per_stream: 100,
            body: 1 << 20,
            snapshots: 256 << 20,
            stream_request: 64 << 10,
            stream_head: 32 << 10,
            target: 32 << 10,
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
            client_body: Duration::from_secs(60),
            client_write: Duration::from_secs(60),
            origin_body: Duration::from_secs(600),
            upgrade: Duration::from_secs(3600),
            idle: Duration::from_secs(60),
            unready: Duration::ZERO,
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
            audience: Audience::Credential,
            proof: Proof::Two,
            poll_as: None,
            share_private: false,
            refresh: Refresh::Timer,
            write_hints: Vec::new(),
            ignore: Vec::new(),
        }
    }
}
