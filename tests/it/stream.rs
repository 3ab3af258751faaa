//! The event stream, over real sockets: what is pushed, when, to whom, and how it ends.

use crate::app::{App, FAST, WATCH};
use crate::events::{Events, Held};
use crate::site::{Say, Site};
use serde_json::json;

async fn start(path: &str, say: Say) -> (Site, App) {
    let site = Site::start().await;
    site.say(path, say);
    let app = App::start(site.addr).await;
    (site, app)
}

/// A body that a small change makes worth a delta.
fn rows(n: u32) -> String {
    let rows: Vec<_> = (0..40).map(|id| json!({"id": id, "text": "é😀 row", "n": n})).collect();
    json!({ "rows": rows, "n": n }).to_string()
}

fn list(n: u32) -> String {
    format!("[\"{}\",\"\u{1f600}\",{n},\"{}\"]", "a".repeat(500), "b".repeat(500))
}

#[tokio::test]
async fn a_change_comes_as_a_delta_to_the_byte() {
    for http2 in [false, true] {
        let (site, app) = start("/api/a", Say::json(list(0))).await;
        let mut stream = match http2 {
            true => Events::http2(&app, &["/api/a", "/other"]).await,
            false => Events::of(&app, "", &["/api/a", "/other"]).await,
        };
        let hello = stream.next().await;
        assert_eq!((hello.name.as_str(), hello.data["v"].as_u64()), ("hello", Some(1)));
        let silence = hello.data["silence_ms"].as_u64().unwrap();
        assert!(silence >= 2 * hello.data["beat_ms"].as_u64().unwrap());
        // Which of the two comes first depends on how long the first poll takes.
        let mut both = [stream.news().await, stream.news().await];
        both.sort_by_key(|event| event.index);
        let [event, gone] = both;
        assert_eq!((gone.name.as_str(), gone.index, gone.reason()), ("gone", Some(1), "unwatched"));
        let mut held = Held::default();
        assert_eq!((event.name.as_str(), event.index), ("snapshot", Some(0)));
        assert_eq!(event.data["status"].as_u64(), Some(200));
        held.take(&event);
        for n in 1..5 {
            site.say("/api/a", Say::json(list(n)));
            let event = stream.news().await;
            assert_eq!(event.name, "delta");
            held.take(&event);
            assert_eq!(held.body, list(n));
        }
        assert_eq!(stream.until("beat").await.data, json!({}));
        // A new stream that has the state is told so, one that has an old one gets a delta.
        let have = json!({"url": "/api/a", "have": held.hash, "every_ms": 50});
        let mut again = Events::open(&app, "", &[have]).await;
        let event = again.news().await;
        assert_eq!((event.name.as_str(), event.text("hash")), ("current", held.hash.as_str()));
    }
}

#[tokio::test]
async fn a_write_through_the_proxy_is_pushed_to_another_client() {
    let site = Site::start().await;
    site.say("/api/todos", Say::json("[1]"));
    site.say("/api/todos/5", Say::json("{}"));
    // The cadence alone would take an hour.
    let slow = "[poll]\ndefault_interval = \"1h\"\n";
    let app = App::with(site.addr, "push", &format!("{WATCH}{slow}")).await;
    let topic = json!({"url": "/api/todos", "every_ms": 3_600_000});
    let mut stream = Events::open(&app, "", &[topic]).await;
    assert_eq!(stream.news().await.text("body"), "[1]");
    for (n, method) in ["POST", "PUT", "PATCH", "DELETE"].into_iter().enumerate() {
        site.say("/api/todos", Say::json(format!("[1,{n}]")));
        let head = format!("{method} /api/todos/5 HTTP/1.1\r\nHost: app\r\nContent-Length: 0\r\n");
        app.ask(format!("{head}Cookie: sid=somebody\r\n\r\n")).await;
        assert_eq!(stream.news().await.text("body"), format!("[1,{n}]"));
    }
}

#[tokio::test]
async fn identities_never_see_each_others() {
    let site = Site::start().await;
    site.on("/api/me", |head| {
        let who = ["alice", "bob", "tok-a", "tok-b"].into_iter().filter(|who| head.contains(who));
        Say::json(format!("{{\"you\":{:?}}}", who.collect::<Vec<_>>()))
    });
    let app = App::start(site.addr).await;
    let bearer = |token: &str| {
        let fields = json!([["Authorization", format!("Bearer {token}")]]);
        json!({"url": "/api/me", "headers": fields})
    };
    let plain = json!({"url": "/api/me"});
    // Forged and repeated in every way that the endpoint could fall for.
    let forged = json!({"url": "/api/me", "headers": [
        ["Cookie", "s=bob"], ["COOKIE", "s=bob"], ["cookie2", "bob"], ["Host", "bob"],
        ["X-Forwarded-For", "bob"], ["Connection", "Cookie"], ["Proxy-Authorization", "bob"],
    ]});
    let both = [bearer("tok-a"), plain.clone(), bearer("tok-b"), forged];
    let mut alice = Events::open(&app, "Cookie: s=alice\r\n", &both).await;
    let mut bob = Events::open(&app, "Cookie: s=bob\r\n", std::slice::from_ref(&plain)).await;
    let mut nobody = Events::open(&app, "", &[plain]).await;
    let mut seen = [const { String::new() }; 4];
    while seen.iter().any(String::is_empty) {
        let event = alice.news().await;
        seen[event.index.unwrap()] = event.text("body").to_owned();
    }
    assert_eq!(seen[0], r#"{"you":["alice", "tok-a"]}"#);
    assert_eq!(seen[1], r#"{"you":["alice"]}"#);
    assert_eq!(seen[2], r#"{"you":["alice", "tok-b"]}"#);
    assert_eq!(seen[3], r#"{"you":["alice"]}"#);
    assert_eq!(bob.news().await.text("body"), r#"{"you":["bob"]}"#);
    assert_eq!(nobody.news().await.text("body"), r#"{"you":[]}"#);
}

#[tokio::test]
async fn a_time_that_only_one_of_two_clocks_takes_for_now() {
    let (_site, app) = start("/api/a", Say::json("[1]")).await;
    let now = pollcast::watch::unix_ms();
    for (clock, gone) in [(now, false), (now + 3_600_000, true), (now - 3_600_000, true)] {
        let urls =
            [format!("/api/a?n={clock}"), "/api/a".into(), format!("/api/a?n={}", now - 9_000_000)];
        let topics = urls.map(|url| json!({"url": url, "every_ms": 50}));
        let ask = json!({"client": "me", "now_ms": clock, "topics": topics}).to_string();
        let mut stream = Events::asking(&app, "", &ask).await;
        let mut seen = [const { String::new() }; 3];
        while seen.iter().any(String::is_empty) {
            let event = stream.news().await;
            seen[event.index.unwrap()] = match event.name.as_str() {
                "gone" => event.reason().to_owned(),
                name => name.to_owned(),
            };
        }
        assert_eq!(seen, [if gone { "clock" } else { "snapshot" }, "snapshot", "snapshot"]);
    }
}

#[tokio::test]
async fn a_session_that_ends_is_stale_until_it_is_back() {
    let (site, app) = start("/api/a", Say::json("[1]")).await;
    let mut stream = Events::of(&app, "", &["/api/a"]).await;
    let first = stream.news().await;
    site.say("/api/a", Say::status("401 Unauthorized", "", ""));
    let stale = stream.news().await;
    assert_eq!((stale.name.as_str(), stale.reason()), ("stale", "status"));
    assert_eq!(stale.data["status"].as_u64(), Some(401));
    assert_eq!(app.poll("/api/a", "").await.status(), 401);
    // The stream lives on; the same state again is worth a word.
    stream.until("beat").await;
    site.say("/api/a", Say::json("[1]"));
    let back = stream.news().await;
    assert_eq!((back.name.as_str(), back.text("hash")), ("current", first.text("hash")));
}

#[tokio::test]
async fn whoever_leaves_is_not_polled_for() {
    let (site, app) = start("/api/a", Say::json("[1]")).await;
    for http2 in [false, true] {
        let stream = match http2 {
            true => Events::http2(&app, &["/api/a"]).await,
            false => Events::of(&app, "", &["/api/a"]).await,
        };
        let polls = site.asked("GET /api/a ").len();
        site.until_asked("GET /api/a ", polls + 3).await;
        drop(stream);
        app.until_metric("pollcast_streams", 0.0).await;
        app.until_metric("pollcast_subscriptions", 0.0).await;
        let polls = site.asked("GET /api/a ").len();
        // Something else that is polled has its turns meanwhile, and this has none; the one that
        // was on its way may still arrive.
        site.say("/api/b", Say::json("[2]"));
        let _other = Events::of(&app, "", &["/api/b"]).await;
        let others = site.asked("GET /api/b ").len();
        site.until_asked("GET /api/b ", others + 5).await;
        assert!(site.asked("GET /api/a ").len() <= polls + 1);
    }
}

#[tokio::test]
async fn a_slow_reader_costs_no_memory_and_ends_at_the_newest_state() {
    let site = Site::start().await;
    let numbers = std::sync::atomic::AtomicU32::new(0);
    let filler = "0123456789abcdef".repeat(12_500);
    let body = move |n: u32| {
        format!("{{\"n\":{n},\"filler\":\"{}\"}}", filler.replace('7', &n.to_string()))
    };
    let last = body(u32::MAX);
    site.on("/api/a", move |_| {
        Say::json(body(numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed)))
    });
    let app = App::start(site.addr).await;
    // Ten that read nothing, one that reads.
    let mut slow = Vec::new();
    for _ in 0..10 {
        slow.push(Events::of(&app, "", &["/api/a"]).await);
    }
    site.until_asked("GET /api/a ", 5).await;
    let before = app.resident();
    let asked = site.asked("GET /api/a ").len();
    site.until_asked("GET /api/a ", asked + 60).await;
    let grown = app.resident().saturating_sub(before);
    // A queue would hold sixty states of 200 KB for each of ten.
    assert!(grown < 24 << 20, "{grown} bytes more");
    site.say("/api/a", Say::json(last.as_str()));
    let asked = site.asked("GET /api/a ").len();
    site.until_asked("GET /api/a ", asked + 2).await;
    for stream in &mut slow {
        let mut held = Held::default();
        let mut events = 0;
        while held.body != last {
            held.take(&stream.news().await);
            events += 1;
        }
        assert!(events < 40, "{events}");
    }
}

#[tokio::test]
async fn at_the_end_of_the_process_streams_are_told_and_it_ends_well() {
    let (_site, app) = start("/api/a", Say::json("[1]")).await;
    let mut one = Events::of(&app, "", &["/api/a"]).await;
    let mut two = Events::http2(&app, &["/api/a"]).await;
    assert_eq!(
        (one.news().await.name, two.news().await.name),
        ("snapshot".into(), "snapshot".into())
    );
    app.signal("-TERM");
    for stream in [&mut one, &mut two] {
        let bye = stream.until("bye").await;
        assert_eq!(bye.reason(), "drain");
        assert!(bye.data["retry_ms"].as_u64().is_some());
        stream.closed().await;
    }
    assert_eq!(app.ended().await, Some(0));
}

#[tokio::test]
async fn many_topics_on_one_stream_each_reach_their_last_state() {
    let site = Site::start().await;
    let urls: Vec<String> = (0..100).map(|n| format!("/api/{n}")).collect();
    for url in &urls {
        site.say(url, Say::json(rows(0)));
    }
    let app = App::with(site.addr, "push", &format!("{WATCH}{FAST}rate = 2000\n")).await;
    let names: Vec<_> = urls.iter().map(String::as_str).collect();
    let mut stream = Events::of(&app, "", &names).await;
    let mut held: Vec<Held> = (0..100).map(|_| Held::default()).collect();
    for n in 0..3 {
        for url in &urls {
            site.say(url, Say::json(rows(n)));
        }
        while held.iter().any(|held| held.body != rows(n)) {
            let event = stream.news().await;
            held[event.index.unwrap()].take(&event);
        }
    }
}

#[tokio::test]
async fn a_stream_that_is_left_by_its_name_ends_and_nobody_polls() {
    let (site, app) = start("/api/a", Say::json(list(0))).await;
    let topics = json!([{"url": "/api/a", "every_ms": 50}]);
    let body = json!({"client": "me", "name": "a-1", "topics": topics}).to_string();
    let mut named = Events::asking(&app, "", &body).await;
    let mut other = Events::of(&app, "", &["/api/a"]).await;
    named.until("snapshot").await;
    other.until("snapshot").await;
    // Another site's page can't, even if it knew the name; and GET doesn't.
    let foreign = app.post("/__pollcast/leave/a-1", "Origin: http://evil\r\n", "").await;
    assert!(foreign.head.starts_with("HTTP/1.1 403 "), "{}", foreign.head);
    let got = app.get("/__pollcast/leave/a-1", "").await;
    assert!(got.head.starts_with("HTTP/1.1 405 "), "{}", got.head);
    for name in ["b", "", "a-1"] {
        let left = app.post(&format!("/__pollcast/leave/{name}"), "", "").await;
        assert!(left.head.starts_with("HTTP/1.1 204 "), "{}", left.head);
    }
    app.until_metric("pollcast_streams", 1.0).await;
    site.say("/api/a", Say::json(list(1)));
    other.until("delta").await;
}
