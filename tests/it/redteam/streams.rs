//! Streams and their requests: what a client may write there is to reach the victim's topic.

use super::{ATTACKER, MARK, Rig, VICTIM, assert_clean, told};
use crate::events::Events;
use serde_json::{Value, json};

/// Opens streams with these topics, as the attacker.
async fn attack(topics: Vec<Value>) {
    let rig = Rig::start("/api/me").await;
    for topic in topics {
        let body = json!({"client": "a", "topics": [topic]}).to_string();
        let fields = format!("{ATTACKER}Content-Type: application/json\r\n");
        let answer = crate::app::post("/__pollcast/stream", &fields, &body);
        let mut peer = crate::origin::Peer::connect(rig.app.addr).await;
        peer.send(answer).await;
        let head = peer.read_head().await;
        if head.starts_with("HTTP/1.1 200 ") {
            rig.stream(ATTACKER, &[topic]).await;
        } else {
            assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        }
    }
    rig.still_serves().await;
}

/// `headers` of a topic that name the cookie would have made the poller ask as the victim.
#[tokio::test]
async fn a_cookie_among_the_headers() {
    let topic = |name| json!({"url": "/api/me", "headers": [[name, "sid=victim"]]});
    attack(["Cookie", "cookie", "cOOkie", "Cookie2"].map(topic).to_vec()).await;
}

/// A line break in a value would have made a field of its own.
#[tokio::test]
async fn a_line_break_in_a_header() {
    let topic = |value| json!({"url": "/api/me", "headers": [["x-a", value]]});
    let values = ["b\r\nCookie: sid=victim", "b\nCookie: sid=victim", "b\rCookie: sid=victim"];
    attack(values.map(topic).to_vec()).await;
}

/// Names that are no names, or that some library reads in its own way.
#[tokio::test]
async fn strange_header_names() {
    let topic = |name| json!({"url": "/api/me", "headers": [[name, "sid=victim"]]});
    let names = ["cookie:", "cookie ", " cookie", "__proto__", "cook\u{0}ie", "", "c\u{f6}okie"];
    attack(names.map(topic).to_vec()).await;
}

/// Another host, or what a parser may take for one: the poller would have asked it.
#[tokio::test]
async fn another_host_as_target() {
    let topic = |url| json!({ "url": url });
    let urls = [
        "http://evil/api/me",
        "//evil/api/me",
        "/\\evil/api/me",
        "@evil/api/me",
        "/api/me\r\nHost: evil",
        "/api/me#@evil",
        "api/me",
        "",
    ];
    attack(urls.map(topic).to_vec()).await;
}

/// Dot segments lead out of the watch, to what may not be polled.
#[tokio::test]
async fn dot_segments_out_of_the_watch() {
    let topic = |url| json!({ "url": url });
    attack(["/api/../private", "/api/%2e%2e/private", "/api/./me"].map(topic).to_vec()).await;
}

/// What the service may ask, in the attacker's words: another method or another path to the origin,
/// with the credentials of `poll_as`.
#[tokio::test]
async fn another_request_in_the_services_name() {
    let site = crate::site::Site::start().await;
    for path in ["/shared/a", "/shared/..%2f..%2fadmin", "/shared/..;/admin", "/shared//a"] {
        site.say(path, crate::site::Say::json("[1]"));
    }
    let tables = "[[watch]]\npath = \"/shared/**\"\naudience = \"shared\"\n\
                  poll_as = \"env:SERVICE\"\n";
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_pollcast"));
    command.args(["run", "--config", "proxy.toml"]).stdout(std::process::Stdio::null());
    command.env("SERVICE", "Authorization: Bearer of-the-service");
    let tables = format!("{tables}{}", crate::app::FAST);
    let app = crate::app::App::run(command, site.addr, "push", &tables).await;
    let mut topics: Vec<_> = ["/shared/..%2f..%2fadmin", "/shared/..;/admin", "/shared//a"]
        .map(|url| json!({"url": url, "every_ms": 50}))
        .into();
    for name in ["X-HTTP-Method-Override", "x_http_method_override", "X-Original-URL"] {
        topics.push(json!({"url": "/shared/a", "every_ms": 50, "headers": [[name, "/admin"]]}));
    }
    let mut stream = Events::open(&app, ATTACKER, &topics).await;
    for _ in &topics {
        assert_eq!(stream.until("gone").await.reason(), "unwatched");
    }
    let own = format!("{ATTACKER}X-Rewrite-URL: /admin\r\n");
    let mut stream = Events::of(&app, &own, &["/shared/a"]).await;
    assert_eq!(stream.until("gone").await.reason(), "unwatched");
    assert!(site.asked("").is_empty(), "{:?}", site.asked(""));
    // The service does ask what a watch is for, and passing requests pass as they are.
    let mut stream = Events::of(&app, ATTACKER, &["/shared/a"]).await;
    stream.until("snapshot").await;
    assert!(site.until_asked("of-the-service", 1).await[0].starts_with("GET /shared/a "));
    let passed = app.poll("/shared/..%2f..%2fadmin", &own).await;
    assert!(passed.status() == 200 && passed.hash().is_none());
    assert!(site.asked("/shared/..%2f..%2fadmin")[0].contains("/admin\r\n"));
}

/// `have` names the victim's state: a delta from it would have told what changed.
#[tokio::test]
async fn a_stolen_state_hash() {
    let rig = Rig::start("/api/me").await;
    let hash = rig.app.poll("/api/me", VICTIM).await.hash().unwrap();
    let topic = json!({"url": "/api/me", "have": hash, "every_ms": 50});
    let mut stream = Events::open(&rig.app, ATTACKER, &[topic]).await;
    let text = told(&mut stream).await;
    assert!(!text.contains("current ") && !text.contains("delta "), "{text}");
    assert_clean(&text);
    rig.still_serves().await;
}

/// The victim's whole stream request, sent again without the victim's cookie.
#[tokio::test]
async fn a_replayed_stream_body() {
    let rig = Rig::start("/api/me").await;
    for fields in ["", ATTACKER] {
        rig.stream(fields, &[json!({"url": "/api/me", "every_ms": 50})]).await;
    }
    rig.still_serves().await;
}

/// The victim's browser id isn't a credential.
#[tokio::test]
async fn the_browser_id_of_the_victim() {
    let rig = Rig::start("/api/me").await;
    let victim = format!("Pollcast-Client: me\r\n{VICTIM}");
    assert!(rig.app.get("/api/me", &victim).await.text().contains(MARK));
    rig.get("/api/me", "Pollcast-Client: me\r\n").await;
    rig.still_serves().await;
}

/// The plain view with the victim's event id.
#[tokio::test]
async fn the_plain_view_with_a_stolen_id() {
    let rig = Rig::start("/api/me").await;
    let hash = rig.app.poll("/api/me", VICTIM).await.hash().unwrap();
    let mut peer = crate::origin::Peer::connect(rig.app.addr).await;
    let fields = format!("Host: app\r\nLast-Event-ID: {hash}\r\n{ATTACKER}");
    peer.send(format!("GET /__pollcast/sse/api/me HTTP/1.1\r\n{fields}\r\n")).await;
    let text = [peer.read_head().await, peer.read_until("event: beat").await].concat();
    assert!(text.contains("event: snapshot"), "its own state: {text}");
    assert_clean(&text);
    rig.still_serves().await;
}

/// Another site's page in the victim's browser: cookies come along, the answer must not be given.
#[tokio::test]
async fn another_sites_page() {
    let rig = Rig::start("/api/me").await;
    let body = json!({"client": "a", "topics": [{"url": "/api/me"}]}).to_string();
    for site in [
        "Origin: https://evil.example\r\n",
        "Origin: null\r\n",
        "Origin: http://app.evil.example\r\nSec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
        "Sec-Fetch-Site: cross-site\r\nContent-Type: text/plain\r\n",
    ] {
        let answer = rig.app.post("/__pollcast/stream", &format!("{site}{VICTIM}"), &body).await;
        assert!(answer.head.starts_with("HTTP/1.1 403 "), "{site}: {}", answer.head);
        assert_clean(answer.text());
    }
    rig.still_serves().await;
}

/// A body that is deep, long, or says a thing twice.
#[tokio::test]
async fn hostile_bodies() {
    let rig = Rig::start("/api/me").await;
    let deep = "[".repeat(20_000);
    let twice = r#"{"client":"a","client":"b","topics":[{"url":"/api/me"}]}"#.to_owned();
    let huge = r#"{"client":"a","topics":[{"url":"/api/me","every_ms":1e400}]}"#.to_owned();
    let negative = r#"{"client":"a","topics":[{"url":"/api/me","every_ms":-1}]}"#.to_owned();
    for body in [deep, twice, huge, negative, "\u{0}".to_owned(), "null".to_owned()] {
        let answer = rig.app.post("/__pollcast/stream", ATTACKER, &body).await;
        assert!(answer.head.starts_with("HTTP/1.1 400 "), "{}", answer.head);
    }
    let long = format!("{{\"client\":\"{}\"}}", "a".repeat(70_000));
    let answer = rig.app.post("/__pollcast/stream", ATTACKER, &long).await;
    assert!(answer.head.starts_with("HTTP/1.1 413 "), "{}", answer.head);
    rig.still_serves().await;
}
