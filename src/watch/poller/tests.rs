use super::*;
use crate::config::Config;
use crate::telemetry::Metrics;
use crate::upstream::{Answer, Polling};
use crate::watch::Target;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use std::collections::VecDeque;
use tokio::time::sleep;

/// The origin: answers after a while, and knows when it was asked.
struct Script {
    start: Instant,
    takes: Duration,
    /// When each poll began, in milliseconds; the validator it sent; polls under way.
    asked: Mutex<(Vec<u128>, Vec<Option<HeaderValue>>)>,
    running: Arc<Mutex<usize>>,
    status: StatusCode,
}

/// Counts a poll until it ends or is abandoned.
struct Running(Arc<Mutex<usize>>);

impl Drop for Running {
    fn drop(&mut self) {
        *self.0.lock().unwrap() -= 1;
    }
}

impl Origin for Script {
    fn poll(&self, ask: Ask) -> Polling {
        let mut asked = self.asked.lock().unwrap();
        asked.0.push(self.start.elapsed().as_millis());
        asked.1.push(ask.headers.get(header::IF_NONE_MATCH).cloned());
        let mut running = self.running.lock().unwrap();
        *running += 1;
        assert_eq!(*running, 1, "two polls at once");
        let (running, takes, status) =
            (Running(Arc::clone(&self.running)), self.takes, self.status);
        Box::pin(async move {
            let _running = running;
            sleep(takes).await;
            let json = HeaderValue::from_static("application/json");
            let headers = [(header::CONTENT_TYPE, json)].into_iter().collect();
            Ok(Answer { status, headers, body: Bytes::from_static(b"{}") })
        })
    }
}

/// The receiver: answers from a list, then with the last of it.
struct Receiver {
    seen: Mutex<VecDeque<Seen>>,
    outcomes: Mutex<Vec<String>>,
    validator: Option<Validator>,
    by: IdentityId,
}

impl Sink for Receiver {
    fn turn(&self) -> Option<Turn> {
        let request = PollRequest::new(Target::new("/a", &[], 0), &HeaderMap::new(), 0);
        Some(Turn { by: self.by, request, validator: self.validator.clone() })
    }
    fn observed(&self, by: IdentityId, _: Instant, outcome: Outcome) -> Seen {
        assert_eq!(by, self.by);
        self.outcomes.lock().unwrap().push(match outcome {
            Outcome::State(_) => "state".to_owned(),
            other => format!("{other:?}"),
        });
        let mut seen = self.seen.lock().unwrap();
        if seen.len() > 1 { seen.pop_front().unwrap() } else { seen[0] }
    }
}

struct Rig {
    poller: PollHandle,
    origin: Arc<Script>,
    sink: Arc<Receiver>,
    start: Instant,
}

const CADENCE: Duration = Duration::from_secs(10);

/// A poller whose origin takes `takes` milliseconds and whose receiver answers `seen`.
fn rig(takes: u64, seen: &[Seen]) -> Rig {
    rig_with(takes, seen, (StatusCode::OK, None))
}

fn rig_with(takes: u64, seen: &[Seen], (status, tag): (StatusCode, Option<&'static str>)) -> Rig {
    let start = Instant::now();
    let takes = Duration::from_millis(takes);
    let (asked, running) = Default::default();
    let origin = Arc::new(Script { start, takes, asked, running, status });
    let validator = tag.map(|tag| Validator::Tag(HeaderValue::from_static(tag)));
    let seen = Mutex::new(seen.iter().copied().collect());
    let config = Config::new(http::Uri::from_static("http://o"));
    let keyer = Arc::new(Keyer::new([0; 32], config.identity));
    let by = keyer.nobody();
    let sink = Arc::new(Receiver { seen, outcomes: Mutex::default(), validator, by });
    let poller = Arc::new(Poller {
        origin: Arc::clone(&origin) as Arc<dyn Origin>,
        gate: Arc::new(Gate::new(&config.poll, Metrics::new())),
        times: config.poll,
        body_limit: 100,
        keyer,
    });
    let watch = Arc::new(Watch::new(crate::config::Glob::new("/a").unwrap()));
    let to = Arc::clone(&sink) as Arc<dyn Sink>;
    let poller = poller.start(&Drain::new(), (CADENCE, None), watch, to);
    Rig { poller, origin, sink, start }
}

impl Rig {
    async fn until(&self, ms: u64) {
        tokio::time::sleep_until(self.start + Duration::from_millis(ms)).await;
    }

    async fn hint_at(&self, ms: u64) {
        self.until(ms).await;
        self.poller.hint(Instant::now());
    }

    /// When polls began until `ms`.
    async fn polls(&self, ms: u64) -> Vec<u128> {
        self.until(ms).await;
        self.origin.asked.lock().unwrap().0.clone()
    }

    fn outcomes(&self) -> Vec<String> {
        self.sink.outcomes.lock().unwrap().clone()
    }
}

#[tokio::test(start_paused = true)]
async fn at_once_and_then_at_the_cadence_of_the_fastest() {
    let rig = rig(100, &[Seen::Same]);
    assert_eq!(rig.polls(29_000).await, [0, 10_000, 20_000]);
    rig.poller.cadence(Duration::from_secs(1));
    assert_eq!(rig.polls(31_500).await, [0, 10_000, 20_000, 29_000, 30_000, 31_000]);
    rig.poller.cadence(CADENCE);
    assert_eq!(rig.polls(42_000).await.len(), 7);
}

#[tokio::test(start_paused = true)]
async fn hints_during_a_poll_schedule_one_more() {
    let rig = rig(100, &[Seen::Changed]);
    for ms in [30, 60, 90] {
        rig.hint_at(ms).await;
    }
    assert_eq!(rig.polls(5_000).await, [0, 100]);
}

#[tokio::test(start_paused = true)]
async fn hints_within_20_ms_cost_one_poll() {
    let rig = rig(0, &[Seen::Changed]);
    for ms in [1_000, 1_010, 1_019] {
        rig.hint_at(ms).await;
    }
    assert_eq!(rig.polls(1_030).await, [0, 1_020]);
    rig.poller.hint(Instant::now());
    assert_eq!(rig.polls(9_000).await, [0, 1_020, 1_050]);
}

#[tokio::test(start_paused = true)]
async fn a_hinted_poll_that_finds_nothing_looks_twice_more() {
    let rig = rig(100, &[Seen::Same]);
    rig.hint_at(1_000).await;
    // 250 ms and 1 s after the end of the one before.
    assert_eq!(rig.polls(11_000).await, [0, 1_020, 1_370, 2_470]);
    assert_eq!(rig.polls(13_000).await, [0, 1_020, 1_370, 2_470, 12_470]);
}

#[tokio::test(start_paused = true)]
async fn it_stops_looking_once_something_is_new() {
    let rig = rig(100, &[Seen::Changed, Seen::Same, Seen::Changed]);
    rig.hint_at(1_000).await;
    assert_eq!(rig.polls(11_000).await, [0, 1_020, 1_370]);
}

#[tokio::test(start_paused = true)]
async fn a_passing_observation_is_as_good_as_a_poll() {
    let rig = rig(0, &[Seen::Same]);
    rig.until(7_000).await;
    rig.poller.observed(Instant::now());
    // One that began long ago postpones nothing.
    rig.poller.observed(rig.start);
    assert_eq!(rig.polls(16_900).await, [0]);
    assert_eq!(rig.polls(17_100).await, [0, 17_000]);
    rig.hint_at(18_000).await;
    rig.poller.observed(rig.start + Duration::from_millis(17_999));
    assert_eq!(rig.polls(18_100).await, [0, 17_000, 18_020]);
    rig.hint_at(20_000).await;
    rig.until(20_010).await;
    rig.poller.observed(Instant::now());
    assert_eq!(rig.polls(29_000).await, [0, 17_000, 18_020, 18_270, 19_270]);
}

#[tokio::test(start_paused = true)]
async fn failures_make_it_wait_longer_and_a_passing_answer_makes_it_forget_them() {
    let rig = rig(0, &[Seen::Stale]);
    assert_eq!(rig.polls(600_000).await, [0, 20_000, 60_000, 140_000, 300_000, 460_000]);
    rig.poller.observed(Instant::now());
    assert_eq!(rig.polls(610_001).await.last(), Some(&610_000));
}

#[tokio::test(start_paused = true)]
async fn what_says_nothing_is_asked_again_at_once() {
    let rig = rig(0, &[Seen::Unclear, Seen::Changed]);
    assert_eq!(rig.polls(9_000).await, [0, 20]);
}

#[tokio::test(start_paused = true)]
async fn once_over_not_even_a_hint_that_is_due_polls_again() {
    let rig = rig(100, &[Seen::Over]);
    rig.hint_at(50).await;
    assert_eq!(rig.polls(60_000).await, [0]);
}

#[tokio::test(start_paused = true)]
async fn it_leaves_in_mid_poll() {
    let rig = rig(1_000, &[Seen::Same]);
    rig.hint_at(500).await;
    let Rig { poller, origin, sink, .. } = rig;
    drop(poller);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(origin.asked.lock().unwrap().0, [0]);
    assert_eq!(*origin.running.lock().unwrap(), 0);
    assert!(sink.outcomes.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_poll_is_conditional_where_the_state_has_a_validator() {
    let rig = rig_with(0, &[Seen::Same], (StatusCode::NOT_MODIFIED, Some("\"1\"")));
    rig.until(1).await;
    let sent = rig.origin.asked.lock().unwrap().1.clone();
    assert_eq!(sent, [Some(HeaderValue::from_static("\"1\""))]);
    assert_eq!(rig.outcomes(), [r#"NotModified(Tag("\"1\""))"#]);
}

#[tokio::test(start_paused = true)]
async fn behind_a_hint_no_weak_tag_says_that_nothing_has_changed() {
    for (tag, want) in [("W/\"1\"", [true, false, true]), ("\"1\"", [true, true, true])] {
        let rig = rig_with(0, &[Seen::Changed; 3], (StatusCode::NOT_MODIFIED, Some(tag)));
        rig.until(1).await;
        rig.poller.hint(Instant::now());
        rig.until(100).await;
        rig.until(12_000).await;
        let sent = rig.origin.asked.lock().unwrap().1.clone();
        assert_eq!(sent.iter().take(3).map(Option::is_some).collect::<Vec<_>>(), want, "{tag}");
    }
}

#[test]
fn a_weak_tag_of_what_no_browser_keeps_is_no_validator() {
    use crate::watch::Validator;
    for (tag, control, want) in [
        ("W/\"1\"", "no-cache", true),
        ("W/\"1\"", "private, No-Store", false),
        ("\"1\"", "no-store", true),
    ] {
        let headers: HeaderMap = [(header::ETAG, tag), (header::CACHE_CONTROL, control)]
            .map(|(name, value)| (name, HeaderValue::from_static(value)))
            .into_iter()
            .collect();
        assert_eq!(Validator::of(&headers).is_some(), want, "{tag} {control}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_304_that_nobody_asked_for_is_no_state() {
    let rig = rig_with(0, &[Seen::Stale], (StatusCode::NOT_MODIFIED, None));
    rig.until(1).await;
    assert_eq!(rig.outcomes(), ["Refused(Status(304))"]);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_is_given_up_after_the_timeout() {
    let rig = rig(3_600_000, &[Seen::Stale]);
    rig.until(9_999).await;
    assert!(rig.outcomes().is_empty());
    rig.until(10_001).await;
    assert_eq!(rig.outcomes(), ["Failed(Timeout)"]);
}
