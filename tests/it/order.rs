//! What could get lost or out of order between the origin, the snapshots and the pages.

use crate::app::{Answer, App, FAST, WATCH, post};
use crate::events::{Events, Held};
use crate::origin::{Origin, Peer};
use crate::site::{Say, Site};
use serde_json::json;

/// Nothing is polled but once, and for a reason.
const QUIET: &str = "[poll]\ndefault_interval = \"1h\"\n";

fn text(body: &str) -> String {
    let len = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len}\r\n\r\n{body}")
}

#[tokio::test]
async fn with_ignored_fields_no_delta_starts_from_a_body_the_client_has_not() {
    let site = Site::start().await;
    let body = |at: &str, n: u32| {
        format!("{{\"at\":\"{at}\",\"n\":{n},\"filler\":\"{}\"}}", "x".repeat(300))
    };
    let watch = format!("{WATCH}ignore = [\"/at\"]\n{FAST}");
    let app = App::with(site.addr, "push", &watch).await;
    site.say("/api/a", Say::json(body("12:00:01", 1)));
    let mut first = Events::of(&app, "", &["/api/a"]).await;
    assert_eq!(first.news().await.name, "snapshot");
    // Another body of the same state, which this page has from the network.
    site.say("/api/a", Say::json(body("12:01:00", 1)));
    let renewed = app.get("/api/a", "Pollcast-Client: me;renew\r\n").await;
    let mut held = Held { body: renewed.text().into(), hash: renewed.hash().unwrap(), seq: 0 };
    let topic = json!({"url": "/api/a", "have": held.hash, "every_ms": 50});
    let mut stream = Events::open(&app, "", &[topic]).await;
    held.take(&stream.news().await);
    site.say("/api/a", Say::json(body("12:00:09", 2)));
    held.take(&stream.news().await);
    assert_eq!(held.body, body("12:00:09", 2));
}

#[tokio::test]
async fn a_write_in_mid_poll_is_not_lost() {
    let origin = Origin::bind().await;
    let app = App::with(origin.addr, "push", &format!("{WATCH}{QUIET}")).await;
    let topic = json!({"url": "/api/a", "every_ms": 3_600_000});
    let mut stream = Events::open(&app, "", &[topic]).await;
    let mut poll = origin.accept().await;
    poll.read_head().await;
    // The poll has read, and its answer is on its way; now somebody writes.
    let mut writer = Peer::connect(app.addr).await;
    writer.send(post("/api/a", "", "x")).await;
    let mut write = origin.accept().await;
    write.request().await.unwrap();
    write.send(text("written")).await;
    writer.read_until("written").await;
    poll.send(text("before")).await;
    assert!(poll.read_head().await.starts_with("GET /api/a "));
    poll.send(text("after")).await;
    let mut held = Held::default();
    while held.body != "after" {
        held.take(&stream.news().await);
    }
}

#[tokio::test]
async fn an_answer_that_was_overtaken_takes_nobody_back() {
    let origin = Origin::bind().await;
    let app = App::with(origin.addr, "push", &format!("{WATCH}{QUIET}")).await;
    let mut early = Peer::connect(app.addr).await;
    early.send("GET /api/a HTTP/1.1\r\nHost: app\r\nPollcast-Client: me\r\n\r\n").await;
    let mut slow = origin.accept().await;
    slow.read_head().await;
    // Begun later, answered first.
    let mut stream = Events::open(&app, "", &[json!({"url": "/api/a"})]).await;
    let mut poll = origin.accept().await;
    poll.read_head().await;
    poll.send(text("new")).await;
    let event = stream.news().await;
    assert_eq!(event.text("body"), "new");
    slow.send(text("old")).await;
    let late = Answer::read(&mut early).await;
    assert_eq!(late.text(), "old");
    let state = late.field("pollcast-state").unwrap();
    let seq = state.split("seq=").nth(1).unwrap().split(';').next().unwrap();
    assert!(seq.parse::<u64>().unwrap() < event.data["seq"].as_u64().unwrap(), "{state}");
    assert_eq!(app.poll("/api/a", "").await.text(), "new");
    app.signal("-TERM");
    assert_eq!(stream.news().await.name, "bye");
}
