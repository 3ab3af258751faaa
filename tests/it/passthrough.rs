//! Messages cross unchanged, and whatever goes wrong at one end is seen at the other.

use crate::origin::{Origin, Peer};
use crate::proxy::Proxy;
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::time::Duration;

/// What a hop adds to a request without forwarding fields, for `Host: app`.
const FORWARDED: &str =
    "x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: app\r\n\r\n";

async fn start() -> (Origin, Proxy, Peer) {
    let origin = Origin::bind().await;
    let proxy = Proxy::to(origin.addr).await;
    let client = Peer::connect(proxy.addr).await;
    (origin, proxy, client)
}

#[tokio::test]
async fn fields_keep_order_case_and_duplicates_both_ways() {
    let (origin, _proxy, mut client) = start().await;
    let head = "GET /a%2Fb/?x=1&&y=%zz HTTP/1.1\r\nHost: app\r\nX-LOUD: 1\r\naccept: */*\r\n\
                Cookie: a=1; b=2\r\nX-Two: first\r\nX-tWO: second\r\nX-Empty:\r\n";
    client.send(format!("{head}\r\n")).await;
    let mut conn = origin.accept().await;
    assert_eq!(conn.read_head().await, format!("{head}{FORWARDED}"));
    let answer = "HTTP/1.1 299 Quite Fine\r\nServer: Old/1\r\nSet-Cookie: a=1\r\n\
                  SET-COOKIE: b=2\r\nETag: \"x\"\r\nCONTENT-length: 2\r\nx-last: y\r\n\r\nok";
    conn.send(answer).await;
    assert_eq!(String::from_utf8(client.read(answer.len()).await).unwrap(), answer);
    // And the same connections again, byte by byte.
    client.dribble("GET /2 HTTP/1.1\r\nHost: app\r\n\r\n").await;
    assert!(conn.read_head().await.starts_with("GET /2 HTTP/1.1\r\nHost: app\r\n"));
    conn.dribble(answer).await;
    assert_eq!(String::from_utf8(client.read(answer.len()).await).unwrap(), answer);
}

#[tokio::test]
async fn fields_of_the_hop_and_our_own_stay_on_it() {
    let (origin, _proxy, mut client) = start().await;
    let head = "GET / HTTP/1.1\r\nHost: app\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\n\
                Upgrade: h2c\r\nHTTP2-Settings: x\r\nPollcast-Client: forged\r\n\
                Keep-Alive: 5\r\n\r\n";
    client.send(head).await;
    let mut conn = origin.accept().await;
    let want = format!("GET / HTTP/1.1\r\nHost: app\r\nHTTP2-Settings: x\r\n{FORWARDED}");
    assert_eq!(conn.read_head().await, want);
    conn.send(
        "HTTP/1.1 200 OK\r\nConnection: close, x-hop\r\nX-Hop: 1\r\nPollcast-State: forged\r\n\
         Keep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n",
    )
    .await;
    assert_eq!(client.read_head().await, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
}

#[tokio::test]
async fn bodies_stream_both_ways_with_their_trailers() {
    let (origin, _proxy, mut client) = start().await;
    client
        .send(
            "POST /up HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n\
             Connection: TE\r\nTrailer: x-sum\r\n\r\n5\r\nfirst\r\n",
        )
        .await;
    let mut conn = origin.accept().await;
    let head = conn.read_head().await;
    assert!(head.contains("\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\n"), "{head}");
    assert_eq!(conn.read_until("first\r\n").await, "5\r\nfirst\r\n");
    client.send("4\r\nlast\r\n0\r\nX-Sum: 9\r\n\r\n").await;
    assert_eq!(conn.read_until("\r\n\r\n").await, "4\r\nlast\r\n0\r\nx-sum: 9\r\n\r\n");

    conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n").await;
    conn.send("3\r\none\r\n").await;
    let head = client.read_head().await;
    assert_eq!(head, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n");
    assert_eq!(client.read_until("one\r\n").await, "3\r\none\r\n");
    conn.send("3\r\ntwo\r\n0\r\nx-sum: 6\r\n\r\n").await;
    assert_eq!(client.read_until("\r\n\r\n").await, "3\r\ntwo\r\n0\r\nx-sum: 6\r\n\r\n");
}

#[tokio::test]
async fn a_get_may_have_a_body() {
    let (origin, _proxy, mut client) = start().await;
    client
        .send(
            "GET /search HTTP/1.1\r\nHost: app\r\ntransfer-encoding: chunked\r\n\r\n\
             1\r\nx\r\n0\r\n\r\n",
        )
        .await;
    let mut conn = origin.accept().await;
    conn.read_head().await;
    assert_eq!(conn.read_until("0\r\n\r\n").await, "1\r\nx\r\n0\r\n\r\n");
}

#[tokio::test]
async fn answers_without_a_body_keep_their_fields() {
    let (origin, _proxy, mut client) = start().await;
    client.send("HEAD /h HTTP/1.1\r\nHost: app\r\n\r\n").await;
    let mut conn = origin.accept().await;
    for (answer, want) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", None),
        ("HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n", Some("DELETE /x")),
        ("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n", Some("GET /x")),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", Some("PUT /x")),
    ] {
        if let Some(line) = want {
            client.send(format!("{line} HTTP/1.1\r\nHost: app\r\n\r\n")).await;
        }
        conn.read_head().await;
        conn.send(answer).await;
        assert_eq!(client.read_head().await, answer);
    }
}

#[tokio::test]
async fn a_websocket_carries_what_came_with_the_handshake() {
    let (origin, proxy, mut client) = start().await;
    client
        .send(
            "GET /ws HTTP/1.1\r\nHost: app\r\nUpgrade: websocket\r\n\
             Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: k\r\n\r\nearly-up",
        )
        .await;
    let mut conn = origin.accept().await;
    let head = conn.read_head().await;
    let want = format!(
        "GET /ws HTTP/1.1\r\nHost: app\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: k\r\n{FORWARDED}"
    );
    assert_eq!(head, want);
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                  Connection: Upgrade\r\nSec-WebSocket-Accept: a\r\n\r\n";
    conn.send(format!("{switch}early-down")).await;
    assert_eq!(client.read_head().await, switch);
    assert_eq!(client.read(10).await, b"early-down");
    assert_eq!(conn.read(8).await, b"early-up");
    client.send("up").await;
    assert_eq!(conn.read(2).await, b"up");
    client.half_close().await;
    conn.closed().await;
    conn.send("still down").await;
    assert_eq!(client.read(10).await, b"still down");
    drop(conn);
    client.closed().await;
    proxy.drain.leave();
    proxy.drain.left().await;
}

#[tokio::test]
async fn a_tunnel_ends_when_the_process_leaves() {
    let (origin, proxy, mut client) = start().await;
    let shake = "GET / HTTP/1.1\r\nHost: app\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    client.send(shake).await;
    let mut conn = origin.accept().await;
    conn.read_head().await;
    conn.send(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nx",
    )
    .await;
    client.read_until("\r\n\r\nx").await;
    proxy.drain.leave();
    client.closed().await;
    conn.closed().await;
    proxy.drain.left().await;
}

#[tokio::test]
async fn http2_by_prior_knowledge_reaches_an_http1_origin() {
    let origin = Origin::bind().await;
    let proxy = Proxy::to(origin.addr).await;
    let socket = Peer::connect(proxy.addr).await.into_socket();
    let (mut send, conn) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(socket))
            .await
            .unwrap();
    let driver = proxy.drain.spawn(conn);
    let req = Request::get("http://app.example/x?y")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("te", "trailers")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let answer = send.send_request(req);
    let script = async {
        let mut conn = origin.accept().await;
        let head = conn.read_head().await;
        assert!(
            head.starts_with("GET /x?y HTTP/1.1\r\nhost: app.example\r\ncookie: a=1; b=2\r\n"),
            "{head}"
        );
        conn.send(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-Y: z\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        )
        .await;
        conn
    };
    let (answer, _conn) = tokio::join!(answer, script);
    let answer = answer.unwrap();
    assert_eq!(
        (answer.status(), &answer.headers()["x-y"]),
        (StatusCode::OK, &"z".parse().unwrap())
    );
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "hi");

    let stream = Request::get("http://app.example/stream").body(Empty::<Bytes>::new()).unwrap();
    let mut body = send.send_request(stream).await.unwrap().into_body();
    proxy.feed.send("event: a\n", "data: b\n\n");
    let mut text = String::new();
    while !text.ends_with("\n\n") {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        text.push_str(std::str::from_utf8(&frame).unwrap());
    }
    assert_eq!(text, "event: a\ndata: b\n\n");
    proxy.drain.leave();
    proxy.feed.end();
    assert!(body.collect().await.unwrap().to_bytes().is_empty());
    driver.await.unwrap().unwrap();
    proxy.drain.left().await;
}

#[tokio::test]
async fn an_origin_that_is_not_there_is_a_502_with_a_reason() {
    let proxy = Proxy::to(Origin::nowhere().await).await;
    let mut client = Peer::connect(proxy.addr).await;
    client.send("GET / HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n").await;
    let (text, clean) = client.read_to_end().await;
    assert!(clean && text.starts_with("HTTP/1.1 502 Bad Gateway\r\n"), "{text}");
    assert!(text.ends_with("Pollcast: the origin refused the connection (502)\n"), "{text}");
}

#[tokio::test]
async fn an_origin_that_hangs_is_a_504_and_one_that_talks_nonsense_a_502() {
    let origin = Origin::bind().await;
    let proxy =
        Proxy::with(origin.addr, |c| c.timeouts.origin_head = Duration::from_millis(50)).await;
    let mut client = Peer::connect(proxy.addr).await;
    client.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n").await;
    let mut hung = origin.accept().await;
    assert!(client.read_until("(504)\n").await.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"));
    hung.read_head().await;
    hung.closed().await;

    for (nonsense, why) in
        [("220 smtp ready\r\n", "isn't valid HTTP"), ("", "closed the connection")]
    {
        let (origin, _proxy, mut client) = start().await;
        client.send("POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 0\r\n\r\n").await;
        let mut conn = origin.accept().await;
        conn.read_head().await;
        conn.send(nonsense).await;
        drop(conn);
        let text = client.read_until("(502)\n").await;
        assert!(text.contains(why), "{text}");
    }
}

#[tokio::test]
async fn an_idle_connection_that_dies_is_no_failure_of_a_get() {
    let (origin, _proxy, mut client) = start().await;
    let first = "GET /1 HTTP/1.1\r\nHost: app\r\nX-Case: a\r\n\r\n";
    client.send(first).await;
    let mut conn = origin.accept().await;
    let head = conn.read_head().await;
    conn.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    client.read_head().await;
    // It closes only when the next request is on its way: too late for us to know.
    client.send(first).await;
    conn.read_head().await;
    conn.reset();
    let mut fresh = origin.accept().await;
    assert_eq!(fresh.read_head().await, head);
    fresh.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert!(client.read_head().await.starts_with("HTTP/1.1 204 "));
    // What may have had an effect isn't sent twice.
    client.send("POST /2 HTTP/1.1\r\nHost: app\r\nContent-Length: 0\r\n\r\n").await;
    fresh.read_head().await;
    drop(fresh);
    assert!(client.read_until("(502)\n").await.starts_with("HTTP/1.1 502 "));
}

#[tokio::test]
async fn an_answer_to_an_unfinished_upload_arrives() {
    let (origin, _proxy, mut client) = start().await;
    client.send("POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 9000000\r\n\r\nx").await;
    let mut conn = origin.accept().await;
    conn.read_head().await;
    conn.send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 3\r\n\r\nbig").await;
    client.read_until("big").await;
    client.send(vec![b'x'; 1_000_000]).await;
    client.half_close().await;
    assert_eq!(client.read_to_end().await, (String::new(), true));
}

#[tokio::test]
async fn an_answer_that_breaks_off_never_looks_complete() {
    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        for reset in [false, true] {
            let (origin, _proxy, mut client) = start().await;
            client.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n").await;
            let mut conn = origin.accept().await;
            conn.read_head().await;
            conn.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n4\r\nhalf\r\n")).await;
            client.read_until("half\r\n").await;
            if reset {
                conn.reset()
            } else {
                drop(conn)
            }
            // The connection ends short of what the framing promised: no last chunk, no hundredth
            // byte.
            client.closed().await;
        }
    }
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_request_along() {
    // Before the answer's head, within the answer's body, and within the request's body.
    let (origin, _proxy, mut client) = start().await;
    client.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n").await;
    let mut conn = origin.accept().await;
    conn.read_head().await;
    drop(client);
    conn.closed().await;

    let (origin, _proxy, mut client) = start().await;
    client.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n").await;
    let mut conn = origin.accept().await;
    conn.read_head().await;
    conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n").await;
    client.read_until("x\r\n").await;
    drop(client);
    conn.closed().await;

    let (origin, _proxy, mut client) = start().await;
    client.send("POST / HTTP/1.1\r\nHost: app\r\nContent-Length: 100\r\n\r\nhalf").await;
    let mut conn = origin.accept().await;
    conn.read_until("half").await;
    client.reset();
    conn.closed().await;
}

#[tokio::test]
async fn leaving_lets_the_answer_finish_and_closes_the_idle() {
    let (origin, proxy, mut client) = start().await;
    let mut untouched = Peer::connect(proxy.addr).await;
    let mut idle = Peer::connect(proxy.addr).await;
    idle.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n").await;
    let mut first = origin.accept().await;
    first.read_head().await;
    first.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    idle.read_head().await;
    client.send("GET /busy HTTP/1.1\r\nHost: app\r\n\r\n").await;
    first.read_head().await;
    proxy.drain.leave();
    idle.closed().await;
    untouched.closed().await;
    first.send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone").await;
    let (text, clean) = client.read_to_end().await;
    assert!(clean && text.ends_with("\r\n\r\ndone"), "{text}");
    assert!(text.contains("connection: close\r\n"), "{text}");
    proxy.drain.left().await;
}

#[tokio::test]
async fn over_the_cap_a_client_waits_its_turn() {
    let origin = Origin::bind().await;
    let proxy = Proxy::with(origin.addr, |c| c.limits.connections = 1).await;
    let mut first = Peer::connect(proxy.addr).await;
    first.send("GET /1 HTTP/1.1\r\nHost: app\r\n\r\n").await;
    let mut conn = origin.accept().await;
    conn.read_head().await;
    let mut second = Peer::connect(proxy.addr).await;
    second.send("GET /2 HTTP/1.1\r\nHost: app\r\n\r\n").await;
    conn.send("HTTP/1.1 204 No Content\r\n\r\n").await;
    first.read_head().await;
    assert_eq!(proxy.metric("pollcast_connections"), "1");
    drop(first);
    assert!(conn.read_head().await.starts_with("GET /2 "));
}

#[tokio::test]
async fn an_old_client_gets_an_answer_it_understands() {
    let (origin, _proxy, mut client) = start().await;
    client.send("GET /old HTTP/1.0\r\n\r\n").await;
    let mut conn = origin.accept().await;
    let head = conn.read_head().await;
    assert!(head.starts_with(&format!("GET /old HTTP/1.1\r\nhost: {}\r\n", origin.addr)), "{head}");
    conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n").await;
    let (text, clean) = client.read_to_end().await;
    assert!(clean && text.ends_with("\r\n\r\nhi"), "{text}");
    assert!(!text.contains("chunked"), "{text}");
}
