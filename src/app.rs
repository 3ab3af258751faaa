//! Composition root: the only file that knows every room.

use crate::admin::{self, Ready};
use crate::config::{self, Config, Faults, Mode, Source};
use crate::demo;
use crate::drain::Drain;
use crate::hub::Hub;
use crate::server::dispatch::live::Live;
use crate::server::dispatch::{Dispatch, Shared};
use crate::server::{self, Settings, Tls};
use crate::telemetry::Metrics;
use crate::upstream::{HttpOrigin, Origin, Upstream};
use anyhow::Context as _;
use arc_swap::ArcSwap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A proxy that listens.
struct Proxy {
    /// What the present configuration decides.
    live: Arc<ArcSwap<Live>>,
    hub: Hub,
    metrics: Metrics,
    ready: Ready,
    drain: Drain,
    /// Keys identities; the same for the life of the process.
    secret: [u8; 32],
    /// Where clients connect.
    addr: SocketAddr,
    /// Where the operator connects.
    admin: Option<SocketAddr>,
}

/// Runs the proxy until it is told to leave. `source` is read again when it changes.
///
/// # Errors
/// An address can't be listened on.
pub async fn run(config: Config, source: Source) -> anyhow::Result<()> {
    let grace = config.timeouts.drain;
    let drain = Drain::new();
    // Before anybody can connect: unheard, a signal ends the process on the spot.
    let until = until_told()?;
    let hangup = signal(SignalKind::hangup())?;
    let proxy = Proxy::start(config, &drain).await?;
    tokio::pin!(until);
    tokio::select! {
        () = &mut until => {}
        () = proxy.follow(&source, hangup) => {}
    }
    proxy.leave(grace).await
}

/// Runs the board app with the proxy before it.
///
/// # Errors
/// An address can't be listened on.
pub async fn demo(listen: SocketAddr, admin: Option<SocketAddr>) -> anyhow::Result<()> {
    const SEED: u64 = 7;
    let until = until_told()?;
    let drain = Drain::new();
    let origin = demo::origin::spawn(&drain, SEED).await?;
    let mut config = Config::new(format!("http://{}", origin.addr).parse()?);
    config.listen = listen;
    config.admin.listen = admin;
    let glob = config::Glob::new(demo::WRITES)?;
    let mut watch = config::Watch::new(glob.clone());
    "board".clone_into(&mut watch.name);
    watch.write_hints = vec![glob];
    config.watches.push(watch);
    let proxy = Proxy::start(config, &drain).await?;
    let front = match proxy.addr.ip().is_unspecified() {
        true => SocketAddr::from(([127, 0, 0, 1], proxy.addr.port())),
        false => proxy.addr,
    };
    demo::colleague::spawn(&drain, front, &origin, SEED);
    say(&demo::instructions(proxy.addr, proxy.admin));
    until.await;
    proxy.leave(Duration::from_secs(2)).await
}

#[allow(clippy::print_stdout, reason = "the demo's instructions are its output")]
fn say(text: &str) {
    println!("{text}");
}

impl Proxy {
    async fn start(config: Config, drain: &Drain) -> anyhow::Result<Self> {
        let (metrics, ready) = (Metrics::new(), Ready::new());
        let listener = bind(config.listen).await?;
        let addr = listener.local_addr()?;
        let mut admin = None;
        if let Some(wanted) = config.admin.listen {
            let listener = bind(wanted).await?;
            admin = Some(listener.local_addr()?);
            let serving = admin::serve(listener, metrics.clone(), ready.clone(), drain.clone());
            drain.spawn(serving);
        }
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| anyhow::anyhow!("no random: {error}"))?;
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no random: {error}"))?;
        let (mut settings, upstream) = (Settings::from(&config), Upstream::new(&config));
        settings.tls = Tls::load(&config.tls)?;
        if let Some(tls) = settings.tls.clone() {
            drain.spawn(tls.follow(drain.clone()));
        }
        let live = Live::new(config, secret, &metrics);
        let origin = origin(&live.config)?;
        let parts = (drain.clone(), metrics.clone());
        let keyer = Arc::clone(&live.keyer);
        let hub = Hub::new(&live.config, origin, keyer, parts, u64::from_le_bytes(seed));
        drain.spawn(until_leaving(drain.clone(), hub.clone().sweep()));
        tracing::info!(%addr, admin = admin.map(tracing::field::display),
            origin = %live.config.origin, mode = %live.config.mode, "listening");
        let live = Arc::new(ArcSwap::from_pointee(live));
        let dispatch = Dispatch::new(Shared {
            live: Arc::clone(&live),
            hub: hub.clone(),
            upstream,
            purse: Arc::default(),
            metrics: metrics.clone(),
            drain: drain.clone(),
        });
        let serving = server::serve(listener, dispatch, settings, drain.clone(), metrics.clone());
        drain.spawn(serving);
        ready.yes();
        Ok(Self { live, hub, metrics, ready, drain: drain.clone(), secret, addr, admin })
    }

    /// Reads the configuration again on each change and each SIGHUP. Never returns.
    async fn follow(&self, source: &Source, mut hangup: Signal) {
        let mut file = source.file.as_deref().and_then(|path| {
            let watching = config::watch_file(path);
            watching.inspect_err(|error| tracing::warn!(%error, "changes need a SIGHUP")).ok()
        });
        // The file may have changed between its first reading and the watch, which would never
        // speak of it.
        let first = source.load();
        let known = format!("{:?}", self.live.load().config);
        if first.as_ref().map_or(true, |config| format!("{config:?}") != known) {
            self.take_up(first);
        }
        loop {
            tokio::select! {
                Some(()) = hangup.recv() => {}
                () = async { if let Some(file) = &mut file { file.changed().await } },
                    if file.is_some() => {}
                else => std::future::pending().await,
            }
            self.take_up(source.load());
        }
    }

    /// A faulty configuration changes nothing, and says so.
    fn take_up(&self, read: Result<Config, Faults>) {
        match read {
            Ok(config) => self.reload(config),
            Err(faults) => {
                tracing::error!("the configuration has faults, nothing changed:\n{faults}");
            }
        }
    }

    /// Puts a new configuration in force. Streams go on unless what they rest on has changed.
    fn reload(&self, config: Config) {
        let old = self.live.load_full();
        for (key, differs) in [
            ("listen", old.config.listen != config.listen),
            ("origin", old.config.origin != config.origin),
            ("admin.listen", old.config.admin.listen != config.admin.listen),
            ("prefix", old.config.prefix != config.prefix),
            ("tls", old.config.tls != config.tls),
            ("log", !same(&old.config.log, &config.log)),
            ("timeouts", !same(&old.config.timeouts, &config.timeouts)),
            ("limits.connections", old.config.limits.connections != config.limits.connections),
            ("limits.head", old.config.limits.head != config.limits.head),
            (
                "stream.write_timeout",
                old.config.stream.write_timeout != config.stream.write_timeout,
            ),
        ] {
            if differs {
                tracing::warn!(key, "this key takes effect at the next start only");
            }
        }
        let kept = Config {
            listen: old.config.listen,
            origin: old.config.origin.clone(),
            admin: old.config.admin,
            prefix: old.config.prefix.clone(),
            ..config
        };
        let rules_changed = rules(&kept) != rules(&old.config);
        let (mode, retry) = (kept.mode, kept.stream.off_retry);
        let live = Live::new(kept, self.secret, &self.metrics);
        match origin(&live.config) {
            Ok(origin) => self.hub.reconfigure(&live.config, origin, Arc::clone(&live.keyer)),
            Err(error) => tracing::error!(%error, "central polls keep their old times"),
        }
        self.live.store(Arc::new(live));
        tracing::info!(%mode, "the new configuration is in force");
        if mode < Mode::Push {
            self.hub.bye("off", retry);
        } else if rules_changed {
            // Clients come back at once and are told what still is pushed.
            self.hub.bye("lifetime", Duration::from_millis(500));
        }
    }

    /// Readiness off, streams told to come back, requests finish, then the rest is cut.
    async fn leave(self, grace: Duration) -> anyhow::Result<()> {
        tracing::info!("leaving");
        self.ready.not("leaving");
        // In this order: a stream that opens meanwhile is either told, or sees that it is too late.
        self.drain.leave();
        self.hub.bye("drain", Duration::from_millis(500));
        if tokio::time::timeout(grace, self.drain.left()).await.is_err() {
            tracing::warn!("not everything was finished within timeouts.drain");
        }
        Ok(())
    }
}

/// What streams rest on: if it changes, they must be asked for again.
fn rules(config: &Config) -> String {
    format!("{:?} {:?} {:?}", config.mode, config.watches, config.identity)
}

fn same<T: std::fmt::Debug>(old: &T, new: &T) -> bool {
    format!("{old:?}") == format!("{new:?}")
}

fn origin(config: &Config) -> anyhow::Result<Arc<dyn Origin>> {
    Ok(Arc::new(HttpOrigin::new(&config.origin, config.poll.timeout, config.limits.body)?))
}

async fn bind(addr: SocketAddr) -> anyhow::Result<TcpListener> {
    TcpListener::bind(addr).await.with_context(|| format!("can't listen on {addr}"))
}

async fn until_leaving(drain: Drain, task: impl Future<Output = ()>) {
    tokio::select! {
        () = drain.leaving() => {}
        () = task => {}
    }
}

/// Resolves at SIGTERM or SIGINT.
fn until_told() -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
