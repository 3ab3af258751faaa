//! The plain view: what `curl -N` and `EventSource` read.

use crate::app::{App, FAST, WATCH};
use crate::origin::{Peer, soon};
use crate::site::{Say, Site};
use serde_json::Value;

/// One event, read as the HTML standard says (the server-sent events chapter, §9.2.6).
#[derive(Debug, PartialEq, Eq)]
struct Event {
    name: String,
    id: Option<String>,
    data: String,
}

/// A client of the plain view.
struct Plain(Peer);

impl Plain {
    async fn open(app: &App, target: &str, fields: &str) -> Self {
        let mut peer = Peer::connect(app.addr).await;
        let head = format!("GET /__pollcast/sse{target} HTTP/1.1\r\nHost: app\r\n{fields}\r\n");
        peer.send(head).await;
        let head = peer.read_head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
        Self(peer)
    }

    async fn next(&mut self) -> Event {
        let text = self.0.read_until("\n\n").await;
        let (mut name, mut id, mut data) = (String::new(), None, Vec::new());
        for line in text.split(['\r', '\n']).filter(|line| !line.is_empty()) {
            let (field, value) = line.split_once(':').unwrap();
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut name),
                "id" => id = Some(value.to_owned()),
                "data" => data.push(value),
                _ => panic!("an injected field: {line:?}"),
            }
        }
        Event { name, id, data: data.join("\n") }
    }

    /// The next event that is no beat.
    async fn news(&mut self) -> Event {
        let news = async {
            loop {
                let event = self.next().await;
                if event.name != "beat" {
                    return event;
                }
            }
        };
        soon("news", news).await
    }
}

async fn start(say: Say) -> (Site, App) {
    let site = Site::start().await;
    site.say("/api/a", say);
    let beat = "[stream]\nbeat = \"100ms\"\n";
    let app = App::with(site.addr, "push", &format!("{WATCH}{FAST}{beat}")).await;
    (site, app)
}

fn rows(n: u32) -> String {
    format!("{{\"filler\":\"{}\",\n\"n\":{n},\"list\":[1,2,{n}]}}", "x".repeat(200))
}

#[tokio::test]
async fn patches_rebuild_the_value_and_full_bodies_are_exact() {
    let (site, app) = start(Say::json(rows(0))).await;
    let mut patched = Plain::open(&app, "/api/a?x=1", "Accept: text/event-stream\r\n").await;
    let mut full = Plain::open(&app, "/api/a?x=1&__pollcast=full", "").await;
    let first = patched.news().await;
    assert_eq!((first.name.as_str(), first.data.as_str()), ("snapshot", rows(0).as_str()));
    assert_eq!(full.news().await, first);
    let mut value: Value = serde_json::from_str(&first.data).unwrap();
    for n in 1..4 {
        site.say("/api/a", Say::json(rows(n)));
        let event = patched.news().await;
        assert_eq!(event.name, "patch");
        let patch: json_patch::Patch = serde_json::from_str(&event.data).unwrap();
        json_patch::patch(&mut value, &patch).unwrap();
        assert_eq!(value, serde_json::from_str::<Value>(&rows(n)).unwrap());
        let whole = full.news().await;
        assert_eq!((whole.name.as_str(), whole.data), ("snapshot", rows(n)));
        assert_eq!(whole.id, event.id);
    }
    // The parameter is ours, the rest is the origin's.
    assert!(site.asked("__pollcast").is_empty());
    assert!(!site.asked("GET /api/a?x=1 ").is_empty());
}

#[tokio::test]
async fn the_last_event_id_resumes() {
    let (site, app) = start(Say::json(rows(0))).await;
    let mut stream = Plain::open(&app, "/api/a", "").await;
    let old = stream.news().await.id.unwrap();
    site.say("/api/a", Say::json(rows(1)));
    let new = stream.news().await.id.unwrap();
    let mut behind = Plain::open(&app, "/api/a", &format!("Last-Event-ID: {old}\r\n")).await;
    assert_eq!(behind.news().await.name, "patch");
    for unknown in ["nonsense", "00112233445566778899aabbccddeeff"] {
        let fields = format!("Last-Event-ID: {unknown}\r\n");
        let event = Plain::open(&app, "/api/a", &fields).await.news().await;
        assert_eq!((event.name.as_str(), event.id.as_ref()), ("snapshot", Some(&new)));
    }
    let mut level = Plain::open(&app, "/api/a", &format!("Last-Event-ID: {new}\r\n")).await;
    assert_eq!(level.next().await.name, "beat");
    site.say("/api/a", Say::json(rows(2)));
    assert_eq!(level.news().await.name, "patch");
}

#[tokio::test]
async fn no_body_can_forge_a_field() {
    let evil = "one\r\rid: forged\rdata: forged\n\nevent: bye\r\ndata: {}\r\n\r\n: x\n";
    let (_site, app) = start(Say::with("text/plain", "", evil)).await;
    let event = Plain::open(&app, "/api/a", "").await.news().await;
    assert_eq!(event.name, "snapshot");
    assert_eq!(event.data, evil.replace("\r\n", "\n").replace('\r', "\n"));
    let hash = app.poll("/api/a", "Accept: */*\r\n").await.hash();
    assert_eq!(event.id, hash);
}

#[tokio::test]
async fn after_stale_the_plain_view_says_that_the_state_holds_again() {
    let (site, app) = start(Say::json("[1]")).await;
    let mut stream = Plain::open(&app, "/api/a", "").await;
    let first = stream.news().await;
    site.say("/api/a", Say::status("401 No", "", ""));
    let stale = stream.news().await;
    assert_eq!((stale.name.as_str(), stale.id), ("stale", None));
    assert_eq!(stale.data, r#"{"reason":"status","status":401}"#);
    site.say("/api/a", Say::json("[1]"));
    assert_eq!(stream.news().await, first);
    app.signal("-TERM");
    let bye = stream.news().await;
    assert_eq!(bye.name, "bye");
    assert!(bye.data.starts_with("{\"reason\":\"drain\",\"retry_ms\":"), "{}", bye.data);
    stream.0.closed().await;
}

#[tokio::test]
async fn what_can_not_be_viewed_says_why() {
    let (site, app) = start(Say::json("[1]")).await;
    for (target, status, text) in [
        ("/other", 404, "no watch of mode push matches /other: name it in a [[watch]]"),
        ("//evil/api/a", 400, "what follows /sse must be a path and query on this host"),
        ("/\\evil/api", 400, "what follows /sse must be a path and query on this host"),
    ] {
        let answer = app.get(&format!("/__pollcast/sse{target}"), "").await;
        assert_eq!(answer.status(), status, "{target}");
        assert_eq!(answer.text(), serde_json::json!({ "error": text }).to_string());
    }
    for fields in ["Origin: http://evil\r\n", "Sec-Fetch-Site: cross-site\r\n"] {
        assert_eq!(app.get("/__pollcast/sse/api/a", fields).await.status(), 403);
    }
    assert_eq!(app.post("/__pollcast/sse/api/a", "", "").await.status(), 405);
    assert!(site.asked("").is_empty());
}
