//! The real push machinery, put together as the server does it, without sockets.

use crate::origin::{About, CLOCK, PATHS, Script};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use pollcast::config::{Audience, Config, Glob, Mode, Proof, Watch};
use pollcast::drain::Drain;
use pollcast::hint::Write;
use pollcast::http::Frames;
use pollcast::hub::{self, Asker, Full, Hub, Position, View, Wish};
use pollcast::route;
use pollcast::stream::{EventStream, Pace, StreamRequest, Wanted, frames};
use pollcast::telemetry::Metrics;
use pollcast::upstream::Answer;
use pollcast::watch::{Facts, Keyer, PollRequest, Refusal, Snapshot, Target, TopicKey, read};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// One run of one process.
pub struct Proxy {
    pub config: Config,
    keyer: Arc<Keyer>,
    watches: Vec<Arc<Watch>>,
    pub hub: Hub,
    metrics: Metrics,
    sweep: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.sweep.abort();
    }
}

/// Caps and times that differ from seed to seed.
pub fn config(rng: &mut fastrand::Rng) -> Config {
    let mut config = Config::new(http::Uri::from_static("http://origin"));
    let mut api = Watch::new(Glob::new("/api/**").unwrap());
    api.write_hints = vec![Glob::new("/rpc").unwrap()];
    let mut clock = Watch::new(Glob::new("/clock/**").unwrap());
    clock.ignore = vec![vec!["at".to_owned()]];
    let audience = [Audience::Credential, Audience::Shared, Audience::Shared][rng.usize(0..3)];
    let proof = if rng.bool() { Proof::Two } else { Proof::Each };
    for watch in [&mut api, &mut clock] {
        (watch.audience, watch.proof, watch.share_private) = (audience, proof, true);
    }
    config.watches = vec![api, clock];
    config.poll.reauthorize = Duration::from_secs(rng.u64(10..40));
    config.limits.streams = if rng.bool() { 3 } else { 100 };
    config.limits.topics = if rng.bool() { 5 } else { 1000 };
    config.limits.snapshots = if rng.u8(0..4) == 0 { 4000 } else { 1 << 20 };
    config.limits.history = rng.usize(0..4);
    config.poll.concurrency = rng.usize(1..5);
    config.poll.rate = if rng.bool() { 10 } else { 200 };
    config.poll.timeout = Duration::from_millis(rng.u64(1500..5000));
    config.poll.linger = Duration::from_secs(rng.u64(1..30));
    // Where streams last, nothing is mended by opening them anew.
    config.stream.lifetime = Duration::from_secs(if rng.bool() { 3600 } else { rng.u64(10..60) });
    config
}

/// The fields of an app's own request.
pub fn fields(sid: &str) -> HeaderMap {
    let cookie = HeaderValue::try_from(format!("sid={sid}")).unwrap();
    [
        (header::HOST, HeaderValue::from_static("h")),
        (header::ACCEPT, HeaderValue::from_static("application/json")),
        (header::COOKIE, cookie),
    ]
    .into_iter()
    .collect()
}

impl Proxy {
    pub fn start(config: Config, origin: &Script, seed: u64) -> Self {
        let keyer = Arc::new(Keyer::new([7; 32], config.identity.clone()));
        let (drain, metrics) = (Drain::new(), Metrics::new());
        let origin = Arc::new(origin.clone());
        let parts = (drain.clone(), metrics.clone());
        let hub = Hub::new(&config, origin, Arc::clone(&keyer), parts, seed);
        let sweep = drain.spawn(hub.clone().sweep());
        let watches = config.watches.iter().cloned().map(Arc::new).collect();
        Self { config, keyer, watches, hub, metrics, sweep }
    }

    fn about(&self, path: usize) -> hub::About {
        let watch = &self.watches[usize::from(path == CLOCK)];
        let audience = self.hub.audience(watch);
        hub::About { watch: Arc::clone(watch), path: PATHS[path].to_owned(), audience }
    }

    pub fn key(&self, about: &About) -> TopicKey {
        let (fields, target) = (fields(&about.0), Target::new(PATHS[about.1], &[], 0));
        let what = self.about(about.1);
        let (watch, audience) = (&what.watch.name, what.audience);
        let facts = Facts { watch, audience, target: &target, headers: &fields };
        self.keyer.key(facts, self.keyer.identify(&fields))
    }

    /// Opens a stream, as a POST with this body by this session would.
    pub fn open(&self, sid: &str, body: &str) -> Result<Box<dyn Frames>, Full> {
        let most = self.config.limits.topics_per_stream;
        let request = StreamRequest::parse(body.as_bytes(), &fields(sid), most).unwrap();
        let wishes = request.topics.iter().map(|wanted| self.wish(wanted)).collect();
        let subscriber = self.hub.subscribe(wishes, View::Shim)?;
        let beat = subscriber.fastest().unwrap_or(Duration::from_secs(15)) / 2;
        let beat = beat.clamp(Duration::from_millis(500), self.config.stream.beat);
        let pace = Pace {
            beat,
            lifetime: self.hub.jitter(self.config.stream.lifetime),
            retry: Duration::from_millis(200),
        };
        let hello = frames::hello(self.hub.epoch(), pace.beat, pace.silence());
        Ok(Box::new(EventStream::new(subscriber, Some(hello), pace)))
    }

    fn wish(&self, wanted: &Wanted) -> Result<Wish, &'static str> {
        let target = Target::new(&wanted.target, &[], 0);
        let path = PATHS.iter().position(|path| *path == target.path()).ok_or("unwatched")?;
        route::pushed(&self.config, target.path()).ok_or("unwatched")?;
        let key = self.key(&(crate::origin::session(&wanted.headers), path));
        let request = PollRequest::new(target, &wanted.headers, 0);
        let every = wanted.every.unwrap_or(self.config.poll.default_interval);
        let (about, identity) = (self.about(path), self.keyer.identify(&wanted.headers));
        let (have, asked) = (wanted.have, tokio::time::Instant::now());
        let (place, own) = (None, None);
        Ok(Wish { key, identity, place, own, about, request, have, every, asked })
    }

    /// The snapshot that may answer a marked request now.
    pub fn fresh(&self, about: &About) -> Option<(Arc<Snapshot>, Position)> {
        self.hub.fresh(self.key(about), self.keyer.identify(&fields(&about.0)))
    }

    /// An answer passed through to whoever asked.
    pub fn passed(&self, about: &About, begun: Instant, answer: &Answer) -> Option<Position> {
        if answer.status == StatusCode::NOT_MODIFIED {
            return None;
        }
        let what = self.about(about.1);
        let parts = (answer.status, &answer.headers, answer.body.as_ref());
        let result = match answer.status {
            StatusCode::OK => read(&self.keyer, &what.watch, &fields(&about.0), parts, begun),
            status => Err(Refusal::Status(status)),
        };
        let asker = Asker { identity: self.keyer.identify(&fields(&about.0)), request: None };
        self.hub.observe(self.key(about), what, asker, (begun, result))
    }

    /// Takes in what an answer says of whoever asked, before it goes on. True if that ends what
    /// they subscribe to.
    pub fn learns(&self, sid: &str, status: StatusCode, headers: &HeaderMap) -> bool {
        let fields = fields(sid);
        let reason = match status == StatusCode::UNAUTHORIZED {
            _ if self.keyer.changes_identity(&fields, headers) => "anew",
            true => "refused",
            false => return false,
        };
        let _ = self.hub.dismiss(self.keyer.identify(&fields), reason);
        true
    }

    /// A write that begins now.
    pub fn write(&self, sid: &str, path: &str) -> Write {
        let identity = self.keyer.identify(&fields(sid));
        Write::new(self.hub.clone(), self.metrics.clone(), path, identity)
    }

    /// Hints everything under a path.
    pub fn hint(&self, path: &str) {
        self.hub.hint(|about| pollcast::hint::touches(path, about));
    }

    /// Ends every stream, for this reason.
    pub fn bye(&mut self, reason: &'static str) {
        if reason == "off" {
            self.config.mode = Mode::Off;
        }
        self.hub.bye(reason, Duration::from_millis(500));
    }
}
