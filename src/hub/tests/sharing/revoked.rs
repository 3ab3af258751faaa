//! What was shown, or asked, before something ended it gives nothing afterwards.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_401_ends_the_lease_of_who_does_not_subscribe() {
    let (rig, _readers) = crowd().await;
    let _ = rig.passes("a=1", 200, "[1]");
    assert!(fresh(&rig, "a=1"));
    let _ = rig.hub.dismiss(rig.id("a=1"), "refused");
    let mut others = 0;
    for _ in 0..50 {
        assert!(!fresh(&rig, "a=1"));
        others += usize::from(fresh(&rig, "b=1"));
        sleep(SECOND / 13).await;
    }
    assert!(others > 25, "{others}");
    // Subscribing alone brings nothing: the origin is asked in their name, and refuses.
    rig.say("a=1", 401, "");
    let mut a = rig.open("a=1");
    a.expect("stale", "401").await;
    // Once it shows them something again they have it.
    rig.say("a=1", 200, "[1]");
    let _ = rig.passes("a=1", 200, "[1]");
    assert!(fresh(&rig, "a=1"));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_on_its_way_at_a_401_gives_no_lease() {
    let (rig, _readers) = crowd().await;
    let begun = Instant::now();
    sleep(SECOND / 10).await;
    let _ = rig.hub.dismiss(rig.id("a=1"), "refused");
    let _ = rig.passes_begun(begun, "a=1", (200, "[1]"));
    assert!(!fresh(&rig, "a=1"));
    sleep(SECOND / 10).await;
    let _ = rig.passes("a=1", 200, "[1]");
    assert!(fresh(&rig, "a=1"));
}

#[tokio::test(start_paused = true)]
async fn a_poll_in_their_name_that_was_on_its_way_at_a_401_gives_no_lease() {
    let rig = shared(|_| {});
    let mut readers = [rig.open("a=1"), rig.open("b=1")];
    for reader in &mut readers {
        reader.expect("snapshot", "[1]").await;
    }
    // Whoever is asked: one of these falls into each of the next polls.
    for _ in 0..40 {
        sleep(SECOND / 20 - Duration::from_millis(1)).await;
        let last = locked(&rig.origin.asked).last().cloned().unwrap();
        if last.1 == "a=1" && rig.now() - last.0 < 10 {
            break;
        }
        sleep(Duration::from_millis(1)).await;
    }
    let _ = rig.hub.dismiss(rig.id("a=1"), "refused");
    for _ in 0..5 {
        assert!(!fresh(&rig, "a=1"));
        sleep(SECOND / 10).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_after_a_401_waits_for_an_answer_of_its_own() {
    for late in [false, true] {
        let (rig, _readers) = crowd().await;
        let begun = Instant::now();
        if !late {
            let _ = rig.passes("a=1", 200, "[1]");
        }
        sleep(SECOND / 10).await;
        let _ = rig.hub.dismiss(rig.id("a=1"), "refused");
        sleep(SECOND / 10).await;
        rig.say("a=1", 401, "");
        let mut a = rig.open("a=1");
        if late {
            let _ = rig.passes_begun(begun, "a=1", (200, "[1]"));
        }
        a.expect("stale", "401").await;
        a.expect("gone", "refused").await;
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_in_a_dispute_is_not_given_what_two_others_are() {
    let (rig, readers) = crowd().await;
    let speaker = rig.asked(0).pop().unwrap();
    for who in ["x=1", "y=1"] {
        rig.say(who, 200, "[\"other\"]");
        let _ = rig.passes(who, 200, "[1]");
    }
    // Whoever was asked last is asked again, and stays with it.
    sleep(2 * SECOND).await;
    for who in ["x=1", "y=1"] {
        let _ = rig.passes(who, 200, "[\"other\"]");
    }
    let [b, c] = readers;
    let mut reader = if speaker == "b=1" { b } else { c };
    loop {
        let (name, text) = reader.next().await;
        assert!(!text.contains("other"), "{name} {text}");
        if name == "gone" {
            break;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_whose_request_was_on_its_way_at_a_401_is_told() {
    let (rig, _readers) = crowd().await;
    let _ = rig.passes("a=1", 200, "[1]");
    for (reason, audience) in [("refused", Audience::Shared), ("anew", Audience::Credential)] {
        let mut watch = Watch::clone(&rig.watch);
        watch.audience = audience;
        let rig = Shared { watch: Arc::new(watch), ..shared(|_| {}) };
        let asked = Instant::now();
        sleep(SECOND / 10).await;
        let _ = rig.hub.dismiss(rig.id("a=1"), reason);
        let mut a = rig.open_asked("a=1", asked);
        a.expect("gone", reason).await;
        // One that came since is served.
        sleep(SECOND / 10).await;
        rig.open("a=1").expect("snapshot", "[1]").await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_lingers_from_before_a_401_is_told_to_no_stream() {
    let rig = shared(|watch| watch.audience = Audience::Credential);
    let mut a = rig.open("a=1");
    a.expect("snapshot", "[1]").await;
    let _ = rig.hub.dismiss(rig.id("a=1"), "refused");
    a.expect("gone", "refused").await;
    sleep(SECOND / 10).await;
    rig.say("a=1", 401, "");
    let mut a = rig.open("a=1");
    a.expect("stale", "401").await;
    rig.say("a=1", 200, "[1]");
    a.expect("snapshot", "[1]").await;
}

#[tokio::test(start_paused = true)]
async fn who_was_last_shown_something_else_is_not_given_what_others_are() {
    let (rig, mut readers) = crowd().await;
    let _ = rig.passes("a=1", 200, "[1]");
    assert!(fresh(&rig, "a=1"));
    // Their own next answer is another one, and what that means can't be found out: whoever would
    // be asked again fails at that moment.
    sleep(SECOND / 2).await;
    let speaker = rig.asked(0).pop().unwrap();
    rig.say(speaker.leak(), 500, "");
    let _ = rig.passes("a=1", 200, "[\"for a\"]");
    sleep(SECOND / 10).await;
    rig.say("*", 200, "[2]");
    rig.say("b=1", 200, "[2]");
    rig.say("c=1", 200, "[2]");
    for reader in &mut readers {
        while reader.next().await.0 != "snapshot" {}
    }
    assert!(rig.hub.demoted().is_empty());
    assert!(fresh(&rig, "b=1") && fresh(&rig, "c=1"));
    assert!(!fresh(&rig, "a=1"));
}

#[tokio::test(start_paused = true)]
async fn nobody_is_asked_for_again_who_passed_while_nobody_subscribed() {
    let rig = shared(|watch| watch.audience = Audience::Public);
    let mut a = rig.open("a=1");
    a.expect("snapshot", "[1]").await;
    drop(a);
    let _ = rig.passes("b=1", 200, "[\"for b\"]");
    let from = rig.now();
    let mut a = rig.open("a=1");
    a.expect("snapshot", "[1]").await;
    sleep(5 * SECOND).await;
    let asked = rig.asked(from);
    assert!(!asked.is_empty() && asked.iter().all(|who| who == "nobody"), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_on_its_way_at_a_demotion_makes_nothing_shared() {
    let rig = shared(|_| {});
    let (key, about) = rig.parts("a=1");
    let mut b = rig.open("b=1");
    b.expect("snapshot", "[1]").await;
    let private = HeaderValue::from_static("private");
    locked(&rig.origin.fields).insert(header::CACHE_CONTROL, private);
    let _ = rig.passes("c=1", 200, "[1]");
    gone(&mut b).await;
    locked(&rig.origin.fields).clear();
    let parts = (StatusCode::OK, &json(), &b"[1]"[..]);
    let fields = Shared::fields("a=1");
    let answer = crate::watch::read(&rig.keyer, &rig.watch, &fields, parts, Instant::now());
    let asker = Asker { identity: rig.id("a=1"), request: None };
    assert_eq!(rig.hub.observe(key, about.clone(), asker, (Instant::now(), answer)), None);
    assert!(rig.hub.fresh(key, rig.id("a=1")).is_none());
    let request = PollRequest::new(Target::new("/a", &[], 0), &fields, 0);
    let (identity, asked) = (rig.id("a=1"), Instant::now());
    let (place, own, have, every) = (None, None, None, SECOND);
    let wish = Wish { key, identity, place, own, about, request, have, every, asked };
    let subscriber = rig.hub.subscribe(vec![Ok(wish)], View::Shim).unwrap();
    let pace = Pace { beat: SECOND, lifetime: 3600 * SECOND, retry: SECOND };
    gone(&mut Reader(EventStream::new(subscriber, None, pace))).await;
}
