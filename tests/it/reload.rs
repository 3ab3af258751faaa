//! The configuration changes while the app runs.

use crate::app::{App, FAST, WATCH, post};
use crate::events::{Events, request};
use crate::origin::Peer;
use crate::site::{Say, Site};
use serde_json::json;

fn tables() -> String {
    format!("{WATCH}{FAST}")
}

async fn start() -> (Site, App) {
    let site = Site::start().await;
    site.say("/api/a", Say::json("[1]"));
    let app = App::start(site.addr).await;
    (site, app)
}

#[tokio::test]
async fn off_reaches_every_stream_and_on_brings_them_back() {
    let (site, app) = start().await;
    let mut streams = [
        Events::of(&app, "", &["/api/a"]).await,
        Events::of(&app, "Cookie: a=1\r\n", &["/api/a"]).await,
        Events::http2(&app, &["/api/a"]).await,
    ];
    for stream in &mut streams {
        assert_eq!(stream.news().await.name, "snapshot");
    }
    app.configure("off", &tables());
    for stream in &mut streams {
        let bye = stream.until("bye").await;
        assert_eq!(bye.reason(), "off");
        assert!(bye.data["retry_ms"].as_u64().unwrap() >= 1000);
        stream.closed().await;
    }
    app.until_metric("pollcast_subscriptions", 0.0).await;
    let mut off = Events::of(&app, "", &["/api/a"]).await;
    assert_eq!(off.next().await.reason(), "off");
    off.closed().await;
    let plain = app.get("/__pollcast/sse/api/a", "").await;
    assert!(plain.text().starts_with("event: bye\ndata: {\"reason\":\"off\""), "{plain:?}");
    // A plain proxy now.
    let asked = site.asked("GET /api/a ").len();
    for _ in 0..2 {
        assert_eq!(app.poll("/api/a", "").await.hash(), None);
    }
    assert_eq!(site.asked("GET /api/a ").len(), asked + 2);

    app.configure("push", &tables());
    let mut lines = 0;
    let mut on = loop {
        let mut stream = Events::of(&app, "", &["/api/a"]).await;
        if stream.next().await.name == "hello" {
            break stream;
        }
        lines += 1;
        assert!(lines < 10_000);
    };
    assert_eq!(on.news().await.name, "snapshot");
}

#[tokio::test]
async fn a_faulty_file_changes_nothing_and_is_logged() {
    let (site, app) = start().await;
    let mut stream = Events::of(&app, "", &["/api/a"]).await;
    assert_eq!(stream.news().await.name, "snapshot");
    app.configure("psh", &format!("{}[pol]\nrate = 1\n", tables()));
    let line = app.logged("nothing changed").await;
    let message = line["message"].as_str().unwrap();
    assert!(message.contains("mode: \"psh\" is unknown: did you mean \"push\"?"), "{message}");
    assert!(message.contains("pol: no such key: did you mean `poll`?"), "{message}");
    site.say("/api/a", Say::json("[2]"));
    assert_eq!(stream.news().await.text("body"), "[2]");
    // The signal reads it again, and finds the same.
    app.signal("-HUP");
    site.say("/api/a", Say::json("[3]"));
    assert_eq!(stream.news().await.text("body"), "[3]");
    // Mended, it counts; nothing that streams rest on has changed.
    app.configure("push", &format!("{}rate = 100\n", tables()));
    app.logged("in force").await;
    site.say("/api/a", Say::json("[4]"));
    assert_eq!(stream.news().await.text("body"), "[4]");
}

#[tokio::test]
async fn other_rules_bring_streams_back_to_be_told_them() {
    let (_site, app) = start().await;
    let mut stream = Events::of(&app, "", &["/api/a"]).await;
    assert_eq!(stream.news().await.name, "snapshot");
    app.configure("push", &format!("[[watch]]\npath = \"/other/**\"\n{FAST}"));
    assert_eq!(stream.until("bye").await.reason(), "lifetime");
    let mut stream = Events::of(&app, "", &["/api/a"]).await;
    assert_eq!(stream.news().await.reason(), "unwatched");
}

/// Sends a stream request but for its last byte, and waits until the app has begun to read it.
async fn slow_request(app: &App) -> Peer {
    let mut peer = Peer::connect(app.addr).await;
    let body = request(&[json!({"url": "/api/a"})]);
    let text = post("/__pollcast/stream", "", &body);
    peer.send(&text[..text.len() - 1]).await;
    app.until_metric("pollcast_requests_total{decision=\"own\"}", 1.0).await;
    peer
}

#[tokio::test]
async fn a_stream_asked_for_before_off_does_not_outlive_it() {
    let (_site, app) = start().await;
    let mut peer = slow_request(&app).await;
    app.configure("off", &tables());
    app.logged("in force").await;
    peer.send("}").await;
    peer.read_head().await;
    let (text, _) = peer.read_to_end().await;
    assert!(text.starts_with("event: bye\ndata: {\"reason\":\"off\""), "{text}");
}

#[tokio::test]
async fn a_stream_asked_for_before_the_end_does_not_delay_it() {
    let (_site, app) = start().await;
    let mut peer = slow_request(&app).await;
    app.signal("-TERM");
    app.logged("leaving").await;
    peer.send("}").await;
    peer.read_head().await;
    let (text, _) = peer.read_to_end().await;
    assert!(text.contains("event: bye\ndata: {\"reason\":\"drain\""), "{text}");
    let log = app.log();
    assert_eq!(app.ended().await, Some(0));
    assert!(!log.contains("not everything was finished"), "{log}");
}
