//! Many: caps, the end of streams, what is forgotten.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_stream_beyond_the_cap_is_refused_until_another_leaves() {
    let rig = rig_with(Says::Body("1"), 10, limits(|limits| limits.streams = 2));
    let (one, two) = (rig.stream("/a"), rig.stream("/b"));
    assert!(matches!(rig.hub.subscribe(vec![Err("unwatched")], View::Shim), Err(Full)));
    drop(one);
    rig.stream("/a").expect("snapshot", "").await;
    drop(two);
}

#[tokio::test(start_paused = true)]
async fn a_topic_beyond_the_cap_is_gone_and_idle_ones_make_room() {
    let rig = rig_with(Says::Body("1"), 10, limits(|limits| limits.topics = 2));
    let paths = ["/a", "/b", "/c"];
    let mut reader = rig.open(paths.map(|path| rig.wish(path, None)).into());
    reader.expect("gone", "2\n{\"reason\":\"limit\"}").await;
    reader.expect("snapshot", "0\n").await;
    assert_eq!(rig.hub.counts(), (2, 2));
    drop(reader);
    rig.stream("/c").expect("snapshot", "").await;
    assert_eq!(rig.hub.counts().0, 1);
}

#[tokio::test(start_paused = true)]
async fn bytes_beyond_the_cap_make_it_stale_and_disturb_nobody() {
    // A body counts twice, with its frame and fields some 800 bytes.
    let rig = rig_with(Says::Body("[1]"), 10, limits(|limits| limits.snapshots = 1_000));
    let mut first = rig.stream("/a");
    first.expect("snapshot", "[1]").await;
    let mut second = rig.stream("/b");
    second.expect("stale", "limit").await;
    assert_eq!(rig.passes("/b", Instant::now(), "[1]"), None);
    first.expect_nothing(5 * SECOND).await;
    second.expect_nothing(5 * SECOND).await;
    drop(first);
    // Its bytes come back when it is forgotten.
    rig.hub.0.forget_idle(&mut rig.hub.0.topics(), Duration::ZERO, false);
    second.expect("snapshot", "[1]").await;
}

#[tokio::test(start_paused = true)]
async fn what_is_forgotten_holds_nothing_and_is_numbered_on() {
    let rig = rig_with(Says::Body("[4]"), 10, limits(|limits| limits.snapshots = 5_000));
    let mut last = 0;
    for body in ["[1]", "[2]", "[3]"] {
        last = rig.passes("/a", Instant::now(), body).unwrap().seq;
    }
    assert_eq!(last, 3);
    let held = rig.hub.0.topics().get(&rig.key("/a")).map(Arc::clone).unwrap();
    rig.hub.0.forget_idle(&mut rig.hub.0.topics(), Duration::ZERO, false);
    // Whoever found it just before.
    let now = Instant::now();
    assert_eq!(held.passed(&rig.hub.0, rig.asker(), now, rig.answer(now, "[4]")).0, None);
    assert!(rig.hub.0.keep.change(0, 5_000, 5_000), "bytes that nobody gives back");
    rig.hub.0.keep.change(5_000, 0, 0);
    rig.stream("/a").expect("snapshot", "\"seq\":4").await;
}

#[tokio::test(start_paused = true)]
async fn everyone_is_told_when_it_ends_and_why() {
    let rig = rig(Says::Body("1"));
    for reason in ["drain", "off", "lifetime"] {
        let mut readers = [rig.stream("/a"), rig.stream("/b")];
        sleep(SECOND).await;
        rig.hub.bye(reason, 10 * SECOND);
        let mut retries = Vec::new();
        for reader in &mut readers {
            // It goes before all that waits.
            let (name, rest) = reader.next().await;
            assert!(name == "bye" && rest.contains(reason), "{name} {rest}");
            let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
            retries.push(digits.parse::<u64>().unwrap());
            reader.expect("end", "").await;
        }
        assert!(retries.iter().all(|ms| (5_000..=15_000).contains(ms)), "{retries:?}");
        assert_ne!(retries[0], retries[1], "everyone would come back at once");
    }
}

#[tokio::test(start_paused = true)]
async fn partings_are_spread_and_until_then_changes_are_pushed() {
    let rig = rig(Says::Body("1"));
    let mut readers = Vec::new();
    for _ in 0..50 {
        let mut reader = rig.stream("/a");
        reader.expect("snapshot", "").await;
        readers.push(reader);
    }
    let start = Instant::now();
    let told = async |mut reader: Reader| {
        let (mut news, mut name) = (0, String::new());
        while name != "bye" {
            name = reader.next().await.0;
            news += u32::from(name == "delta" || name == "snapshot");
        }
        (start.elapsed(), news)
    };
    rig.says(Says::Body("2"));
    let parting = rig.hub.part("drain", SECOND, 10 * SECOND);
    let all = futures_util::future::join_all(readers.into_iter().map(told));
    let (mut told, ()) = tokio::join!(all, parting);
    told.sort();
    assert!(told[0].0 < 2 * SECOND && told[49].0 > 8 * SECOND, "{told:?}");
    // A timer fires up to a millisecond late.
    assert!(told[49].0 <= 10 * SECOND + Duration::from_millis(1), "{told:?}");
    // The poll that finds the change begins within a cadence.
    assert!(told.iter().all(|(at, news)| *news == u32::from(*at > SECOND)), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn one_poll_serves_all_and_the_fastest_sets_its_pace() {
    let rig = rig(Says::Body("1"));
    let slow = |every| Wish { every, ..rig.wish("/a", None) };
    let mut readers: Vec<_> = (0..10).map(|_| rig.open(vec![slow(10 * SECOND)])).collect();
    for reader in &mut readers {
        reader.expect("snapshot", "").await;
    }
    sleep(9 * SECOND).await;
    assert_eq!(rig.asked(), 1);
    let fast = rig.open(vec![slow(2 * SECOND)]);
    sleep(10 * SECOND).await;
    assert_eq!(rig.asked(), 6);
    drop(fast);
    sleep(20 * SECOND).await;
    assert_eq!(rig.asked(), 8);
}

#[tokio::test(start_paused = true)]
async fn credentials_are_never_printed_and_go_with_the_poller() {
    let rig = rig(Says::Body("1"));
    let wish = rig.wish("/a", None);
    assert!(!format!("{wish:?}").contains("planted"));
    let mut reader = rig.open(vec![wish]);
    reader.expect("snapshot", "").await;
    assert!(!format!("{:?}", rig.hub.0.topics()).contains("planted"));
    assert!(!rig.hub.0.metrics.encode().contains("planted"));
    drop(reader);
    // The poller's task held them: once it has ended, nothing does.
    rig.hub.0.drain.leave();
    rig.hub.0.drain.left().await;
}
