//! The operator's listener over a real socket.

use pollcast::admin::{self, Desk, Ready};
use pollcast::drain::Drain;
use pollcast::telemetry::Metrics;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

async fn get(address: SocketAddr, path: &str) -> String {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn answers_until_it_is_time_to_leave() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (drain, metrics, ready) = (Drain::new(), Metrics::new(), Ready::new());
    let desk = Desk { metrics: metrics.clone(), ready: ready.clone(), hub: Arc::default() };
    drain.spawn(admin::serve(listener, desk, drain.clone()));

    metrics.request("pass");
    let page = get(address, "/metrics").await;
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(page.contains("pollcast_requests_total{decision=\"pass\"} 1\n"), "{page}");
    let page = get(address, "/readyz").await;
    assert!(page.starts_with("HTTP/1.1 503 ") && page.ends_with("not ready: starting\n"), "{page}");
    ready.yes();
    assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200 OK\r\n"));

    // An idle connection must not hold the process.
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    drain.leave();
    drain.left().await;
    let mut rest = String::new();
    idle.read_to_string(&mut rest).await.unwrap();
    assert!(rest.ends_with("\r\n\r\nok\n"), "{rest}");
}
