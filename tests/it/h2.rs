//! HTTP/2 from clients: what it may cost, and the tunnels through it.

use crate::origin::{Origin, Peer, soon};
use crate::proxy::Proxy;
use base64::Engine as _;
use bytes::Bytes;
use futures_util::future::join_all;
use h2::client::SendRequest;
use h2::ext::Protocol;
use h2::{Reason, RecvStream, SendStream};
use http::{Method, Request, StatusCode};
use pollcast::config::Config;
use std::future::poll_fn;
use std::time::Duration;

const SHORT: Duration = Duration::from_millis(300);

type Ended = tokio::task::JoinHandle<Result<(), h2::Error>>;

async fn start(change: impl FnOnce(&mut Config)) -> (Origin, Proxy) {
    let origin = Origin::bind().await;
    let proxy = Proxy::with(origin.addr, change).await;
    (origin, proxy)
}

/// A client whose windows are this wide, and the end of its connection.
async fn connect(proxy: &Proxy, window: u32) -> (SendRequest<Bytes>, Ended) {
    let socket = Peer::connect(proxy.addr).await.into_socket();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(window);
    let (send, connection) = builder.handshake(socket).await.unwrap();
    let ended = proxy.drain.spawn(connection);
    (soon("streams", send.ready()).await.unwrap(), ended)
}

fn get(path: &str) -> Request<()> {
    Request::get(format!("http://app{path}")).body(()).unwrap()
}

async fn text(mut body: RecvStream) -> String {
    let mut all = Vec::new();
    while let Some(piece) = soon("a piece", body.data()).await {
        let piece = piece.unwrap();
        body.flow_control().release_capacity(piece.len()).unwrap();
        all.extend_from_slice(&piece);
    }
    String::from_utf8(all).unwrap()
}

fn websocket(path: &str) -> Request<()> {
    Request::builder()
        .method(Method::CONNECT)
        .uri(format!("http://app{path}"))
        .extension(Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .header("sec-websocket-protocol", "chat")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .body(())
        .unwrap()
}

/// What a server answers to the key in this head (RFC 6455 §4.2.2).
fn accept(head: &str) -> String {
    let key = head.lines().find_map(|line| line.strip_prefix("sec-websocket-key: ")).unwrap();
    let proof = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let sha1 = &aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY;
    let hash = aws_lc_rs::digest::digest(sha1, proof.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(hash)
}

#[tokio::test]
async fn a_websocket_crosses_as_a_handshake_of_http_1() {
    let (origin, proxy) = start(|_| {}).await;
    let (mut send, _ended) = connect(&proxy, 1 << 20).await;
    soon("RFC 8441 §3's setting", async {
        while !send.is_extended_connect_protocol_enabled() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let (response, mut up) = send.send_request(websocket("/ws?x"), false).unwrap();
    let mut peer = origin.accept().await;
    let head = peer.read_head().await;
    assert!(head.starts_with("GET /ws?x HTTP/1.1\r\nhost: app\r\n"), "{head}");
    for line in [
        "upgrade: websocket",
        "connection: Upgrade",
        "sec-websocket-version: 13",
        "sec-websocket-protocol: chat",
        "cookie: a=1; b=2",
    ] {
        assert_eq!(head.lines().filter(|at| *at == line).count(), 1, "{line}: {head}");
    }
    peer.send(format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: {}\r\n\r\nhello",
        accept(&head)
    ))
    .await;
    let response = soon("an answer", response).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let names: Vec<_> = response.headers().keys().map(http::HeaderName::as_str).collect();
    assert_eq!(names, ["sec-websocket-protocol"]);
    let mut down = response.into_body();
    assert_eq!(soon("bytes", down.data()).await.unwrap().unwrap(), "hello");
    up.send_data(Bytes::from("back"), false).unwrap();
    assert_eq!(peer.read(4).await, b"back");
    up.send_data(Bytes::new(), true).unwrap();
    peer.closed().await;
    drop(peer);
    assert_eq!(text(down).await, "");
}

#[tokio::test]
async fn a_handshake_that_the_origin_does_not_understand_is_no_websocket() {
    let (origin, proxy) = start(|_| {}).await;
    let (mut send, _ended) = connect(&proxy, 1 << 20).await;
    for (answer, want) in [
        ("101 Hi\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x", 502),
        ("101 Hi\r\nUpgrade: websocket\r\nConnection: Upgrade", 502),
        ("200 OK\r\nContent-Length: 0\r\nConnection: close", 502),
        ("403 No\r\nContent-Length: 0\r\nConnection: close", 403),
    ] {
        let (response, _up) = send.send_request(websocket("/ws"), false).unwrap();
        let mut peer = origin.accept().await;
        peer.read_head().await;
        peer.send(format!("HTTP/1.1 {answer}\r\n\r\n")).await;
        assert_eq!(soon("an answer", response).await.unwrap().status(), want, "{answer}");
        peer.gone().await;
    }
}

#[tokio::test]
async fn a_plain_connect_and_another_protocol_are_refused() {
    let (origin, proxy) = start(|_| {}).await;
    let (mut send, _ended) = connect(&proxy, 1 << 20).await;
    let plain = Request::connect("app:443").body(()).unwrap();
    let mut other = websocket("/udp");
    other.extensions_mut().insert(Protocol::from_static("connect-udp"));
    for ask in [plain, other] {
        let (response, _up) = send.send_request(ask, false).unwrap();
        let status = soon("an answer", response).await.unwrap().status();
        assert!([405, 501].contains(&status.as_u16()), "{status}");
    }
    let (_response, _) = send.send_request(get("/good"), true).unwrap();
    assert!(origin.accept().await.read_head().await.starts_with("GET /good "));
}

#[tokio::test]
async fn heads_that_are_too_long() {
    let (origin, proxy) = start(|config| {
        config.limits.target = 1 << 10;
        config.limits.head = 8 << 10;
    })
    .await;
    let (mut send, _ended) = connect(&proxy, 1 << 20).await;
    let long = |n: usize| "x".repeat(n);
    let mut large = get("/");
    large.headers_mut().insert("x", long(9 << 10).parse().unwrap());
    for (ask, want) in [(get(&format!("/{}", long(1 << 10))), 414), (large, 431)] {
        let (response, _) = send.send_request(ask, true).unwrap();
        assert_eq!(soon("an answer", response).await.unwrap().status(), want);
    }
    let (response, _) = send.send_request(get(&format!("/{}", long(1023))), true).unwrap();
    let mut peer = origin.accept().await;
    peer.read_head().await;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    assert_eq!(text(soon("an answer", response).await.unwrap().into_body()).await, "hi");
}

#[tokio::test]
async fn a_connection_without_requests_is_closed_and_one_with_is_not() {
    let (origin, proxy) = start(|config| config.timeouts.client_head = SHORT).await;
    let (_send, ended) = connect(&proxy, 1 << 20).await;
    let (mut busy, busy_ended) = connect(&proxy, 1 << 20).await;
    let (response, _) = busy.send_request(get("/slow"), true).unwrap();
    let mut peer = origin.accept().await;
    peer.read_head().await;
    soon("the end", ended).await.unwrap().unwrap();
    // Twice as long as it takes to be found idle.
    let _ = tokio::time::timeout(SHORT * 4, std::future::pending::<()>()).await;
    assert!(!busy_ended.is_finished());
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    assert_eq!(text(soon("an answer", response).await.unwrap().into_body()).await, "hi");
    soon("the end", busy_ended).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_window_that_never_opens_is_not_waited_for() {
    let (origin, proxy) = start(|config| {
        config.timeouts.client_write = SHORT;
        config.timeouts.client_head = SHORT;
    })
    .await;
    // A long answer: its stream is reset, and the origin let go.
    let (mut send, _ended) = connect(&proxy, 0).await;
    let (response, _) = send.send_request(get("/long"), true).unwrap();
    let mut peer = origin.accept().await;
    peer.read_head().await;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n").await;
    let block = vec![b'x'; 1 << 16];
    soon("the cut", async { while peer.give(&block).await {} }).await;
    let mut body = soon("an answer", response).await.unwrap().into_body();
    let error = soon("a reset", body.data()).await.unwrap().unwrap_err();
    assert!(error.is_reset() || error.is_go_away() || error.is_io(), "{error}");
    // A short one is in the connection's own hands: it ends with it.
    let (mut send, ended) = connect(&proxy, 0).await;
    let (response, _) = send.send_request(get("/short"), true).unwrap();
    let mut peer = origin.accept().await;
    peer.read_head().await;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    let _body = soon("an answer", response).await.unwrap().into_body();
    let _ = soon("the end", ended).await.unwrap();
}

#[tokio::test]
async fn a_slow_reader_that_reads_gets_everything() {
    let (origin, proxy) = start(|config| config.timeouts.client_write = SHORT).await;
    let (mut send, _ended) = connect(&proxy, 1 << 10).await;
    let (response, _) = send.send_request(get("/a"), true).unwrap();
    let mut peer = origin.accept().await;
    peer.read_head().await;
    peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "x".repeat(3))).await;
    let mut body = soon("an answer", response).await.unwrap().into_body();
    assert_eq!(soon("a piece", body.data()).await.unwrap().unwrap(), "xxx");
    // The origin pauses for longer than a client may.
    let _ = tokio::time::timeout(SHORT * 3, std::future::pending::<()>()).await;
    peer.send("yyyyyy").await;
    assert_eq!(text(body).await, "yyyyyy");
}

#[tokio::test]
async fn requests_that_are_called_off_as_fast_as_they_come_end_the_connection() {
    let (origin, proxy) = start(|_| {}).await;
    let (mut send, ended) = connect(&proxy, 1 << 20).await;
    let mut sent = 0;
    loop {
        match soon("room", send.clone().ready()).await {
            Ok(ready) => send = ready,
            Err(_) => break,
        }
        let Ok((_, mut stream)) = send.send_request(get("/reset"), true) else { break };
        // Once the frames are out: taken back within the client itself, it would cost nobody.
        tokio::task::yield_now().await;
        stream.send_reset(Reason::CANCEL);
        sent += 1;
        assert!(sent < 100_000, "nobody stops it");
    }
    let _ = soon("the end", ended).await.unwrap();
    // Others are served.
    drop(origin);
    let (mut send, _ended) = connect(&proxy, 1 << 20).await;
    let (response, _) = send.send_request(get("/good"), true).unwrap();
    assert_eq!(soon("an answer", response).await.unwrap().status(), 502);
}

/// One frame: length, type, flags, stream, content (RFC 9113 §4.1).
fn frame(kind: u8, flags: u8, stream: u8, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    let head = [length[1], length[2], length[3], kind, flags, 0, 0, 0, stream];
    [&head, content].concat()
}

#[tokio::test]
async fn a_head_without_an_end_is_cut() {
    let (_origin, proxy) = start(|_| {}).await;
    // One field, never indexed, that is as long as a frame.
    let mut field = vec![0x10, 1, b'x', 0x7f, 0x81, 0x3f];
    field.extend_from_slice(&[b'y'; 127 + 0x1f81]);
    for content in [&[][..], &field] {
        let mut client = Peer::connect(proxy.addr).await;
        client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        client.send(frame(4, 0, 0, &[])).await;
        // GET, http, /
        client.send(frame(1, 0, 1, &[0x82, 0x86, 0x84])).await;
        let more = frame(9, 0, 1, content);
        let mut sent = 0;
        soon("the cut", async {
            while client.give(&more).await {
                sent += 1;
                assert!(sent < 1_000_000, "nobody stops it");
                tokio::task::yield_now().await;
            }
        })
        .await;
        client.gone().await;
    }
}

#[tokio::test]
async fn frames_that_make_the_server_reset_streams_end_the_connection() {
    let (_origin, proxy) = start(|_| {}).await;
    let mut client = Peer::connect(proxy.addr).await;
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    client.send(frame(4, 0, 0, &[])).await;
    let mut sent = 0;
    soon("the cut", async {
        for stream in (1_u8..=255).step_by(2).cycle() {
            // A request, and a WINDOW_UPDATE of nothing for it, which is an error of the stream.
            let head = frame(1, 5, stream, &[0x82, 0x86, 0x84, 0x41, 1, b'a']);
            let nothing = frame(8, 0, stream, &[0; 4]);
            if !client.give(&[head, nothing].concat()).await {
                break;
            }
            sent += 1;
            assert!(sent < 100_000, "nobody stops it");
            tokio::task::yield_now().await;
        }
    })
    .await;
    client.gone().await;
}

#[tokio::test]
async fn an_upload_that_stops_is_given_up_and_other_requests_go_on() {
    let (origin, proxy) = start(|config| config.timeouts.client_body = SHORT).await;
    let (mut send, _ended) = connect(&proxy, 1 << 20).await;
    let put = |path: &str| Request::put(format!("http://app{path}")).body(()).unwrap();
    let (response, mut up) = send.send_request(put("/stops"), false).unwrap();
    up.send_data(Bytes::from("half"), false).unwrap();
    let mut peer = origin.accept().await;
    peer.read_until("half").await;
    let response = soon("an answer", response).await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
    assert!(!response.headers().contains_key("connection"));
    let text = text(response.into_body()).await;
    assert!(text.contains("timeouts.client_body"), "{text}");
    peer.gone().await;
    // The same connection goes on, with an upload that rests for as long but waits for its origin.
    let (response, mut up) = send.send_request(put("/goes-on"), false).unwrap();
    up.send_data(Bytes::from("whole"), true).unwrap();
    let mut peer = origin.accept().await;
    peer.read_until("whole").await;
    tokio::time::sleep(SHORT * 3).await;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(soon("an answer", response).await.unwrap().status(), StatusCode::OK);
}

#[tokio::test]
async fn an_upload_that_stops_behind_its_answers_head_breaks_the_answer_off() {
    let (origin, proxy) = start(|config| config.timeouts.client_body = SHORT).await;
    let (mut send, _ended) = connect(&proxy, 1 << 20).await;
    let put = Request::put("http://app/early").body(()).unwrap();
    let (response, mut up) = send.send_request(put, false).unwrap();
    up.send_data(Bytes::from("half"), false).unwrap();
    let mut peer = origin.accept().await;
    peer.read_until("half").await;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome").await;
    let response = soon("an answer", response).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.into_body();
    assert_eq!(soon("bytes", body.data()).await.unwrap().unwrap(), "some");
    peer.gone().await;
    assert!(soon("the end", body.data()).await.unwrap().is_err());
}

/// Sends until nothing more is taken.
async fn fill(up: &mut SendStream<Bytes>) {
    loop {
        up.reserve_capacity(1 << 14);
        let room = tokio::time::timeout(SHORT, poll_fn(|cx| up.poll_capacity(cx))).await;
        let Ok(room) = room else { break };
        up.send_data(Bytes::from(vec![b'x'; room.unwrap().unwrap()]), false).unwrap();
    }
}

#[tokio::test]
async fn uploads_that_the_origin_does_not_read_hold_up_no_other() {
    let (origin, proxy) = start(|_| {}).await;
    let (mut send, _ended) = connect(&proxy, 1 << 20).await;
    let put = |path: &str| Request::put(format!("http://app{path}")).body(()).unwrap();
    let mut stuck = Vec::new();
    for _ in 0..5 {
        let (response, up) = send.send_request(put("/stuck"), false).unwrap();
        let mut peer = origin.accept().await;
        peer.read_head().await;
        stuck.push((response, up, peer));
    }
    soon("the end", join_all(stuck.iter_mut().map(|(_, up, _)| fill(up)))).await;
    let (response, mut up) = send.send_request(put("/moves"), false).unwrap();
    up.send_data(Bytes::from("whole"), true).unwrap();
    let mut peer = origin.accept().await;
    peer.read_until("whole").await;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!(soon("an answer", response).await.unwrap().status(), StatusCode::OK);
}
