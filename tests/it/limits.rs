//! Caps: the newcomer polls as before, and nothing that is served already is disturbed.

use crate::app::{App, FAST, WATCH};
use crate::events::{Events, request};
use crate::origin::{Peer, soon};
use crate::site::{Say, Site};
use bytes::Bytes;
use http_body_util::Full;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pollcast::drain::Drain;
use serde_json::json;
use std::process::Command;

async fn start(tables: &str) -> (Site, App) {
    let site = Site::start().await;
    for n in 0..4 {
        site.say(&format!("/api/{n}"), Say::json(format!("[{n}]")));
    }
    let app = App::with(site.addr, "push", &format!("{WATCH}{FAST}{tables}")).await;
    (site, app)
}

async fn lives(site: &Site, stream: &mut Events) {
    site.say("/api/0", Say::json("[\"changed\"]"));
    assert_eq!(stream.news().await.text("body"), "[\"changed\"]");
}

#[tokio::test]
async fn too_many_streams() {
    let (site, app) = start("[limits]\nstreams = 2\n").await;
    let mut one = Events::of(&app, "", &["/api/0"]).await;
    assert_eq!(one.news().await.name, "snapshot");
    let two = Events::of(&app, "", &["/api/1"]).await;
    let body = request(&[json!({"url": "/api/2"})]);
    let answer = app.post("/__pollcast/stream", "", &body).await;
    assert_eq!((answer.status(), answer.field("retry-after").as_deref()), (503, Some("30")));
    assert!(answer.text().contains("limits.streams"), "{}", answer.text());
    lives(&site, &mut one).await;
    drop(two);
    app.until_metric("pollcast_streams", 1.0).await;
    let mut three = Events::of(&app, "", &["/api/2"]).await;
    assert_eq!(three.news().await.text("body"), "[2]");
}

#[tokio::test]
async fn too_many_topics() {
    let (site, app) = start("[limits]\ntopics = 2\n").await;
    let mut one = Events::of(&app, "", &["/api/0", "/api/1"]).await;
    assert_eq!(
        (one.news().await.name, one.news().await.name),
        ("snapshot".into(), "snapshot".into())
    );
    let mut two = Events::of(&app, "", &["/api/2", "/api/0"]).await;
    let gone = two.news().await;
    assert_eq!((gone.index, gone.reason()), (Some(0), "limit"));
    assert_eq!(two.news().await.text("body"), "[0]");
    // Polling goes on as before.
    let answer = app.poll("/api/3", "").await;
    assert_eq!((answer.text(), answer.hash()), ("[3]", None));
    lives(&site, &mut one).await;
}

#[tokio::test]
async fn topics_that_can_not_be_pushed_keep_nobody_out() {
    let (site, app) = start("[limits]\ntopics = 2\n").await;
    for url in ["/api/x", "/api/y"] {
        site.say(url, Say::with("application/json", "Vary: *\r\n", "1"));
    }
    let mut refused = Events::of(&app, "", &["/api/x", "/api/y"]).await;
    for _ in 0..2 {
        assert_eq!(refused.news().await.reason(), "unwatchable");
    }
    assert_eq!(refused.until("bye").await.reason(), "empty");
    refused.closed().await;
    app.until_metric("pollcast_subscriptions", 0.0).await;
    let mut stream = Events::of(&app, "", &["/api/0", "/api/1"]).await;
    assert_eq!(stream.news().await.name, "snapshot");
    assert_eq!(stream.news().await.name, "snapshot");
}

#[tokio::test]
async fn too_many_bytes() {
    let (site, app) = start("[limits]\nsnapshots = \"1 MiB\"\n").await;
    let mut one = Events::of(&app, "", &["/api/0"]).await;
    assert_eq!(one.news().await.name, "snapshot");
    let large = format!("\"{}\"", "x".repeat(700_000));
    site.say("/api/1", Say::json(large.as_str()));
    let mut two = Events::of(&app, "", &["/api/1"]).await;
    let stale = two.news().await;
    assert_eq!((stale.name.as_str(), stale.reason()), ("stale", "limit"));
    assert_eq!(app.poll("/api/1", "").await.text(), large);
    lives(&site, &mut one).await;
    // Small again, it fits.
    site.say("/api/1", Say::json("[1]"));
    assert_eq!(two.news().await.text("body"), "[1]");
}

#[tokio::test]
async fn a_body_over_the_limit() {
    let (site, app) = start("[limits]\nbody = \"1 KiB\"\n").await;
    let mut stream = Events::of(&app, "", &["/api/1"]).await;
    assert_eq!(stream.news().await.text("body"), "[1]");
    site.say("/api/1", Say::json("x".repeat(1025)));
    let stale = stream.news().await;
    assert_eq!((stale.name.as_str(), stale.reason()), ("stale", "limit"));
    site.say("/api/1", Say::json("[1]"));
    assert_eq!(stream.news().await.name, "current");
}

#[tokio::test]
async fn a_port_that_is_taken() {
    let site = Site::start().await;
    let dir = tempfile::tempdir().unwrap();
    let taken = site.addr.to_string();
    for flags in
        [["--listen", &taken, "--admin", "off"], ["--listen", "127.0.0.1:0", "--admin", &taken]]
    {
        let output = Command::new(env!("CARGO_BIN_EXE_pollcast"))
            .args(["run", "--origin", "http://127.0.0.1:1", "--watch", "/a"])
            .args(flags)
            .current_dir(dir.path())
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(&format!("pollcast: can't listen on {taken}: ")), "{text}");
        assert!(text.contains("another program listens there: stop it, or choose"), "{text}");
    }
}

#[tokio::test]
async fn a_large_cookie_is_kept_once_for_all_topics_of_a_stream() {
    const MIB: usize = 1 << 20;
    let site = Site::start().await;
    let shared = "audience = \"shared\"\n[poll]\ndefault_interval = \"1h\"\nrate = 1\n";
    let app = App::with(site.addr, "push", &format!("{WATCH}{shared}")).await;
    let topics: Vec<_> = (0..100).map(|n| json!({ "url": format!("/api/{n}") })).collect();
    let padding = "x".repeat(30 << 10);
    let before = app.resident();
    let mut streams = Vec::new();
    for user in 0..20 {
        let cookie = format!("Cookie: sid={user}; padding={padding}\r\n");
        streams.push(Events::open(&app, &cookie, &topics).await);
    }
    let grown = app.resident().saturating_sub(before);
    // Twenty cookies, not two thousand.
    assert!(grown < 20 * MIB, "{} MiB", grown / MIB);
}

#[tokio::test]
async fn too_long_a_head_of_a_stream_request() {
    let (site, app) = start("[limits]\nstream_head = \"1 KiB\"\n").await;
    let mut one = Events::of(&app, "Cookie: sid=1\r\n", &["/api/0"]).await;
    assert_eq!(one.news().await.name, "snapshot");
    let long = format!("Cookie: sid=2; {}\r\n", "x".repeat(1 << 10));
    let body = request(&[json!({"url": "/api/1"})]);
    for answer in [
        app.post("/__pollcast/stream", &long, &body).await,
        app.get("/__pollcast/sse/api/1", &long).await,
    ] {
        assert_eq!(answer.status(), 431);
        assert!(answer.text().contains("1024 bytes (limits.stream_head)"), "{}", answer.text());
    }
    app.until_metric("pollcast_limit_reached_total{name=\"stream_head\"}", 2.0).await;
    // Fewer bytes, but more fields: over HTTP/1.1 no request may have them.
    let tasks = Drain::new();
    let socket = TokioIo::new(Peer::connect(app.addr).await.into_socket());
    let (mut send, conn) = http2::handshake(TokioExecutor::new(), socket).await.unwrap();
    tasks.spawn(conn);
    let mut many = http::Request::post("http://app/__pollcast/stream");
    for n in 0..101 {
        many = many.header(format!("a{n}"), "1");
    }
    let many = many.body(Full::new(Bytes::from(body))).unwrap();
    assert_eq!(soon("an answer", send.send_request(many)).await.unwrap().status(), 431);
    // Polling goes on as before.
    assert_eq!(app.poll("/api/1", &long).await.text(), "[1]");
    lives(&site, &mut one).await;
}
