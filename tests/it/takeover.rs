//! A stream takes its socket away from the HTTP library: no byte is lost, mixed or left over.

use crate::origin::{Origin, Peer};
use crate::proxy::Proxy;
use std::time::Duration;

const GET: &str = "GET /stream HTTP/1.1\r\nHost: app\r\n\r\n";
const HEAD: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

async fn expect_stream(proxy: &Proxy, client: &mut Peer) {
    assert_eq!(client.read_head().await, HEAD);
    proxy.feed.send("event: a\n", "data: 1\n\n");
    assert_eq!(client.read_until("\n\n").await, "event: a\ndata: 1\n\n");
    proxy.feed.send("", "data: 2\n\n");
    assert_eq!(client.read_until("\n\n").await, "data: 2\n\n");
    proxy.feed.end();
    assert_eq!(client.read_to_end().await, (String::new(), true));
    proxy.drain.leave();
    proxy.drain.left().await;
    assert_eq!(proxy.metric("pollcast_connections"), "0");
}

#[tokio::test]
async fn on_a_fresh_connection() {
    let proxy = Proxy::to(Origin::nowhere().await).await;
    let mut client = Peer::connect(proxy.addr).await;
    client.dribble(GET).await;
    expect_stream(&proxy, &mut client).await;
}

#[tokio::test]
async fn on_a_connection_that_was_used_before() {
    let origin = Origin::bind().await;
    let proxy = Proxy::to(origin.addr).await;
    let mut client = Peer::connect(proxy.addr).await;
    client.send("GET /x HTTP/1.1\r\nHost: app\r\n\r\n").await;
    let mut conn = origin.accept().await;
    conn.read_head().await;
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx").await;
    client.read_until("\r\n\r\nx").await;
    client.send(GET).await;
    expect_stream(&proxy, &mut client).await;
}

#[tokio::test]
async fn pipelined_behind_a_large_answer_to_a_slow_reader() {
    let origin = Origin::bind().await;
    let proxy = Proxy::to(origin.addr).await;
    let mut client = Peer::connect_narrow(proxy.addr).await;
    client.send(format!("GET /big HTTP/1.1\r\nHost: app\r\n\r\n{GET}")).await;
    let mut conn = origin.accept().await;
    conn.read_head().await;
    let body: Vec<u8> = (0..5_000_000_u32).map(|n| b'a' + (n % 23) as u8).collect();
    let send = async {
        conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len())).await;
        conn.send(&body).await;
    };
    let read = async {
        client.read_head().await;
        assert!(client.read(body.len()).await == body, "the large answer arrived changed");
    };
    tokio::join!(send, read);
    expect_stream(&proxy, &mut client).await;
}

#[tokio::test]
async fn pipelined_behind_an_answer_that_came_before_its_request_was_complete() {
    let origin = Origin::bind().await;
    let proxy = Proxy::to(origin.addr).await;
    let mut client = Peer::connect(proxy.addr).await;
    client.send("POST /x HTTP/1.1\r\nHost: app\r\nContent-Length: 4\r\n\r\nab").await;
    let mut conn = origin.accept().await;
    conn.read_until("ab").await;
    conn.send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly").await;
    client.read_until("early").await;
    client.send(format!("cd{GET}")).await;
    expect_stream(&proxy, &mut client).await;
}

#[tokio::test]
async fn what_is_pipelined_behind_the_stream_is_ignored() {
    let proxy = Proxy::to(Origin::nowhere().await).await;
    let mut client = Peer::connect(proxy.addr).await;
    client.send(format!("{GET}GET /never HTTP/1.1\r\nHost: app\r\n\r\n")).await;
    expect_stream(&proxy, &mut client).await;
}

#[tokio::test]
async fn head_and_http_1_0_are_respected() {
    let proxy = Proxy::to(Origin::nowhere().await).await;
    let mut client = Peer::connect(proxy.addr).await;
    client.send("HEAD /stream HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n").await;
    let (text, _) = client.read_to_end().await;
    assert!(text.starts_with("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\n"), "{text}");
    proxy.feed.opened(0).await;
    let mut old = Peer::connect(proxy.addr).await;
    old.send("GET /stream HTTP/1.0\r\n\r\n").await;
    expect_stream(&proxy, &mut old).await;
}

#[tokio::test]
async fn a_reader_that_leaves_is_noticed_while_nothing_is_sent() {
    let proxy = Proxy::to(Origin::nowhere().await).await;
    for reset in [false, true] {
        let mut client = Peer::connect(proxy.addr).await;
        client.send(GET).await;
        client.read_head().await;
        proxy.feed.opened(1).await;
        if reset {
            client.reset()
        } else {
            drop(client)
        }
        proxy.feed.opened(0).await;
    }
}

#[tokio::test]
async fn a_slow_reader_gets_the_newest_state_and_one_that_takes_nothing_is_cut_off() {
    let proxy = Proxy::to(Origin::nowhere().await).await;
    let mut client = Peer::connect_narrow(proxy.addr).await;
    client.send(GET).await;
    client.read_head().await;
    let large = vec![b'x'; 8 << 20];
    proxy.feed.send("", large.clone());
    assert_eq!(client.read(1).await, b"x");
    for _ in 0..100 {
        proxy.feed.send("", "data: old\n\n");
    }
    proxy.feed.send("", "data: new\n\n");
    assert_eq!(client.read(large.len() - 1).await.len(), large.len() - 1);
    assert_eq!(client.read_until("\n\n").await, "data: new\n\n");

    let proxy = Proxy::with(Origin::nowhere().await, |c| {
        c.stream.write_timeout = Duration::from_millis(50);
    })
    .await;
    let mut client = Peer::connect_narrow(proxy.addr).await;
    client.send(GET).await;
    proxy.feed.opened(1).await;
    proxy.feed.send("", large);
    proxy.feed.opened(0).await;
    assert_eq!(proxy.metric("pollcast_byes_total{reason=\"slow\"}"), "1");
}
