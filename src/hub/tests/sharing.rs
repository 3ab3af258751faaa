//! Topics that several identities share.

mod leases;
mod revoked;

use super::*;
use crate::watch::IdentityId;
use std::collections::BTreeMap;

/// No status: no answer comes.
const HANGS: u16 = 0;

/// What the origin says to each session, and who asked when.
struct Rooms {
    start: Instant,
    /// By session; `*` is everybody else.
    says: Mutex<BTreeMap<&'static str, (u16, &'static str)>>,
    /// Fields of every 200.
    fields: Mutex<HeaderMap>,
    asked: Mutex<Vec<(u128, String)>>,
}

impl Origin for Rooms {
    fn poll(&self, ask: Ask) -> Polling {
        let cookie = ask.headers.get(header::COOKIE).and_then(|value| value.to_str().ok());
        let who = cookie.unwrap_or("nobody").to_owned();
        locked(&self.asked).push((self.start.elapsed().as_millis(), who.clone()));
        let says = locked(&self.says);
        let (status, body) = says.get(who.as_str()).or_else(|| says.get("*")).copied().unwrap();
        let mut headers = json();
        headers.extend(locked(&self.fields).clone());
        Box::pin(async move {
            sleep(Duration::from_millis(10)).await;
            if status == HANGS {
                std::future::pending::<()>().await;
            }
            let status = StatusCode::from_u16(status).unwrap();
            Ok(Answer { status, headers, body: Bytes::from_static(body.as_bytes()) })
        })
    }
}

struct Shared {
    hub: Hub,
    origin: Arc<Rooms>,
    keyer: Arc<Keyer>,
    watch: Arc<Watch>,
}

fn shared(change: impl FnOnce(&mut Watch)) -> Shared {
    let config = Config::new(http::Uri::from_static("http://o"));
    let keyer = Arc::new(Keyer::new([0; 32], config.identity.clone()));
    let origin = Arc::new(Rooms {
        start: Instant::now(),
        says: Mutex::new([("*", (200, "[1]"))].into_iter().collect()),
        fields: Mutex::default(),
        asked: Mutex::default(),
    });
    let mut watch = Watch::new(Glob::new("/**").unwrap());
    watch.audience = Audience::Shared;
    change(&mut watch);
    let parts = (Drain::new(), Metrics::new());
    let asked = Arc::clone(&origin) as Arc<dyn Origin>;
    let hub = Hub::new(&config, asked, Arc::clone(&keyer), parts, 1);
    Shared { hub, origin, keyer, watch: Arc::new(watch) }
}

impl Shared {
    fn say(&self, who: &'static str, status: u16, body: &'static str) {
        locked(&self.origin.says).insert(who, (status, body));
    }

    /// Who was asked for since `from`, in milliseconds since the start.
    fn asked(&self, from: u128) -> Vec<String> {
        let asked = locked(&self.origin.asked);
        asked.iter().filter(|(at, _)| *at >= from).map(|(_, who)| who.clone()).collect()
    }

    fn now(&self) -> u128 {
        self.origin.start.elapsed().as_millis()
    }

    fn fields(who: &str) -> HeaderMap {
        match who {
            "nobody" => HeaderMap::new(),
            who => [(header::COOKIE, who.parse().unwrap())].into_iter().collect(),
        }
    }

    fn id(&self, who: &str) -> IdentityId {
        self.keyer.identify(&Self::fields(who))
    }

    fn parts(&self, who: &str) -> (TopicKey, About) {
        let (headers, target) = (Self::fields(who), Target::new("/a", &[], 0));
        let audience = self.hub.audience(&self.watch);
        let facts = Facts { watch: "w", audience, target: &target, headers: &headers };
        let key = self.keyer.key(facts, self.id(who));
        (key, About { watch: Arc::clone(&self.watch), path: "/a".to_owned(), audience })
    }

    fn open(&self, who: &str) -> Reader {
        self.open_asked(who, Instant::now())
    }

    /// A stream whose request came at `asked`.
    fn open_asked(&self, who: &str, asked: Instant) -> Reader {
        self.open_at(None, who, asked)
    }

    /// One from this place.
    fn open_at(&self, place: Option<IdentityId>, who: &str, asked: Instant) -> Reader {
        self.open_beating(SECOND, (place, who, asked))
    }

    /// One with this beat.
    fn open_beating(
        &self,
        beat: Duration,
        (place, who, asked): (Option<IdentityId>, &str, Instant),
    ) -> Reader {
        let request =
            |who: &str| PollRequest::new(Target::new("/a", &[], 0), &Self::fields(who), 0);
        let ((key, about), identity) = (self.parts(who), self.id(who));
        let public = about.audience == Audience::Public;
        let own = public.then(|| (self.id("nobody"), request("nobody")));
        let (request, every) = (request(who), SECOND);
        let have = None;
        let wish = Wish { key, identity, place, own, about, request, have, every, asked };
        let subscriber = self.hub.subscribe(vec![Ok(wish)], View::Shim).unwrap();
        let pace = Pace { beat, lifetime: 3600 * SECOND, retry: SECOND };
        Reader(EventStream::new(subscriber, None, pace))
    }

    /// A page's own request passes.
    fn passes(&self, who: &str, status: u16, body: &str) -> Option<Position> {
        self.passes_begun(Instant::now(), who, (status, body))
    }

    /// One that began at `begun`.
    fn passes_begun(
        &self,
        begun: Instant,
        who: &str,
        (status, body): (u16, &str),
    ) -> Option<Position> {
        let (key, about) = self.parts(who);
        let mut headers = json();
        headers.extend(locked(&self.origin.fields).clone());
        let parts = (StatusCode::from_u16(status).unwrap(), &headers, body.as_bytes());
        let answer = crate::watch::read(&self.keyer, &self.watch, &Self::fields(who), parts, begun);
        let request = PollRequest::new(Target::new("/a", &[], 0), &Self::fields(who), 0);
        let asker = Asker { identity: self.id(who), request: Some(request) };
        self.hub.observe(key, about, asker, (begun, answer))
    }
}

/// True if a snapshot would answer them now.
fn fresh(rig: &Shared, who: &str) -> bool {
    rig.hub.fresh(rig.parts(who).0, rig.id(who)).is_some()
}

/// Others are served, so that there is something to be had at any moment.
async fn crowd() -> (Shared, [Reader; 2]) {
    let rig = shared(|_| {});
    let mut readers = [rig.open("b=1"), rig.open("c=1")];
    for reader in &mut readers {
        reader.expect("snapshot", "[1]").await;
    }
    (rig, readers)
}

/// No event for a while.
async fn silent(reader: &mut Reader, time: Duration) {
    let got = tokio::time::timeout(time, reader.next()).await;
    assert!(got.is_err(), "{got:?}");
}

/// Whatever comes before it, the topic is to be asked for anew.
async fn gone(reader: &mut Reader) {
    loop {
        let (name, text) = reader.next().await;
        assert!(matches!(name.as_str(), "current" | "gone"), "{name} {text}");
        if name == "gone" {
            return assert!(text.contains("anew"), "{text}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_poll_for_all_and_a_lease_for_each() {
    let rig = shared(|_| {});
    let mut readers: Vec<_> = ["a=1", "b=1", "c=1"].map(|who| rig.open(who)).into();
    for reader in &mut readers {
        reader.expect("snapshot", "[1]").await;
    }
    sleep(10 * SECOND).await;
    let from = rig.now();
    sleep(10 * SECOND).await;
    let asked = rig.asked(from);
    assert!((9..=11).contains(&asked.len()), "{asked:?}");
    rig.say("*", 200, "[2]");
    for reader in &mut readers {
        reader.expect("snapshot", "[2]").await;
    }
    // A minute: the polls, and each lease renewed about once.
    let from = rig.now();
    sleep(60 * SECOND).await;
    let asked = rig.asked(from);
    assert!((60..=66).contains(&asked.len()), "{}", asked.len());
}

#[tokio::test(start_paused = true)]
async fn what_one_alone_is_shown_reaches_nobody_else() {
    let rig = shared(|_| {});
    let (mut a, mut b) = (rig.open("a=1"), rig.open("b=1"));
    a.expect("snapshot", "[1]").await;
    b.expect("snapshot", "[1]").await;
    rig.say("a=1", 200, "[\"for a\"]");
    let _ = rig.passes("a=1", 200, "[\"for a\"]");
    a.expect("snapshot", "for a").await;
    // They differ, whoever is asked: nothing is shared from then on.
    gone(&mut b).await;
    assert_eq!(rig.hub.demoted()["/**"].reason, "differs");
    gone(&mut a).await;
    a.expect("bye", "empty").await;
    // They come back for topics of their own.
    let (mut a, mut b) = (rig.open("a=1"), rig.open("b=1"));
    a.expect("snapshot", "for a").await;
    b.expect("snapshot", "[1]").await;
    assert!(rig.hub.restore("/**"));
    assert!(!rig.hub.restore("/**"));
    gone(&mut a).await;
    assert_eq!(rig.hub.audience(&rig.watch), Audience::Shared);
}

#[tokio::test(start_paused = true)]
async fn a_login_page_is_one_users_trouble() {
    let rig = shared(|_| {});
    let (mut a, mut b) = (rig.open("a=1"), rig.open("b=1"));
    a.expect("snapshot", "[1]").await;
    b.expect("snapshot", "[1]").await;
    let html = HeaderValue::from_static("text/html");
    locked(&rig.origin.fields).insert(header::CONTENT_TYPE, html);
    assert_eq!(rig.passes("b=1", 200, "<form>"), None);
    locked(&rig.origin.fields).clear();
    b.expect("stale", "status").await;
    silent(&mut a, SECOND / 2).await;
    assert!(rig.hub.demoted().is_empty());
    b.expect("current", "hash").await;
}

#[tokio::test(start_paused = true)]
async fn a_refused_identity_is_told_and_the_poll_goes_on_with_another() {
    let rig = shared(|_| {});
    let mut readers = [rig.open("a=1"), rig.open("b=1")];
    for reader in &mut readers {
        reader.expect("snapshot", "[1]").await;
    }
    sleep(3 * SECOND).await;
    let speaker = rig.asked(rig.now() - 1500).pop().unwrap();
    let (gone, stays) = if speaker == "a=1" { ("a=1", "b=1") } else { ("b=1", "a=1") };
    rig.say(gone, 403, "");
    let [a, b] = readers;
    let (mut gone_reader, mut other) = if gone == "a=1" { (a, b) } else { (b, a) };
    gone_reader.expect("stale", "403").await;
    gone_reader.expect("gone", "refused").await;
    let from = rig.now();
    silent(&mut other, 5 * SECOND).await;
    assert!(rig.asked(from).iter().all(|who| who == stays));
    // Back with a good answer of its own.
    rig.say(gone, 200, "[1]");
    rig.open(gone).expect("snapshot", "[1]").await;
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_cannot_be_renewed_runs_out() {
    let rig = shared(|_| {});
    let mut readers = [rig.open("a=1"), rig.open("b=1")];
    for reader in &mut readers {
        reader.expect("snapshot", "[1]").await;
    }
    sleep(3 * SECOND).await;
    let speaker = rig.asked(rig.now() - 1500).pop().unwrap();
    let [a, b] = readers;
    let (quiet, mut reader) = if speaker == "a=1" { ("b=1", b) } else { ("a=1", a) };
    rig.say(quiet, 500, "");
    let start = Instant::now();
    reader.expect("stale", "500").await;
    assert!(start.elapsed() < 60 * SECOND);
    rig.say("*", 200, "[2]");
    rig.say(speaker.leak(), 200, "[2]");
    rig.say(quiet, 200, "[2]");
    reader.expect("snapshot", "[2]").await;
}

#[tokio::test(start_paused = true)]
async fn without_a_lease_no_snapshot_answers() {
    let rig = shared(|_| {});
    let _ = rig.passes("a=1", 200, "[1]");
    let fresh = |who: &str| rig.hub.fresh(rig.parts(who).0, rig.id(who)).is_some();
    assert!(fresh("a=1"));
    assert!(!fresh("b=1"));
    assert!(!fresh("nobody"));
    let _ = rig.passes("b=1", 200, "[1]");
    assert!(fresh("b=1"));
}

#[tokio::test(start_paused = true)]
async fn with_proof_each_every_state_is_asked_for_in_every_name() {
    let rig = shared(|watch| watch.proof = crate::config::Proof::Each);
    let mut readers: Vec<_> = ["a=1", "b=1", "c=1"].map(|who| rig.open(who)).into();
    for reader in &mut readers {
        reader.expect("snapshot", "[1]").await;
    }
    sleep(5 * SECOND).await;
    let from = rig.now();
    rig.say("*", 200, "[2]");
    for reader in &mut readers {
        reader.expect("snapshot", "[2]").await;
    }
    let asked = rig.asked(from);
    assert!(["a=1", "b=1", "c=1"].iter().all(|who| asked.iter().any(|asked| asked == who)));
}

#[tokio::test(start_paused = true)]
async fn private_answers_and_new_cookies_are_not_shared() {
    for (name, value, reason) in [
        (header::CACHE_CONTROL, "max-age=0, Private", "private"),
        (header::SET_COOKIE, "b=2", "cookie"),
    ] {
        for allowed in [false, true] {
            let rig = shared(|watch| watch.share_private = allowed);
            let field = HeaderValue::from_static(value);
            locked(&rig.origin.fields).insert(name.clone(), field);
            let mut a = rig.open("a=1");
            match (allowed, reason) {
                (false, _) => a.expect("gone", "anew").await,
                (true, "private") => a.expect("snapshot", "[1]").await,
                (true, _) => a.expect("gone", "unwatchable").await,
            }
            let demoted = rig.hub.demoted().get("/**").map(|demoted| demoted.reason);
            assert_eq!(demoted, (!allowed).then_some(reason));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_public_topic_is_what_nobody_is_shown() {
    let rig = shared(|watch| watch.audience = Audience::Public);
    rig.say("*", 200, "[1]");
    let (mut a, mut b) = (rig.open("a=1"), rig.open("b=1"));
    a.expect("snapshot", "[1]").await;
    b.expect("snapshot", "[1]").await;
    sleep(3 * SECOND).await;
    assert!(rig.asked(0).iter().all(|who| who == "nobody"));
    // What a user is shown doesn't count, only that it differs.
    rig.say("a=1", 200, "[\"for a\"]");
    let _ = rig.passes("a=1", 200, "[\"for a\"]");
    a.expect("gone", "anew").await;
    b.expect("gone", "anew").await;
    assert_eq!(rig.hub.demoted()["/**"].reason, "differs");
}

#[tokio::test(start_paused = true)]
async fn what_is_dismissed_is_told_at_once() {
    let rig = shared(|_| {});
    let (mut a, mut b) = (rig.open("a=1"), rig.open("b=1"));
    a.expect("snapshot", "[1]").await;
    b.expect("snapshot", "[1]").await;
    let _ = rig.hub.dismiss(rig.id("a=1"), "refused");
    a.expect("gone", "refused").await;
    a.expect("bye", "60000").await;
    assert!(rig.hub.fresh(rig.parts("a=1").0, rig.id("a=1")).is_none());
    silent(&mut b, 3 * SECOND).await;
    let _ = rig.hub.dismiss(rig.id("b=1"), "anew");
    b.expect("gone", "anew").await;
    b.expect("bye", "empty").await;
    assert_eq!(rig.hub.counts().1, 0);
}

#[tokio::test(start_paused = true)]
async fn never_the_same_twice_is_not_shared() {
    let rig = shared(|_| {});
    let (mut a, _b) = (rig.open("a=1"), rig.open("b=1"));
    a.expect("snapshot", "[1]").await;
    for n in 0_u32.. {
        let body: &'static str = format!("[{n}, 0]").leak();
        rig.say("*", 200, body);
        sleep(Duration::from_millis(5)).await;
        if let Some(demoted) = rig.hub.demoted().get("/**") {
            assert_eq!(demoted.reason, "unsteady");
            break;
        }
        assert!(n < 10_000);
    }
}
