//! What a client says of itself and its way, against what the origin is told: keys, identities and
//! central polls are made of the latter.

use crate::app::{Answer, App, FAST, WATCH};
use crate::origin::{Peer, soon};
use crate::redteam::field;
use crate::site::{Say, Site};
use bytes::Bytes;
use http::Request;
use pollcast::drain::Drain;
use serde_json::json;
use std::net::Ipv4Addr;

/// A marked poll by a client at another address of this machine.
async fn poll_from(host: u8, app: &App, target: &str, fields: &str) -> Answer {
    let mut peer = Peer::connect_from(Ipv4Addr::new(127, 0, 0, host), app.addr).await;
    let mark = "Pollcast-Client: me\r\n";
    peer.send(format!("GET {target} HTTP/1.1\r\nHost: app\r\n{mark}{fields}\r\n")).await;
    Answer::read(&mut peer).await
}

#[tokio::test]
async fn users_told_apart_by_address_are_whom_the_origin_is_told_of() {
    let site = Site::start().await;
    site.on("/api/ip", |head| Say::json(json!(field(head, "x-forwarded-for")).to_string()));
    let identity = "[identity]\nheaders = [\"authorization\", \"x-forwarded-for\"]\n";
    let app = App::with(site.addr, "push", &format!("{WATCH}{FAST}{identity}")).await;
    let inside = poll_from(1, &app, "/api/ip", "").await;
    assert_eq!(inside.body, br#""127.0.0.1""#);
    assert!(inside.head.contains("pollcast-state"), "{}", inside.head);
    for lie in ["", "X-Forwarded-For: 127.0.0.1\r\n", "X-Forwarded-For: 127.0.0.2\r\n"] {
        let outside = poll_from(2, &app, "/api/ip", lie).await;
        assert_eq!(outside.body, br#""127.0.0.2""#, "{lie}");
    }
    let mut stream =
        crate::events::Events::of(&app, "X-Forwarded-For: 127.0.0.2\r\n", &["/api/ip"]).await;
    let told = stream.until("snapshot").await;
    assert_eq!(told.text("body"), r#""127.0.0.1""#);
}

#[tokio::test]
async fn a_cookie_that_comes_in_pieces_goes_out_as_one_in_central_polls_too() {
    let site = Site::start().await;
    site.on("/api/me", |head| Say::json(json!(field(head, "cookie")).to_string()));
    let app = App::with(site.addr, "push", &format!("{WATCH}{FAST}")).await;
    let tasks = Drain::new();
    let socket = Peer::connect(app.addr).await.into_socket();
    let (send, connection) = h2::client::handshake(socket).await.unwrap();
    tasks.spawn(connection);
    let mut send = soon("streams", send.ready()).await.unwrap();
    let ask = json!({"client": "me", "topics": [{"url": "/api/me", "every_ms": 50}]}).to_string();
    let request = Request::post("http://app/__pollcast/stream")
        .header("origin", "http://app")
        .header("content-type", "application/json")
        .header("cookie", "lang=de")
        .header("cookie", "sid=alice")
        .body(())
        .unwrap();
    let (response, mut body) = send.send_request(request, false).unwrap();
    body.send_data(Bytes::from(ask), true).unwrap();
    let response = soon("a stream", response).await.unwrap();
    assert_eq!(response.status(), 200);
    for head in site.until_asked("/api/me", 3).await {
        let lines: Vec<_> = head.lines().filter(|line| line.starts_with("cookie")).collect();
        assert_eq!(lines, ["cookie: lang=de; sid=alice"]);
    }
}

#[tokio::test]
async fn only_a_peer_that_speaks_like_a_proxy_is_told_of() {
    let site = Site::start().await;
    site.say("/api/a", Say::json("[1]"));
    let app = App::with(site.addr, "push", &format!("{WATCH}{FAST}")).await;
    for _ in 0..2 {
        app.poll("/api/a", "").await;
        app.post("/api/a", "", "x").await;
        crate::events::Events::of(&app, "", &["/api/a"]).await.until("snapshot").await;
    }
    assert!(!app.log().contains("trusted_proxies"), "{}", app.log());
    app.get("/api/a", "X-Forwarded-For: 192.0.2.1\r\n").await;
    app.logged("trusted_proxies").await;
}
