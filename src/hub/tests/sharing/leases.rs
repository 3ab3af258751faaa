//! For how long, and of what, a lease is the proof.

use super::*;
use crate::config::Proof;

fn term() -> Duration {
    Config::new(http::Uri::from_static("http://o")).poll.reauthorize
}

#[tokio::test(start_paused = true)]
async fn a_lease_counts_for_its_term() {
    let (rig, _readers) = crowd().await;
    let _ = rig.passes("a=1", 200, "[1]");
    let (start, mut last) = (Instant::now(), Duration::ZERO);
    while start.elapsed() < 2 * term() {
        if fresh(&rig, "a=1") {
            last = start.elapsed();
        }
        sleep(SECOND / 7).await;
    }
    assert!(last > term() / 2 && last < term(), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn who_subscribes_is_told_that_the_lease_has_run_out() {
    let (rig, mut readers) = crowd().await;
    // One of the others is asked for all by now.
    sleep(3 * SECOND).await;
    // At that instant, not when a beat is due.
    let mut a = rig.open_beating(3600 * SECOND, (None, "a=1", Instant::now()));
    a.expect("snapshot", "[1]").await;
    rig.say("a=1", HANGS, "");
    let start = Instant::now();
    a.expect("stale", "lease").await;
    assert!(start.elapsed() < term(), "{:?}", start.elapsed());
    // What changes since then is told to the others.
    rig.say("*", 200, "[2]");
    for reader in &mut readers {
        while !reader.next().await.1.contains("[2]") {}
    }
    silent(&mut a, 10 * SECOND).await;
    assert!(!fresh(&rig, "a=1"));
}

#[tokio::test(start_paused = true)]
async fn with_proof_each_two_others_prove_nothing() {
    let rig = shared(|watch| watch.proof = Proof::Each);
    let mut readers = ["b=1", "c=1", "a=1"].map(|who| rig.open(who));
    for reader in &mut readers {
        reader.expect("snapshot", "[1]").await;
    }
    sleep(3 * SECOND).await;
    rig.say("a=1", HANGS, "");
    rig.say("*", 200, "[2]");
    let [b, c, a] = &mut readers;
    for reader in [b, c] {
        while !reader.next().await.1.contains("[2]") {}
    }
    let until = Instant::now() + 10 * SECOND;
    while let Ok((name, text)) = tokio::time::timeout_at(until, a.next()).await {
        assert!(!text.contains("[2]"), "{name} {text}");
    }
    assert!(!fresh(&rig, "a=1"));
    let _ = rig.passes("a=1", 200, "[2]");
    while !a.next().await.1.contains("[2]") {}
}

#[tokio::test(start_paused = true)]
async fn nobody_ends_at_one_place_only() {
    let rig = shared(|_| {});
    let [here, there] = ["192.0.2.1", "192.0.2.2"].map(|ip| rig.keyer.place(ip.parse().unwrap()));
    let asked = Instant::now();
    let mut readers = [here, there].map(|place| rig.open_at(Some(place), "nobody", asked));
    for reader in &mut readers {
        reader.expect("snapshot", "[1]").await;
    }
    let _ = rig.hub.dismiss(here, "anew");
    let [one, other] = &mut readers;
    one.expect("gone", "anew").await;
    // The others go on, and what nobody was shown counts.
    silent(other, 3 * SECOND).await;
    rig.say("*", 200, "[2]");
    other.expect("snapshot", "[2]").await;
    assert!(fresh(&rig, "nobody"));
    // One whose request was on its way, and one that came since.
    rig.open_at(Some(here), "nobody", asked).expect("gone", "anew").await;
    rig.open_at(Some(here), "nobody", Instant::now()).expect("snapshot", "[2]").await;
}
