//! The origin as its users meet it. Answers are asserted under a paused clock and without sockets,
//! the server itself over one.

use super::board::{Board, EVENTS_MAX};
use super::origin::{LATENCY_MS, LOOKING, Shared};
use super::router::{BODY_MAX_BYTES, MARK, answer};
use super::{colleague, instructions, origin};
use crate::drain::Drain;
use crate::http::Body;
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Status, body as JSON (null if it is none), and the response.
async fn ask(shared: &Shared, method: Method, path: &str, body: &str) -> (StatusCode, Value) {
    let request = Request::builder().method(method).uri(path).header(MARK, "m1");
    let request = request.body(Body::from(body.to_owned())).unwrap();
    let (status, bytes) = whole(answer(shared, request).await).await;
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

async fn whole(response: Response<Body>) -> (StatusCode, Bytes) {
    let status = response.status();
    (status, response.into_body().collect().await.unwrap().to_bytes())
}

#[tokio::test(start_paused = true)]
async fn a_change_shows_on_the_board_and_in_the_feed() {
    let shared = Shared::new(1);
    let new = json!({"list": "week", "title": "Tea"}).to_string();
    let (status, item) = ask(&shared, Method::POST, "/api/items", &new).await;
    assert_eq!((status, item["by"].as_str()), (StatusCode::CREATED, Some("Guest")));
    let path = format!("/api/items/{}", item["id"]);
    let edit = json!({"done": true}).to_string();
    assert_eq!(ask(&shared, Method::PATCH, &path, &edit).await.0, StatusCode::OK);
    let (_, board) = ask(&shared, Method::GET, "/api/board", "").await;
    assert_eq!(board["lists"][1]["items"][0]["done"], json!(true));
    assert_eq!(ask(&shared, Method::DELETE, &path, "").await.0, StatusCode::NO_CONTENT);
    let note = json!({"text": "hello"}).to_string();
    assert_eq!(ask(&shared, Method::POST, "/api/actions", &note).await.0, StatusCode::CREATED);
    let (status, feed) = ask(&shared, Method::GET, "/api/events?x=1", "").await;
    assert_eq!(status, StatusCode::OK);
    let kinds: Vec<_> =
        feed["events"].as_array().unwrap().iter().map(|event| event["kind"].as_str()).collect();
    assert_eq!(kinds[..4], [Some("note"), Some("deleted"), Some("done"), Some("added")]);
    assert_eq!(feed["events"][0]["mark"], json!("m1"));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_done_is_refused() {
    let shared = Shared::new(1);
    let long = "x".repeat(BODY_MAX_BYTES + 1);
    let no_list = json!({"list": "nowhere", "title": "x"}).to_string();
    let no_text = json!({"text": "  "}).to_string();
    let cases = [
        (Method::POST, "/api/items", "{", StatusCode::BAD_REQUEST),
        (Method::POST, "/api/items", no_list.as_str(), StatusCode::BAD_REQUEST),
        (Method::POST, "/api/items", long.as_str(), StatusCode::PAYLOAD_TOO_LARGE),
        (Method::POST, "/api/actions", no_text.as_str(), StatusCode::BAD_REQUEST),
        (Method::PATCH, "/api/items/999", "{}", StatusCode::NOT_FOUND),
        (Method::PATCH, "/api/items/x", "{}", StatusCode::NOT_FOUND),
        (Method::PUT, "/api/items/1", "{}", StatusCode::METHOD_NOT_ALLOWED),
        (Method::DELETE, "/api/board", "", StatusCode::METHOD_NOT_ALLOWED),
        (Method::GET, "/api/", "", StatusCode::NOT_FOUND),
        (Method::GET, "/nowhere", "", StatusCode::NOT_FOUND),
        (Method::POST, "/", "", StatusCode::METHOD_NOT_ALLOWED),
    ];
    for (method, path, body, expected) in cases {
        let (status, error) = ask(&shared, method.clone(), path, body).await;
        assert_eq!(status, expected, "{method} {path}");
        assert!(error["error"].is_string(), "{method} {path}");
    }
}

#[tokio::test(start_paused = true)]
async fn answers_take_their_time_and_carry_no_validators() {
    let shared = Shared::new(7);
    for _ in 0..20 {
        let begun = tokio::time::Instant::now();
        let request = Request::get("/api/board").body(Body::Empty).unwrap();
        let response = answer(&shared, request).await;
        let took = u64::try_from(begun.elapsed().as_millis()).unwrap();
        // A timer may fire one of its ticks late, once for each half.
        assert!((*LATENCY_MS.start()..=LATENCY_MS.end() + 2).contains(&took), "{took} ms");
        let names: Vec<_> = response.headers().keys().map(http::HeaderName::as_str).collect();
        assert_eq!(names, ["content-type"]);
    }
}

#[tokio::test]
async fn the_first_visit_opens_a_session_and_the_next_keeps_it() {
    let shared = Shared::new(1);
    let visit =
        |cookie: &str| Request::get("/").header("cookie", cookie).body(Body::Empty).unwrap();
    let first = answer(&shared, visit("sid=unknown")).await;
    let cookie = first.headers()["set-cookie"].to_str().unwrap().to_owned();
    let pair = cookie.split(';').next().unwrap();
    assert!(cookie.contains("HttpOnly"));
    let again = answer(&shared, visit(pair)).await;
    assert!(!again.headers().contains_key("set-cookie"));
    assert_eq!(shared.author(pair.strip_prefix("sid="), None).who, "Guest 1");
}

#[tokio::test]
async fn the_page_names_only_files_that_are_served() {
    let shared = Shared::new(1);
    let get = |path: &str| Request::get(path).body(Body::Empty).unwrap();
    let (_, html) = whole(answer(&shared, get("/")).await).await;
    let html = String::from_utf8(html.to_vec()).unwrap();
    for path in ["/app.js", "/app.css"] {
        assert!(html.contains(path), "{path}");
        let (status, bytes) = whole(answer(&shared, get(path)).await).await;
        assert_eq!(status, StatusCode::OK);
        assert!(!String::from_utf8_lossy(&bytes).to_lowercase().contains("pollcast"), "{path}");
    }
    assert!(!html.to_lowercase().contains("pollcast"));
}

#[test]
fn colleagues_keep_the_board_neither_empty_nor_full() {
    let mut random = fastrand::Rng::with_seed(3);
    let mut board = Board::new(0);
    let author = super::board::Author { who: "Mira".into(), mark: None, at_ms: 0 };
    for _ in 0..2_000 {
        let act = colleague::plan(&board, &mut random);
        let id = || act.path.rsplit('/').next().unwrap().parse().unwrap();
        if act.method == Method::DELETE {
            board.remove(id(), &author).unwrap();
        } else if act.method == Method::PATCH {
            let edit = serde_json::from_str(&act.body).unwrap();
            board.edit(id(), &edit, &author).unwrap();
        } else if act.path == "/api/items" {
            board.add(&serde_json::from_str(&act.body).unwrap(), &author).unwrap();
        } else {
            board.note(&serde_json::from_str(&act.body).unwrap(), &author).unwrap();
        }
        assert!((5..=14).contains(&board.len()), "{} items", board.len());
    }
    assert_eq!(board.events().count(), EVENTS_MAX);
}

/// One request over a connection of its own, as text.
async fn over_tcp(addr: std::net::SocketAddr, path: &str) -> String {
    let mut socket = TcpStream::connect(addr).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: demo\r\nConnection: close\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).await.unwrap();
    text
}

#[tokio::test]
async fn it_serves_a_socket_until_it_is_told_to_leave() {
    let drain = Drain::new();
    let origin = origin::spawn(&drain, 1).await.unwrap();
    let mut random = fastrand::Rng::with_seed(1);
    assert_eq!(origin.plan(&mut random), None, "nobody has looked yet");
    colleague::spawn(&drain, origin.addr, &origin, 1);
    let page = over_tcp(origin.addr, "/").await;
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    let board = over_tcp(origin.addr, "/api/board").await;
    assert!(board.contains("\"lists\":["), "{board}");
    assert!(origin.plan(&mut random).is_some());
    // An idle connection doesn't hold up leaving.
    let mut idle = TcpStream::connect(origin.addr).await.unwrap();
    idle.write_all(b"GET /app.css HTTP/1.1\r\nHost: demo\r\n\r\n").await.unwrap();
    idle.read_u8().await.unwrap();
    drain.leave();
    drain.left().await;
}

#[tokio::test]
async fn a_colleague_writes_through_the_front_door() {
    let drain = Drain::new();
    let origin = origin::spawn(&drain, 1).await.unwrap();
    over_tcp(origin.addr, "/api/board").await;
    let act = origin.plan(&mut fastrand::Rng::with_seed(5)).unwrap();
    let sid = origin.login("Aiko");
    colleague::send(origin.addr, act, &sid).await.unwrap();
    let feed = over_tcp(origin.addr, "/api/events").await;
    assert!(feed.contains("\"who\":\"Aiko\""), "{feed}");
    drain.leave();
    drain.left().await;
}

#[tokio::test(start_paused = true)]
async fn an_abandoned_board_rests() {
    let shared = Shared::new(1);
    assert!(!shared.is_looked_at());
    ask(&shared, Method::GET, "/api/board", "").await;
    assert!(shared.is_looked_at());
    tokio::time::sleep(LOOKING).await;
    assert!(!shared.is_looked_at());
}

#[test]
fn the_instructions_name_addresses_that_can_be_opened() {
    let text =
        instructions("0.0.0.0:8080".parse().unwrap(), Some("127.0.0.1:9090".parse().unwrap()));
    assert!(text.contains("http://127.0.0.1:8080/\n"), "{text}");
    assert!(text.contains("curl -N http://127.0.0.1:8080/__pollcast/sse/api/events"));
    assert!(text.contains("http://127.0.0.1:9090/metrics"));
    assert!(!instructions("[::1]:8080".parse().unwrap(), None).contains("metrics"));
}
