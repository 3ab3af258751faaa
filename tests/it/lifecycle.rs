//! Clients that are slow, silent or gone: what ends, when, and what it costs.

use crate::origin::{Origin, Peer, soon};
use crate::proxy::Proxy;
use pollcast::config::{Config, Timeouts};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Long enough to come to nothing by chance, short enough to wait for.
const SHORT: Duration = Duration::from_millis(300);

async fn with(change: impl FnOnce(&mut Timeouts)) -> (Origin, Proxy) {
    let origin = Origin::bind().await;
    let proxy = Proxy::with(origin.addr, |config: &mut Config| change(&mut config.timeouts)).await;
    (origin, proxy)
}

#[tokio::test]
async fn a_head_that_never_ends_is_cut_however_it_comes() {
    let (origin, proxy) = with(|times| times.client_head = SHORT).await;
    for begin in ["", "G", "GET /a HTTP/1.1\r\nHost: a\r\n", "\r\n", "PRI * HTTP/2.0\r\n"] {
        let mut client = Peer::connect(proxy.addr).await;
        client.send(begin).await;
        client.gone().await;
    }
    // Drip-fed: each byte comes in time, the head doesn't.
    let mut client = Peer::connect(proxy.addr).await;
    soon("the end of the drip", async {
        while client.give(b"x").await {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // Idle after an answer.
    let mut client = Peer::connect(proxy.addr).await;
    client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut peer = origin.accept().await;
    peer.read_head().await;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi").await;
    client.read_until("hi").await;
    client.gone().await;
}

#[tokio::test]
async fn an_upload_that_stops_is_given_up_and_the_origin_with_it() {
    for (fields, body) in
        [("Content-Length: 9", "half"), ("Transfer-Encoding: chunked", "4\r\nhalf\r\n")]
    {
        let (origin, proxy) = with(|times| times.client_body = SHORT).await;
        let mut client = Peer::connect(proxy.addr).await;
        client.send(format!("PUT /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n{body}")).await;
        let mut peer = origin.accept().await;
        peer.read_until("half").await;
        let text = client.read_to_end().await.0;
        assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
        assert!(text.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{text}");
        assert!(text.contains("timeouts.client_body"), "{text}");
        peer.gone().await;
    }
}

#[tokio::test]
async fn an_upload_that_moves_may_take_its_time() {
    let (origin, proxy) = with(|times| times.client_body = SHORT).await;
    let mut client = Peer::connect(proxy.addr).await;
    client.send("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\n").await;
    let mut peer = origin.accept().await;
    peer.read_head().await;
    let begun = tokio::time::Instant::now();
    let mut sent = 0;
    // As long as twice the limit, and never silent for the whole of it.
    while begun.elapsed() < SHORT * 3 && sent < 39 {
        client.send("x").await;
        peer.read(1).await;
        sent += 1;
        let _ = tokio::time::timeout(SHORT / 10, std::future::pending::<()>()).await;
    }
    client.send("x".repeat(40 - sent)).await;
    peer.read(40 - sent).await;
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await;
    assert!(client.read_head().await.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn an_answer_before_the_upload_ends_reaches_the_client() {
    let (origin, proxy) = with(|_| {}).await;
    let mut client = Peer::connect(proxy.addr).await;
    client.send("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n").await;
    let mut peer = origin.accept().await;
    peer.read_head().await;
    peer.send("HTTP/1.1 413 No\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno").await;
    drop(peer);
    // More than the kernel holds; some of it is still unread when the answer is there.
    let upload = vec![b'x'; 2_000_000];
    let _ = client.give(&upload).await;
    let text = client.read_to_end().await.0;
    assert!(text.starts_with("HTTP/1.1 413 "), "{text}");
    assert!(text.ends_with("\r\n\r\nno"), "{text}");
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_cut_off() {
    let (origin, proxy) = with(|times| times.client_write = SHORT).await;
    let mut client = Peer::connect_narrow(proxy.addr).await;
    client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut peer = origin.accept().await;
    peer.read_head().await;
    peer.send("HTTP/1.1 200 OK\r\n\r\n").await;
    // Until the proxy lets go of the origin, too.
    let block = vec![b'x'; 1 << 16];
    soon("the cut", async { while peer.give(&block).await {} }).await;
    client.read_head().await;
    client.gone().await;
}

#[tokio::test]
async fn a_tunnel_in_which_nothing_moves_is_cut() {
    let (origin, proxy) = with(|times| times.upgrade = SHORT).await;
    let mut client = Peer::connect(proxy.addr).await;
    let ask = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.send(ask).await;
    let mut peer = origin.accept().await;
    peer.read_head().await;
    peer.send("HTTP/1.1 101 Hi\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    client.read_head().await;
    client.send("one").await;
    assert_eq!(peer.read(3).await, b"one");
    client.closed().await;
    peer.closed().await;
}

#[tokio::test]
async fn nothing_passes_unseen_behind_a_handshake_that_failed() {
    let (origin, proxy) = with(|_| {}).await;
    let mut client = Peer::connect(proxy.addr).await;
    let ask = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    client.send(format!("{ask}GET /b HTTP/1.1\r\n\r\n")).await;
    let mut peer = origin.accept().await;
    peer.read_head().await;
    peer.send("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n").await;
    let text = client.read_to_end().await.0;
    assert!(text.starts_with("HTTP/1.1 403 "), "{text}");
    assert_eq!(text.matches("HTTP/1.1").count(), 1, "{text}");
}

/// 256 MB to a client that reads by fits and starts, and 256 MB from one.
#[tokio::test]
async fn a_large_body_costs_little_memory() {
    const BODY: usize = 256 << 20;
    const BLOCK: usize = 1 << 20;
    let (origin, dir) = (Origin::bind().await, tempfile::tempdir().unwrap());
    let port = Origin::nowhere().await;
    let mut proxy = Command::new(env!("CARGO_BIN_EXE_pollcast"))
        .args(["run", "--origin", &format!("http://{}", origin.addr), "--admin", "off"])
        .args(["--listen", &port.to_string()])
        .current_dir(dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let resident = |id: u32| {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().split(' ').next().unwrap().parse::<usize>().unwrap()
    };
    let mut client = soon("the proxy", async {
        loop {
            match tokio::net::TcpStream::connect(port).await {
                Ok(socket) => break Peer::new(socket),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    let block = vec![b'x'; BLOCK];
    // Warm: code is paged in, buffers are made.
    client.send("GET /warm HTTP/1.1\r\nHost: a\r\n\r\n").await;
    let mut peer = origin.accept().await;
    peer.read_head().await;
    peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {BLOCK}\r\n\r\n")).await;
    peer.send(&block).await;
    client.read_head().await;
    client.read(BLOCK).await;
    let before = resident(proxy.id());
    client.send("GET /down HTTP/1.1\r\nHost: a\r\n\r\n").await;
    peer.read_head().await;
    let send = async {
        peer.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {BODY}\r\n\r\n")).await;
        for _ in 0..BODY / BLOCK {
            peer.send(&block).await;
        }
    };
    let take = async {
        client.read_head().await;
        for _ in 0..BODY / BLOCK {
            client.read(BLOCK).await;
        }
    };
    tokio::join!(send, take);
    let send = async {
        client.send(format!("PUT /up HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY}\r\n\r\n")).await;
        for _ in 0..BODY / BLOCK {
            client.send(&block).await;
        }
    };
    let take = async {
        peer.read_head().await;
        for _ in 0..BODY / BLOCK {
            peer.read(BLOCK).await;
        }
    };
    tokio::join!(send, take);
    let grown = resident(proxy.id()) - before;
    proxy.kill().unwrap();
    proxy.wait().unwrap();
    assert!(grown < 10 << 10, "{grown} KiB more");
}

#[tokio::test]
async fn what_came_before_an_answer_broke_off_is_the_clients() {
    let origin = Origin::bind().await;
    let proxy = Proxy::to(origin.addr).await;
    for framing in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        for _ in 0..50 {
            let mut client = Peer::connect(proxy.addr).await;
            client.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n").await;
            let mut conn = origin.accept().await;
            conn.read_head().await;
            // All of it is there before the head has been sent on.
            conn.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n4\r\nhalf\r\n")).await;
            drop(conn);
            client.read_until("half\r\n").await;
            client.closed().await;
        }
    }
}
