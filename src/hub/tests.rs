use super::*;
use crate::config::{Audience, Glob, Watch};
use crate::http::Frames;
use crate::stream::{EventStream, Pace};
use crate::upstream::{Answer, Ask, PollError, Polling};
use crate::watch::{Facts, Target};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use tokio::time::sleep;

mod crowd;
mod sharing;
mod states;

/// What the origin says to every poll from now on.
#[derive(Clone, Debug)]
enum Says {
    /// 200, or 304 if it is asked for a change since this very body.
    Body(&'static str),
    Status(u16),
    /// 200 with another cookie.
    Cookie,
    Nothing,
}

/// The origin: a script, and what it was asked.
struct Script {
    says: Mutex<Says>,
    takes: Duration,
    asked: AtomicUsize,
    not_modified: AtomicUsize,
}

fn json() -> HeaderMap {
    let json = HeaderValue::from_static("application/json");
    [(header::CONTENT_TYPE, json)].into_iter().collect()
}

impl Origin for Script {
    fn poll(&self, ask: Ask) -> Polling {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let says = locked(&self.says).clone();
        let mut headers = json();
        let (status, body) = match &says {
            Says::Body(body) => {
                let tag = HeaderValue::try_from(format!("\"{body}\"")).unwrap();
                let same = ask.headers.get(header::IF_NONE_MATCH) == Some(&tag);
                headers.insert(header::ETAG, tag);
                self.not_modified.fetch_add(usize::from(same), Ordering::Relaxed);
                if same { (304, "") } else { (200, *body) }
            }
            Says::Status(status) => (*status, "{}"),
            Says::Cookie => {
                headers.insert(header::SET_COOKIE, HeaderValue::from_static("s=other"));
                (200, "{}")
            }
            Says::Nothing => (0, ""),
        };
        let takes = self.takes;
        Box::pin(async move {
            sleep(takes).await;
            match StatusCode::from_u16(status) {
                Ok(status) => {
                    Ok(Answer { status, headers, body: Bytes::from_static(body.as_bytes()) })
                }
                Err(_) => Err(PollError::Io("gone".to_owned())),
            }
        })
    }
}

/// A hub on a scripted origin.
struct Rig {
    hub: Hub,
    origin: Arc<Script>,
    keyer: Arc<Keyer>,
    watch: Arc<Watch>,
}

const SECOND: Duration = Duration::from_secs(1);

fn rig(says: Says) -> Rig {
    rig_with(says, 10, |_| {})
}

/// A hub on an origin that takes `takes` milliseconds.
fn rig_with(says: Says, takes: u64, change: impl FnOnce(&mut Config)) -> Rig {
    let mut config = Config::new(http::Uri::from_static("http://o"));
    change(&mut config);
    let keyer = Arc::new(Keyer::new([0; 32], config.identity.clone()));
    let origin = Arc::new(Script {
        says: Mutex::new(says),
        takes: Duration::from_millis(takes),
        asked: AtomicUsize::new(0),
        not_modified: AtomicUsize::new(0),
    });
    let watch = Arc::new(Watch::new(Glob::new("/**").unwrap()));
    let parts = (Drain::new(), Metrics::new());
    let asked = Arc::clone(&origin) as Arc<dyn Origin>;
    let hub = Hub::new(&config, asked, Arc::clone(&keyer), parts, 1);
    Rig { hub, origin, keyer, watch }
}

impl Rig {
    fn says(&self, says: Says) {
        *locked(&self.origin.says) = says;
    }

    fn asked(&self) -> usize {
        self.origin.asked.load(Ordering::Relaxed)
    }

    fn about(&self, path: &str) -> About {
        About {
            watch: Arc::clone(&self.watch),
            path: path.to_owned(),
            audience: Audience::Credential,
        }
    }

    fn fields() -> HeaderMap {
        let cookie = HeaderValue::from_static("s=planted-secret");
        [(header::COOKIE, cookie)].into_iter().collect()
    }

    fn key(&self, path: &str) -> TopicKey {
        let (headers, target) = (Self::fields(), Target::new(path, &[], 0));
        let audience = Audience::Credential;
        let facts = Facts { watch: "w", audience, target: &target, headers: &headers };
        self.keyer.key(facts, self.keyer.identify(&headers))
    }

    fn wish(&self, path: &str, have: Option<StateHash>) -> Wish {
        let request = PollRequest::new(Target::new(path, &[], 0), &Self::fields(), 0);
        let (key, about) = (self.key(path), self.about(path));
        let identity = self.asker().identity;
        Wish {
            key,
            identity,
            place: None,
            own: None,
            about,
            request,
            have,
            every: SECOND,
            asked: Instant::now(),
        }
    }

    fn asker(&self) -> Asker {
        Asker { identity: self.keyer.identify(&Self::fields()), request: None }
    }

    fn open(&self, wishes: Vec<Wish>) -> Reader {
        let subscriber = self.hub.subscribe(wishes.into_iter().map(Ok).collect(), View::Shim);
        let (beat, lifetime) = (SECOND, Duration::from_secs(3600));
        let pace = Pace { beat, lifetime, retry: SECOND };
        Reader(EventStream::new(subscriber.unwrap(), None, pace))
    }

    fn stream(&self, path: &str) -> Reader {
        self.open(vec![self.wish(path, None)])
    }

    /// An answer that passes through, whose request began at `begun`.
    fn passes(&self, path: &str, begun: Instant, body: &str) -> Option<Position> {
        let answer = (begun, self.answer(begun, body));
        self.hub.observe(self.key(path), self.about(path), self.asker(), answer)
    }

    fn answer(&self, begun: Instant, body: &str) -> Result<Snapshot, Refusal> {
        let mut headers = json();
        headers.insert(header::ETAG, HeaderValue::try_from(format!("\"{body}\"")).unwrap());
        let parts = (StatusCode::OK, &headers, body.as_bytes());
        crate::watch::read(&self.keyer, &self.watch, &Self::fields(), parts, begun)
    }

    fn refusal_passes(&self, path: &str, begun: Instant, refusal: Refusal) {
        let about = self.about(path);
        let answer = (begun, Err(refusal));
        assert_eq!(self.hub.observe(self.key(path), about, self.asker(), answer), None);
    }
}

/// A client of one stream.
struct Reader(EventStream<Subscriber>);

impl Reader {
    /// The next event that isn't a beat: its name, its topic, its JSON.
    async fn next(&mut self) -> (String, String) {
        loop {
            let Some(frame) = std::future::poll_fn(|cx| self.0.poll_frame(cx)).await else {
                return ("end".to_owned(), String::new());
            };
            let text = [frame.head, frame.shared].concat();
            let text = String::from_utf8(text).unwrap();
            let (name, rest) = text.strip_prefix("event: ").unwrap().split_once('\n').unwrap();
            if name != "beat" {
                return (name.to_owned(), rest.replace("data: ", "").trim_end().to_owned());
            }
        }
    }

    async fn expect(&mut self, name: &str, part: &str) {
        let (got, rest) = self.next().await;
        assert!(got == name && rest.contains(part), "{name} {part}: {got} {rest}");
    }

    /// Nothing but beats for this long.
    async fn expect_nothing(&mut self, time: Duration) {
        let next = tokio::time::timeout(time, self.next()).await;
        assert!(next.is_err(), "{next:?}");
    }
}

fn limits(change: impl FnOnce(&mut Limits)) -> impl FnOnce(&mut Config) {
    move |config| change(&mut config.limits)
}
