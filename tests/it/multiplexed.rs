//! Many answers at once from an origin that speaks HTTP/2: none holds up another.

use crate::origin::{Peer, soon};
use crate::proxy::Proxy;
use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use http::{Request, Response};
use http_body::Frame;
use http_body_util::StreamBody;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pollcast::config::{Config, OriginProtocol};
use pollcast::drain::Drain;
use pollcast::http::Body;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

const SHORT: Duration = Duration::from_millis(300);

/// An origin that takes so many requests of a connection at once, and so many connections in all.
struct Limited {
    addr: SocketAddr,
    /// Connections accepted, and ended.
    count: watch::Receiver<(usize, usize)>,
    /// All that there are take no more requests, and end when those under way have.
    closing: watch::Sender<usize>,
    drain: Drain,
}

impl Limited {
    /// Refuses further connections.
    async fn start(streams: u32, connections: usize) -> Self {
        Self::with(streams, connections, false).await
    }

    /// `silent`: says nothing on further connections, which the kernel accepts.
    async fn with(streams: u32, connections: usize, silent: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (counted, count) = watch::channel((0, 0));
        let (closing, close) = watch::channel(0);
        let drain = Drain::new();
        let tasks = drain.clone();
        drain.spawn(async move {
            for _ in 0..connections {
                let (socket, _) = listener.accept().await.unwrap();
                counted.send_modify(|count| count.0 += 1);
                let counted = counted.clone();
                let mut close = close.clone();
                close.mark_unchanged();
                tasks.spawn(async move {
                    let mut builder = http2::Builder::new(TokioExecutor::new());
                    builder.max_concurrent_streams(streams);
                    let conn = builder.serve_connection(TokioIo::new(socket), service_fn(answer));
                    let mut conn = std::pin::pin!(conn);
                    tokio::select! {
                        _ = conn.as_mut() => {}
                        _ = close.changed() => {
                            conn.as_mut().graceful_shutdown();
                            let _ = conn.await;
                        }
                    }
                    counted.send_modify(|count| count.1 += 1);
                });
            }
            if silent {
                std::future::pending::<()>().await;
            }
            drop(listener);
        });
        Self { addr, count, closing, drain }
    }

    async fn proxy(&self, change: impl FnOnce(&mut Config)) -> Proxy {
        Proxy::with(self.addr, |config| {
            config.origin_protocol = OriginProtocol::Http2;
            change(config);
        })
        .await
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        self.drain.leave();
    }
}

async fn answer(req: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    let path = req.uri().path().to_owned();
    let begin = Frame::data(Bytes::from(format!("[{path}]")));
    Ok(Response::new(match path.as_str() {
        "/big" => Body::from(Bytes::from(vec![b'x'; 16 << 20])),
        "/long" => {
            let begin = stream::iter([Ok::<_, Infallible>(begin)]);
            Body::boxed(StreamBody::new(begin.chain(stream::pending())))
        }
        "/early" => {
            // The request goes on: neither read nor reset.
            std::mem::forget(req);
            Body::from(format!("[{path}]"))
        }
        _ => Body::from(format!("[{path}]")),
    }))
}

async fn ask(proxy: &Proxy, path: &str) -> Peer {
    let mut client = Peer::connect_narrow(proxy.addr).await;
    client.send(format!("GET {path} HTTP/1.1\r\nHost: app\r\n\r\n")).await;
    client
}

#[tokio::test]
async fn clients_that_stop_reading_hold_up_no_other() {
    let origin = Limited::start(100, 9).await;
    let proxy = origin.proxy(|_| {}).await;
    let mut slow = Vec::new();
    for _ in 0..5 {
        let mut client = ask(&proxy, "/big").await;
        client.read_head().await;
        slow.push(client);
    }
    // Until what may be on its way is.
    tokio::time::sleep(SHORT).await;
    ask(&proxy, "/small").await.read_until("[/small]").await;
    assert_eq!(origin.count.borrow().0, 1);
}

#[tokio::test]
async fn answers_that_do_not_end_leave_room_for_others() {
    let origin = Limited::start(20, 9).await;
    let proxy = origin.proxy(|config| config.timeouts.idle = SHORT).await;
    let long = join_all((0..45).map(|_| async {
        let mut client = ask(&proxy, "/long").await;
        client.read_until("[/long]").await;
        client
    }));
    let long = long.await;
    ask(&proxy, "/short").await.read_until("[/short]").await;
    assert_eq!(*origin.count.borrow(), (3, 0));
    // What isn't used any more is closed.
    drop(long);
    let mut count = origin.count.clone();
    soon("the end of all", count.wait_for(|count| count.1 == 3)).await.unwrap();
    ask(&proxy, "/again").await.read_until("[/again]").await;
}

#[tokio::test]
async fn an_origin_that_takes_no_other_connection_is_waited_for() {
    let origin = Limited::start(1, 1).await;
    let proxy = origin.proxy(|_| {}).await;
    let mut long = ask(&proxy, "/long").await;
    long.read_until("[/long]").await;
    let mut short = ask(&proxy, "/short").await;
    assert!(tokio::time::timeout(SHORT, short.read_head()).await.is_err());
    drop(long);
    short.read_until("[/short]").await;
}

#[tokio::test]
async fn an_upload_that_goes_on_behind_its_answer_leaves_room_for_others() {
    let origin = Limited::start(1, 9).await;
    let proxy = origin.proxy(|_| {}).await;
    let mut client = Peer::connect(proxy.addr).await;
    client.send("PUT /early HTTP/1.1\r\nHost: app\r\nContent-Length: 9\r\n\r\nhalf").await;
    client.read_until("[/early]").await;
    ask(&proxy, "/other").await.read_until("[/other]").await;
    assert_eq!(origin.count.borrow().0, 2);
}

#[tokio::test]
async fn an_origin_that_says_nothing_on_another_connection_is_waited_for() {
    let origin = Limited::with(1, 1, true).await;
    let proxy = origin.proxy(|_| {}).await;
    let mut long = ask(&proxy, "/long").await;
    long.read_until("[/long]").await;
    let mut short = ask(&proxy, "/short").await;
    assert!(tokio::time::timeout(SHORT, short.read_head()).await.is_err());
    drop(long);
    short.read_until("[/short]").await;
}

#[tokio::test]
async fn an_origin_that_closes_all_its_connections_is_asked_on_a_new_one() {
    let origin = Limited::start(2, 9).await;
    let proxy = origin.proxy(|_| {}).await;
    let long = join_all((0..4).map(|_| async {
        let mut client = ask(&proxy, "/long").await;
        client.read_until("[/long]").await;
        client
    }));
    let mut long = long.await;
    assert_eq!(origin.count.borrow().0, 2);
    // Room on either.
    for at in [3, 0] {
        drop(long.remove(at));
    }
    ask(&proxy, "/short").await.read_until("[/short]").await;
    origin.closing.send_modify(|times| *times += 1);
    tokio::time::sleep(SHORT).await;
    for method in ["GET", "POST"] {
        let mut client = Peer::connect(proxy.addr).await;
        client
            .send(format!("{method} /again HTTP/1.1\r\nHost: app\r\nContent-Length: 0\r\n\r\n"))
            .await;
        client.read_until("[/again]").await;
    }
}
