//! One subscriber: which states it is told, and when.

use super::*;

const LONG: &str =
    r#"{"a":[1,2,3,4,5,6,7,8,9],"text":"a body that is worth a delta, since it is long"}"#;
const LONGER: &str =
    r#"{"a":[1,2,3,4,5,6,7,8,9,0],"text":"a body that is worth a delta, since it is long"}"#;

#[tokio::test(start_paused = true)]
async fn nobody_subscribes_nobody_asks() {
    let rig = rig(Says::Body("1"));
    let _ = rig.passes("/a", Instant::now(), "1");
    rig.hub.hint(|_| true);
    sleep(60 * SECOND).await;
    assert_eq!(rig.asked(), 0);
    let mut reader = rig.stream("/a");
    sleep(SECOND).await;
    reader.expect("snapshot", "\"body\":\"1\"").await;
    drop(reader);
    let asked = rig.asked();
    rig.hub.hint(|_| true);
    sleep(60 * SECOND).await;
    assert_eq!(rig.asked(), asked);
    assert_eq!(rig.hub.counts(), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn who_leaves_in_mid_poll_leaves_no_poll() {
    let rig = rig_with(Says::Body("1"), 500, |_| {});
    let reader = rig.stream("/a");
    sleep(SECOND / 4).await;
    rig.hub.hint(|_| true);
    drop(reader);
    sleep(60 * SECOND).await;
    assert_eq!(rig.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn changes_are_pushed_and_what_is_the_same_is_not() {
    let rig = rig(Says::Body(LONG));
    let mut reader = rig.stream("/a");
    reader.expect("snapshot", "\"seq\":1").await;
    reader.expect_nothing(5 * SECOND).await;
    assert!(rig.origin.not_modified.load(Ordering::Relaxed) >= 4);
    rig.says(Says::Body(LONGER));
    rig.hub.hint(|_| true);
    reader.expect("delta", "\"seq\":2").await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_one_event_for_all_it_missed() {
    let rig = rig(Says::Body("[0]"));
    let mut reader = rig.stream("/a");
    reader.expect("snapshot", "[0]").await;
    for body in ["[1]", "[2]", "[3]", "[4]"] {
        let _ = rig.passes("/a", Instant::now(), body);
    }
    rig.says(Says::Body("[4]"));
    reader.expect("snapshot", "[4]").await;
    reader.expect_nothing(5 * SECOND).await;
    // There and back again is a number: the client may have read what was between.
    let _ = rig.passes("/a", Instant::now(), "[5]");
    let _ = rig.passes("/a", Instant::now(), "[4]");
    reader.expect("current", "\"seq\":7").await;
    reader.expect_nothing(5 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn resumes_with_a_state_that_is_known_past_or_foreign() {
    let rig = rig(Says::Body(LONGER));
    let old = rig.passes("/a", Instant::now(), LONG).unwrap();
    let new = rig.passes("/a", Instant::now(), LONGER).unwrap();
    let foreign = StateHash::parse("00112233445566778899aabbccddeeff");
    for (have, event) in [
        (Some(new.hash), "current"),
        (Some(old.hash), "delta"),
        (foreign, "snapshot"),
        (None, "snapshot"),
    ] {
        let mut reader = rig.open(vec![rig.wish("/a", have)]);
        reader.expect(event, new.hash.as_str()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn observations_are_ordered_by_their_begin() {
    let rig = rig(Says::Body("[9]"));
    let first = Instant::now();
    sleep(SECOND).await;
    let new = rig.passes("/a", Instant::now(), "[2]").unwrap();
    let overtaken = rig.passes("/a", first, "[1]").unwrap();
    assert!(overtaken.seq < new.seq);
    let mut reader = rig.stream("/a");
    reader.expect("snapshot", "[2]").await;
}

#[tokio::test(start_paused = true)]
async fn a_304_to_another_state_than_the_present_one_is_asked_again() {
    let rig = rig_with(Says::Body("[1]"), 200, |_| {});
    let mut reader = rig.stream("/a");
    reader.expect("snapshot", "[1]").await;
    // The next poll asks whether [1] is still the state; [2] passes before it begins, its answer
    // comes while the poll runs.
    let begun = Instant::now() + SECOND / 2;
    sleep(SECOND - Duration::from_millis(100)).await;
    let _ = rig.passes("/a", begun, "[2]");
    reader.expect("snapshot", "[2]").await;
    let (asked, then) = (rig.asked(), Instant::now());
    reader.expect("snapshot", "[1]").await;
    assert_eq!(rig.asked(), asked + 1);
    assert!(then.elapsed() < SECOND / 2, "it waited for the cadence");
}

#[tokio::test(start_paused = true)]
async fn failures_make_it_stale_and_the_next_answer_current() {
    let rig = rig(Says::Body("[1]"));
    let mut reader = rig.stream("/a");
    reader.expect("snapshot", "[1]").await;
    for (says, reason) in [
        (Says::Status(500), r#"{"reason":"status","status":500}"#),
        (Says::Status(404), r#"{"reason":"status","status":404}"#),
        (Says::Nothing, r#"{"reason":"error"}"#),
    ] {
        rig.says(says);
        rig.hub.hint(|_| true);
        let hinted = Instant::now();
        reader.expect("stale", reason).await;
        assert_eq!(hinted.elapsed(), Duration::from_millis(30), "it waited for a beat");
        reader.expect_nothing(10 * SECOND).await;
        rig.says(Says::Body("[1]"));
        reader.expect("current", "\"seq\":1").await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_not_verified_in_time_is_not_vouched_for() {
    let rig = rig_with(Says::Body("[1]"), 9_000, |config| config.poll.concurrency = 1);
    let begun = Instant::now();
    let _ = rig.passes("/a", begun, "[1]");
    let mut reader = rig.stream("/a");
    reader.expect("snapshot", "[1]").await;
    reader.expect("stale", "unverified").await;
    // Two seconds are its bound, and beats come each second.
    assert_eq!(begun.elapsed(), 3 * SECOND);
    let begun = Instant::now();
    let _ = rig.passes("/a", begun, "[1]");
    reader.expect("current", "\"seq\":1").await;
}

#[tokio::test(start_paused = true)]
async fn who_comes_after_a_hint_is_told_no_state_from_before_it() {
    let rig = rig_with(Says::Body("[2]"), 100, |_| {});
    let _ = rig.passes("/a", Instant::now(), "[1]");
    rig.hub.hint(|about| about.path == "/a");
    let mut reader = rig.stream("/a");
    reader.expect("snapshot", "[2]").await;
}

#[tokio::test(start_paused = true)]
async fn a_fresh_snapshot_is_younger_than_hints_and_own_writes() {
    let rig = rig(Says::Body("[1]"));
    let identity = rig.keyer.identify(&Rig::fields());
    let other = rig.keyer.identify(&HeaderMap::new());
    let fresh = || rig.hub.fresh(rig.key("/a"), identity).is_some();
    assert!(!fresh());
    let _ = rig.passes("/a", Instant::now(), "[1]");
    assert!(fresh());
    rig.hub.wrote(other);
    assert!(fresh());
    rig.hub.wrote(identity);
    assert!(!fresh());
    sleep(Duration::from_millis(1)).await;
    let _ = rig.passes("/a", Instant::now(), "[1]");
    assert!(fresh());
    rig.hub.hint(|_| true);
    assert!(!fresh());
    sleep(Duration::from_millis(1)).await;
    let _ = rig.passes("/a", Instant::now(), "[1]");
    assert!(fresh());
    sleep(SECOND).await;
    assert!(!fresh());
}

#[tokio::test(start_paused = true)]
async fn a_new_cookie_ends_it_for_good() {
    let rig = rig_with(Says::Cookie, 100, |_| {});
    let mut reader = rig.stream("/a");
    // A hint that is due already when the answer comes.
    sleep(Duration::from_millis(60)).await;
    rig.hub.hint(|_| true);
    reader.expect("gone", "unwatchable").await;
    reader.expect("bye", "empty").await;
    reader.expect("end", "").await;
    // Neither a failure nor a good answer makes it pollable again.
    let status = Refusal::Status(StatusCode::INTERNAL_SERVER_ERROR);
    rig.refusal_passes("/a", Instant::now(), status);
    assert_eq!(rig.passes("/a", Instant::now(), "[1]"), None);
    rig.stream("/a").expect("gone", "unwatchable").await;
    sleep(60 * SECOND).await;
    assert_eq!(rig.asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_new_cookie_counts_even_if_its_answer_was_overtaken() {
    let rig = rig(Says::Body("[1]"));
    let first = Instant::now();
    sleep(SECOND).await;
    let mut reader = rig.stream("/a");
    reader.expect("snapshot", "[1]").await;
    rig.refusal_passes("/a", first, Refusal::Identity(StatusCode::OK));
    let asked = rig.asked();
    reader.expect("gone", "unwatchable").await;
    sleep(60 * SECOND).await;
    assert_eq!(rig.asked(), asked);
}
