//! Leaving: who is still served, who is told what, and how it ends.

use crate::app::{Answer, App, FAST, WATCH, post};
use crate::events::Events;
use crate::origin::{Origin, Peer, soon};
use crate::site::{Say, Site};

/// A proxy of a hand-played origin that leaves fast.
async fn start() -> (Origin, App) {
    let origin = Origin::bind().await;
    let app = App::with(origin.addr, "observe", "").await;
    (origin, app)
}

/// Sends a request and plays the origin up to its head.
async fn ask(origin: &Origin, app: &App, request: &str) -> (Peer, Peer) {
    let mut client = Peer::connect(app.addr).await;
    client.send(request).await;
    let mut conn = origin.accept().await;
    conn.read_head().await;
    (client, conn)
}

async fn readiness(app: &App) -> String {
    let mut peer = Peer::connect(app.admin).await;
    peer.send("GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await;
    peer.read_to_end().await.0
}

async fn refused(app: &App) {
    let refused = async { while tokio::net::TcpStream::connect(app.addr).await.is_ok() {} };
    soon("a refusal", refused).await;
}

const GET: &str = "GET /x HTTP/1.1\r\nHost: app\r\n\r\n";
const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

#[tokio::test]
async fn what_was_asked_is_answered_while_probes_say_no_and_newcomers_are_refused() {
    let (origin, app) = start().await;
    assert!(readiness(&app).await.starts_with("HTTP/1.1 200 "));
    let (mut client, mut conn) = ask(&origin, &app, GET).await;
    app.signal("-TERM");
    refused(&app).await;
    let probe = readiness(&app).await;
    assert!(probe.starts_with("HTTP/1.1 503 ") && probe.ends_with("leaving\n"), "{probe}");
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").await;
    let (text, clean) = client.read_to_end().await;
    assert!(clean && text.ends_with("\r\n\r\ndone"), "{text}");
    assert!(text.to_ascii_lowercase().contains("connection: close\r\n"), "{text}");
    assert_eq!(app.ended().await, Some(0));
}

#[tokio::test]
async fn readiness_goes_first_where_a_balancer_has_to_notice() {
    let origin = Origin::bind().await;
    let app = App::with(origin.addr, "observe", "[timeouts]\nunready = \"1h\"\n").await;
    app.signal("-TERM");
    app.logged("leaving").await;
    assert!(readiness(&app).await.starts_with("HTTP/1.1 503 "));
    let (mut client, mut conn) = ask(&origin, &app, GET).await;
    conn.send(EMPTY).await;
    let head = client.read_head().await.to_ascii_lowercase();
    assert!(!head.contains("connection: close"), "{head}");
    app.signal("-INT");
    assert_eq!(app.ended().await, Some(130));
}

#[tokio::test]
async fn an_upload_ends_where_it_began() {
    let (origin, app) = start().await;
    let half = "POST /x HTTP/1.1\r\nHost: app\r\nContent-Length: 8\r\n\r\nhalf";
    let (mut client, mut conn) = ask(&origin, &app, half).await;
    assert_eq!(conn.read(4).await, b"half");
    app.signal("-TERM");
    refused(&app).await;
    client.send("done").await;
    assert_eq!(conn.read(4).await, b"done");
    conn.send(EMPTY).await;
    let (text, clean) = client.read_to_end().await;
    assert!(clean && text.starts_with("HTTP/1.1 200 "), "{text}");
    assert_eq!(app.ended().await, Some(0));
}

#[tokio::test]
async fn a_second_signal_cuts_what_is_left() {
    let (origin, app) = start().await;
    let half = "POST /x HTTP/1.1\r\nHost: app\r\nContent-Length: 8\r\n\r\nhalf";
    let (mut client, _conn) = ask(&origin, &app, half).await;
    app.signal("-TERM");
    refused(&app).await;
    app.signal("-TERM");
    assert_eq!(client.read_to_end().await.0, "");
    app.logged("told a second time").await;
    assert_eq!(app.ended().await, Some(130));
}

#[tokio::test]
async fn what_is_not_done_in_time_is_cut_and_that_is_no_failure() {
    let origin = Origin::bind().await;
    let app = App::with(origin.addr, "observe", "[timeouts]\ndrain = \"200ms\"\n").await;
    let (mut client, _conn) = ask(&origin, &app, GET).await;
    app.signal("-TERM");
    app.logged("not everything was finished").await;
    assert_eq!(client.read_to_end().await.0, "");
    assert_eq!(app.ended().await, Some(0));
}

/// A connection that looks idle from here may have a request on its way.
#[tokio::test]
async fn a_request_that_crosses_the_signal_is_answered() {
    let (origin, app) = start().await;
    let (mut used, mut conn) = ask(&origin, &app, GET).await;
    conn.send(EMPTY).await;
    used.read_head().await;
    let mut fresh = Peer::connect(app.addr).await;
    let mut begun = Peer::connect(app.addr).await;
    begun.send("GET /x HT").await;
    app.until_metric("pollcast_connections", 3.0).await;
    app.signal("-TERM");
    // Nobody is let in any more, so that step of the way out is done.
    refused(&app).await;
    for (client, text) in [(&mut used, GET), (&mut fresh, GET), (&mut begun, &GET[9..])] {
        client.send(text).await;
        conn.read_head().await;
        conn.send(EMPTY).await;
        let (text, clean) = client.read_to_end().await;
        assert!(clean && text.starts_with("HTTP/1.1 200 "), "{text}");
        assert!(text.to_ascii_lowercase().contains("connection: close\r\n"), "{text}");
    }
    assert_eq!(app.ended().await, Some(0));
}

#[tokio::test]
async fn an_answer_that_is_long_under_way_ends_in_order() {
    let (origin, app) = start().await;
    let (mut client, mut conn) = ask(&origin, &app, GET).await;
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nhalf").await;
    client.read_until("half").await;
    app.signal("-TERM");
    refused(&app).await;
    conn.send("done").await;
    assert_eq!(client.read_to_end().await, ("done".to_owned(), true));
    assert_eq!(app.ended().await, Some(0));
}

#[tokio::test]
async fn a_websocket_is_cut_and_holds_nobody_up() {
    let (origin, app) = start().await;
    let upgrade = "GET /ws HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let (mut client, mut conn) = ask(&origin, &app, upgrade).await;
    conn.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
    )
    .await;
    assert!(client.read_head().await.starts_with("HTTP/1.1 101 "));
    app.signal("-TERM");
    client.closed().await;
    assert_eq!(app.ended().await, Some(0));
}

#[tokio::test]
async fn over_http2_what_was_asked_is_answered() {
    let (origin, app) = start().await;
    let socket = Peer::connect(app.addr).await.into_socket();
    let (mut client, conn) = h2::client::handshake(socket).await.unwrap();
    let tasks = pollcast::drain::Drain::new();
    tasks.spawn(conn);
    let req = http::Request::get("http://app/x").body(()).unwrap();
    let answer = client.send_request(req, true).unwrap().0;
    let mut conn = origin.accept().await;
    conn.read_head().await;
    app.signal("-TERM");
    refused(&app).await;
    conn.send(EMPTY).await;
    assert_eq!(soon("an answer", answer).await.unwrap().status(), 200);
    assert_eq!(app.ended().await, Some(0));
}

#[tokio::test]
async fn streams_hear_of_it_and_until_then_of_changes() {
    let site = Site::start().await;
    site.say("/api/a", Say::json("[0]"));
    let app = App::start(site.addr).await;
    let mut streams = Vec::new();
    for _ in 0..20 {
        let mut stream = Events::of(&app, "", &["/api/a"]).await;
        stream.until("snapshot").await;
        streams.push(stream);
    }
    app.signal("-TERM");
    site.say("/api/a", Say::json("[1]"));
    for stream in &mut streams {
        let bye = stream.until("bye").await;
        assert_eq!(bye.reason(), "drain");
        let retry = bye.data["retry_ms"].as_u64().unwrap();
        assert!((250..=750).contains(&retry), "{retry}");
        stream.closed().await;
    }
    assert_eq!(app.ended().await, Some(0));
}

#[tokio::test]
async fn a_stream_asked_for_on_an_old_connection_is_sent_elsewhere() {
    let site = Site::start().await;
    site.say("/api/a", Say::json("[0]"));
    let tables = format!("{WATCH}{FAST}[timeouts]\ndrain = \"1h\"\n");
    let app = App::with(site.addr, "push", &tables).await;
    // The last chance of idle connections is a second; this one has its say before.
    let mut peer = Peer::connect(app.addr).await;
    app.until_metric("pollcast_connections", 1.0).await;
    app.signal("-TERM");
    refused(&app).await;
    let body = crate::events::request(&[serde_json::json!({"url": "/api/a"})]);
    peer.send(post("/__pollcast/stream", "", &body)).await;
    let answer = Answer::read(&mut peer).await;
    assert!(answer.text().starts_with("event: bye\ndata: {\"reason\":\"drain\""), "{answer:?}");
    assert_eq!(app.ended().await, Some(0));
}
