//! Composition root: the only file that knows every room.

mod leaving;
mod listen;
mod manager;

pub use leaving::Left;
pub use listen::Handed;

use crate::admin::{self, Desk, Ready};
use crate::config::{self, Config, Faults, Mode, Source};
use crate::demo;
use crate::drain::Drain;
use crate::hub::Hub;
use crate::server::dispatch::live::Live;
use crate::server::dispatch::{Admitted, Complaints, Dispatch, Habits, Preflights, Shared};
use crate::server::{self, Settings, Tls};
use crate::telemetry::Metrics;
use crate::upstream::{HttpOrigin, Upstream};
use crate::watch::Learnt;
use arc_swap::ArcSwap;
use leaving::Told;
use manager::Manager;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A proxy that listens.
struct Proxy {
    /// What the present configuration decides.
    live: Arc<ArcSwap<Live>>,
    hub: Hub,
    upstream: Upstream,
    metrics: Metrics,
    ready: Ready,
    drain: Drain,
    /// Tasks that outlive those of clients: while these finish, probes are still answered.
    desk: Drain,
    /// Who started us, and wants to know how it goes.
    manager: Arc<Manager>,
    /// Keys identities; the same for the life of the process.
    secret: [u8; 32],
    /// What the origin's `Vary` has taught; likewise.
    learnt: Arc<Learnt>,
    /// Where clients connect.
    addr: SocketAddr,
    /// Where the operator connects.
    admin: Option<SocketAddr>,
}

/// Runs the proxy until it is told to leave, on the sockets that were handed over and on its own
/// for the rest. `source` is read again when it changes.
///
/// # Errors
/// An address can't be listened on.
pub async fn run(config: Config, source: Source, handed: Handed) -> anyhow::Result<Left> {
    let times = config.timeouts;
    let drain = Drain::new();
    // Before anybody can connect: unheard, a signal ends the process on the spot.
    let mut told = Told::new()?;
    let hangup = signal(SignalKind::hangup())?;
    let proxy = Proxy::start(config, &drain, handed)?;
    proxy.manager.ready(&proxy.status());
    tokio::select! {
        () = told.next() => {}
        () = proxy.follow(&source, hangup) => {}
    }
    Ok(proxy.leave(times, told).await)
}

/// Runs the board app with the proxy before it.
///
/// # Errors
/// An address can't be listened on.
pub async fn demo(listen: SocketAddr, admin: Option<SocketAddr>) -> anyhow::Result<Left> {
    const SEED: u64 = 7;
    let mut told = Told::new()?;
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
    config.timeouts.drain = Duration::from_secs(2);
    let times = config.timeouts;
    let proxy = Proxy::start(config, &drain, Handed::default())?;
    let front = match proxy.addr.ip().is_unspecified() {
        true => SocketAddr::from(([127, 0, 0, 1], proxy.addr.port())),
        false => proxy.addr,
    };
    demo::colleague::spawn(&drain, front, &origin, SEED);
    say(&demo::instructions(proxy.addr, proxy.admin));
    told.next().await;
    Ok(proxy.leave(times, told).await)
}

#[allow(clippy::print_stdout, reason = "the demo's instructions are its output")]
fn say(text: &str) {
    println!("{text}");
}

impl Proxy {
    fn start(config: Config, drain: &Drain, mut handed: Handed) -> anyhow::Result<Self> {
        let (metrics, ready, desk) = (Metrics::new(), Ready::new(), Drain::new());
        let listener = handed.clients(config.listen, config.reuse_port)?;
        let addr = listener.local_addr()?;
        let (mut admin, seen) = (None, Arc::new(OnceLock::new()));
        if let Some((socket, shared)) = handed.admin(config.admin.listen, config.reuse_port)? {
            admin = Some(socket.local_addr()?);
            // Where the next generation answers too, one that leaves mustn't answer for it.
            let until = if shared { drain } else { &desk };
            let metrics = metrics.clone();
            let desk = Desk { metrics, ready: ready.clone(), hub: Arc::clone(&seen) };
            until.spawn(admin::serve(socket, desk, until.clone()));
        }
        let manager = Arc::new(Manager::from_env());
        let alive = Arc::clone(&manager);
        desk.spawn(until_leaving(desk.clone(), async move { alive.keep_alive().await }));
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| anyhow::anyhow!("no random: {error}"))?;
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no random: {error}"))?;
        let (mut settings, upstream) = (Settings::from(&config), Upstream::new(&config, drain)?);
        settings.tls = Tls::load(&config.tls)?;
        if let Some(tls) = settings.tls.clone() {
            drain.spawn(tls.follow(drain.clone()));
        }
        let learnt = Arc::new(Learnt::default());
        let live = Live::new(config, (secret, &learnt), &metrics);
        let origin = Arc::new(HttpOrigin::new(upstream.clone(), &live.config));
        let parts = (drain.clone(), metrics.clone());
        let keyer = Arc::clone(&live.keyer);
        let hub = Hub::new(&live.config, origin, keyer, parts, u64::from_le_bytes(seed));
        let _ = seen.set(hub.clone());
        drain.spawn(until_leaving(drain.clone(), hub.clone().sweep()));
        let live = Arc::new(ArcSwap::from_pointee(live));
        let dispatch = Dispatch::new(Shared {
            live: Arc::clone(&live),
            hub: hub.clone(),
            upstream: upstream.clone(),
            purse: Arc::default(),
            admitted: Admitted::default(),
            preflights: Preflights::default(),
            seats: Arc::default(),
            named: Arc::default(),
            habits: Habits::default(),
            complaints: Complaints::default(),
            metrics: metrics.clone(),
            drain: drain.clone(),
        });
        let serving = server::serve(listener, dispatch, settings, drain.clone(), metrics.clone());
        drain.spawn(serving);
        ready.yes();
        let config = &live.load().config;
        tracing::info!(%addr, admin = admin.map(tracing::field::display),
            origin = %config.origin, mode = %config.mode, "listening");
        let drain = drain.clone();
        Ok(Self {
            live,
            hub,
            upstream,
            metrics,
            ready,
            drain,
            desk,
            manager,
            secret,
            learnt,
            addr,
            admin,
        })
    }

    /// One line for the service manager.
    fn status(&self) -> String {
        format!("mode {}, listening on {}", self.live.load().config.mode, self.addr)
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
            self.manager.reloading();
            self.take_up(source.load());
            self.manager.ready(&self.status());
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
            ("reuse_port", old.config.reuse_port != config.reuse_port),
            ("workers", old.config.workers != config.workers),
            ("origin", place(&old.config) != place(&config)),
            ("admin.listen", old.config.admin.listen != config.admin.listen),
            ("prefix", old.config.prefix != config.prefix),
            ("tls", old.config.tls != config.tls),
            ("log", !same(&old.config.log, &config.log)),
            ("timeouts", !same(&old.config.timeouts, &config.timeouts)),
            ("limits.connections", old.config.limits.connections != config.limits.connections),
            ("limits.target", old.config.limits.target != config.limits.target),
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
            origin_socket: old.config.origin_socket.clone(),
            origin_protocol: old.config.origin_protocol,
            origin_ca: old.config.origin_ca.clone(),
            admin: old.config.admin,
            prefix: old.config.prefix.clone(),
            ..config
        };
        let rules_changed = rules(&kept) != rules(&old.config);
        let (mode, retry) = (kept.mode, kept.stream.off_retry);
        let live = Live::new(kept, (self.secret, &self.learnt), &self.metrics);
        self.upstream.reconfigure(&live.config);
        let origin = Arc::new(HttpOrigin::new(self.upstream.clone(), &live.config));
        self.hub.reconfigure(&live.config, origin, Arc::clone(&live.keyer));
        self.live.store(Arc::new(live));
        tracing::info!(%mode, "the new configuration is in force");
        if mode < Mode::Push {
            self.hub.bye("off", retry);
        } else if rules_changed {
            // Clients come back at once and are told what still is pushed.
            self.hub.bye("lifetime", Duration::from_millis(500));
            self.hub.renew();
        }
    }
}

/// What streams rest on: if it changes, they must be asked for again.
fn rules(config: &Config) -> String {
    format!("{:?} {:?} {:?}", config.mode, config.watches, config.identity)
}

/// Where the origin is, and how it is spoken to.
fn place(config: &Config) -> impl PartialEq {
    let Config { origin, origin_socket, origin_protocol, origin_ca, .. } = config;
    (origin.clone(), origin_socket.clone(), *origin_protocol, origin_ca.clone())
}

fn same<T: std::fmt::Debug>(old: &T, new: &T) -> bool {
    format!("{old:?}") == format!("{new:?}")
}

async fn until_leaving(drain: Drain, task: impl Future<Output = ()>) {
    tokio::select! {
        () = drain.leaving() => {}
        () = task => {}
    }
}
