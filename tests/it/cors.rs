//! Pages on another host than their API: raw requests, as a browser makes them.

use crate::app::{App, FAST, WATCH};
use crate::events::Events;
use crate::site::{Say, Site};
use serde_json::json;

const PAGE: &str = "https://app.example";
const ALLOWS: &str = "Access-Control-Allow-Origin: https://app.example\r\n\
                      Access-Control-Allow-Credentials: true\r\nX-Secret: 1\r\n";

async fn start() -> (Site, App) {
    let site = Site::start().await;
    site.say("/api/a", Say::with("application/json", ALLOWS, "[1]"));
    let tables = format!("[cors]\norigins = [\"{PAGE}\"]\n{WATCH}{FAST}");
    let app = App::with(site.addr, "push", &tables).await;
    (site, app)
}

fn from(page: &str) -> String {
    format!("Origin: {page}\r\nSec-Fetch-Site: cross-site\r\n")
}

fn preflight(target: &str, page: &str, fields: &str) -> String {
    format!(
        "OPTIONS {target} HTTP/1.1\r\nHost: app\r\nOrigin: {page}\r\n\
         Access-Control-Request-Method: GET\r\nAccess-Control-Request-Headers: {fields}\r\n\r\n"
    )
}

#[tokio::test]
async fn a_page_that_the_configuration_names_is_pushed() {
    let (site, app) = start().await;
    let answer = app.poll("/api/a", &from(PAGE)).await;
    assert!(answer.hash().is_some());
    assert_eq!(answer.field("access-control-expose-headers").as_deref(), Some("pollcast-state"));
    let topic = json!({"url": "/api/a", "every_ms": 50});
    let mut stream = Events::open(&app, &from(PAGE), &[topic]).await;
    let event = stream.until("snapshot").await;
    // Of the fields only what the page could read.
    let names: Vec<_> = event.data["headers"].as_array().unwrap().iter().map(|f| &f[0]).collect();
    assert!(names.contains(&&json!("content-type")) && !names.contains(&&json!("x-secret")));
    // What the origin says of this page it says to the central poll too.
    let polls = site.asked("/api/a");
    assert!(polls.iter().all(|head| head.contains(PAGE)), "{polls:?}");
    // Taken back, the page learns it from the network.
    site.say("/api/a", Say::json("[2]"));
    stream.until("stale").await;
}

#[tokio::test]
async fn other_pages_are_refused_and_nothing_is_added_for_them() {
    let (_site, app) = start().await;
    let body = r#"{"client":"c","topics":[{"url":"/api/a"}]}"#;
    for page in [
        "https://app.example.evil",
        "https://app.example:444",
        "http://app.example",
        "HTTPS://APP.EXAMPLE",
        "null",
        "https://evil/https://app.example",
    ] {
        let answer = app.post("/__pollcast/stream", &from(page), body).await;
        assert!(answer.head.starts_with("HTTP/1.1 403 "), "{page}: {}", answer.head);
        assert_eq!(answer.field("access-control-allow-origin").as_deref(), None, "{page}");
        let answer = app.ask(preflight("/__pollcast/stream", page, "content-type")).await;
        assert_eq!(answer.field("access-control-allow-origin").as_deref(), None, "{page}");
        let answer = app.poll("/api/a", &from(page)).await;
        assert_eq!(answer.field("access-control-expose-headers").as_deref(), None, "{page}");
    }
    let same = app.poll("/api/a", "").await;
    assert_eq!(same.field("access-control-expose-headers"), None);
}

#[tokio::test]
async fn a_preflight_of_the_stream_is_answered() {
    let (site, app) = start().await;
    let answer = app.ask(preflight("/__pollcast/stream", PAGE, "content-type")).await;
    assert!(answer.head.starts_with("HTTP/1.1 204 "), "{}", answer.head);
    assert_eq!(answer.field("access-control-allow-origin").as_deref(), Some(PAGE));
    assert_eq!(answer.field("access-control-allow-credentials").as_deref(), Some("true"));
    assert!(site.asked("/__pollcast/stream").is_empty());
}

#[tokio::test]
async fn our_field_is_allowed_only_where_the_origin_allows_the_page() {
    let (site, app) = start().await;
    let ask = |target: &'static str, fields: &'static str| app.ask(preflight(target, PAGE, fields));
    // An origin that answers preflights: its word, and our field.
    site.say("/api/b", Say::status("204 No Content", ALLOWS, ""));
    let answer = ask("/api/b", "authorization,pollcast-client").await;
    assert_eq!(answer.field("access-control-allow-headers").as_deref(), Some("pollcast-client"));
    let seen = site.asked("/api/b").pop().unwrap();
    assert!(seen.contains("authorization") && !seen.contains("pollcast-client"), "{seen}");
    // One that refuses the page.
    site.say("/api/c", Say::status("204 No Content", "Access-Control-Allow-Origin: x\r\n", ""));
    let answer = ask("/api/c", "pollcast-client").await;
    assert_eq!(answer.field("access-control-allow-headers").as_deref(), None);
    // One that knows no preflights: what it said to the request itself counts.
    site.say("/api/d", Say::status("405 No", "", ""));
    let answer = ask("/api/d", "pollcast-client").await;
    assert!(answer.head.starts_with("HTTP/1.1 405 "), "{}", answer.head);
    site.say("/api/d", Say::with("application/json", ALLOWS, "[1]"));
    app.get("/api/d", &from(PAGE)).await;
    site.say("/api/d", Say::status("405 No", "", ""));
    let answer = ask("/api/d", "pollcast-client").await;
    assert_eq!(answer.field("access-control-allow-headers").as_deref(), Some("pollcast-client"));
    assert_eq!(answer.field("access-control-allow-origin").as_deref(), Some(PAGE));
    // A field of the app's own is for the origin alone to allow.
    let answer = ask("/api/d", "x-own,pollcast-client").await;
    assert!(answer.head.starts_with("HTTP/1.1 405 "), "{}", answer.head);
}

#[tokio::test]
async fn a_page_has_only_those_fields_sent_that_the_origin_admits() {
    let (site, app) = start().await;
    let fields = format!("{}Cookie: sid=1\r\n", from(PAGE));
    let topic = |name: &str| json!({"url": "/api/a", "every_ms": 50, "headers": [[name, "1"]]});
    // The answer to one field says nothing of another, nor of another path.
    site.say("/api/b", Say::status("204 No", &format!("{ALLOWS}{}", allows("x-own")), ""));
    site.say("/api/a", Say::status("204 No", &format!("{ALLOWS}{}", allows("x-other")), ""));
    app.ask(preflight("/api/b", PAGE, "x-own,pollcast-client")).await;
    app.ask(preflight("/api/a", PAGE, "x-other")).await;
    site.say("/api/a", Say::with("application/json", ALLOWS, "[1]"));
    for name in ["x-own", "authorization"] {
        let mut stream = Events::open(&app, &fields, &[topic(name)]).await;
        assert_eq!(stream.until("gone").await.reason(), "unwatched", "{name}");
    }
    assert!(site.asked("x-own: 1").is_empty() && site.asked("authorization: 1").is_empty());
    for name in ["x-other", "accept"] {
        Events::open(&app, &fields, &[topic(name)]).await.until("snapshot").await;
    }
    assert!(!site.asked("x-other: 1").is_empty());
    // Pages of this host send what they like.
    let same = "Cookie: sid=1\r\nSec-Fetch-Site: same-origin\r\n";
    Events::open(&app, same, &[topic("x-own")]).await.until("snapshot").await;
}

fn allows(fields: &str) -> String {
    format!("Access-Control-Allow-Headers: {fields}\r\n")
}

#[tokio::test]
async fn without_credentials_the_topic_is_nobodys() {
    let (site, app) = start().await;
    let topic = json!({"url": "/api/a", "every_ms": 50, "credentials": false});
    let fields = format!("{}Cookie: sid=1\r\n", from(PAGE));
    let mut stream = Events::open(&app, &fields, &[topic]).await;
    stream.until("snapshot").await;
    assert!(site.asked("/api/a").iter().all(|head| !head.contains("sid=1")));
}

#[tokio::test]
async fn the_plain_view_gives_a_page_only_what_the_origin_lets_it_read() {
    let (site, app) = start().await;
    site.say("/api/secret", Say::json("[\"not for pages of other hosts\"]"));
    for (path, allowed) in [("/api/secret", false), ("/api/a", true)] {
        let mut peer = crate::origin::Peer::connect(app.addr).await;
        let fields = format!("Host: app\r\nCookie: sid=1\r\n{}", from(PAGE));
        peer.send(format!("GET /__pollcast/sse{path} HTTP/1.1\r\n{fields}\r\n")).await;
        let text = [peer.read_head().await, peer.read_until("\n\n").await].concat();
        assert_eq!(text.contains("event: snapshot"), allowed, "{text}");
        assert_eq!(text.contains("event: stale"), !allowed, "{text}");
        assert!(!text.contains("not for pages"), "{text}");
        assert!(site.asked(path).iter().all(|head| head.contains(PAGE)));
    }
}

#[tokio::test]
async fn one_client_has_so_many_streams() {
    let site = Site::start().await;
    site.say("/api/a", Say::json("[1]"));
    let top = "trusted_proxies = [\"127.0.0.0/8\"]\n";
    let limits = "[limits]\nstreams_per_client = 2\n";
    let origin = format!("origin = \"http://{}\"\n{top}", site.addr);
    let app = App::before(origin, &format!("{limits}{WATCH}{FAST}")).await;
    let one = "X-Forwarded-For: 192.0.2.1\r\n";
    let first = Events::of(&app, one, &["/api/a"]).await;
    let _second = Events::of(&app, one, &["/api/a"]).await;
    let body = r#"{"client":"c","topics":[{"url":"/api/a"}]}"#;
    let third = app.post("/__pollcast/stream", one, body).await;
    assert!(third.head.starts_with("HTTP/1.1 503 "), "{}", third.head);
    assert!(third.field("retry-after").is_some());
    let mut other = Events::of(&app, "X-Forwarded-For: 192.0.2.2\r\n", &["/api/a"]).await;
    other.until("snapshot").await;
    drop(first);
    app.until_metric("pollcast_streams", 2.0).await;
    let mut again = Events::of(&app, one, &["/api/a"]).await;
    again.until("snapshot").await;
}
