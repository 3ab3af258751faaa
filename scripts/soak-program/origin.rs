//! The origin: serves what the clients know how to check, and misbehaves where it is asked to. In a
//! thread of its own.

use crate::content::{Content, bytes};
use anyhow::Context as _;
use async_compression::tokio::write::GzipEncoder;
use blake3::Hasher;
use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, UPGRADE,
};
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};

/// How many topics there are.
pub const TOPICS: usize = 8;

/// What RFC 6455 §1.3 answers to its sample key, which the clients send.
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Idle connections are closed after this: longer than the proxy keeps them, so that a request
/// never meets a connection that is just being closed, and short enough for none to be left at the
/// end.
const KEEP: Duration = Duration::from_secs(10);

/// The version that each topic has, counted up by writes.
pub type Versions = Arc<[AtomicU64; TOPICS]>;

/// Starts it. Returns where it listens.
pub fn start(versions: Versions) -> anyhow::Result<SocketAddr> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
    let addr = listener.local_addr()?;
    std::thread::spawn(move || runtime.block_on(serve(listener, versions)));
    Ok(addr)
}

async fn serve(listener: TcpListener, versions: Versions) {
    while let Ok((socket, _)) = listener.accept().await {
        let versions = Arc::clone(&versions);
        tokio::spawn(async move {
            // What becomes of a connection is the clients' affair to notice.
            let _ = connection(socket, versions).await;
        });
    }
}

async fn connection(socket: TcpStream, versions: Versions) -> anyhow::Result<()> {
    socket.set_nodelay(true)?;
    // A second handle on the same socket, for the service: the first is hyper's.
    let socket = socket.into_std()?;
    let handle = Arc::new(socket.try_clone()?);
    let answer = service_fn(move |req| {
        let (handle, versions) = (Arc::clone(&handle), Arc::clone(&versions));
        async move { answer(req, &handle, &versions).await }
    });
    let io = TokioIo::new(TcpStream::from_std(socket)?);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(KEEP);
    builder.serve_connection(io, answer).with_upgrades().await?;
    Ok(())
}

async fn answer(
    req: Request<Incoming>,
    socket: &std::net::TcpStream,
    versions: &Versions,
) -> anyhow::Result<Response<Content>> {
    let path = req.uri().path().to_owned();
    let query = req.uri().query().unwrap_or_default().to_owned();
    let ask = |name: &str| number(&query, name);
    let (kind, body) = match path.as_str() {
        "/bytes" => ("application/octet-stream", Content::seeded(ask("seed"), ask("size"))),
        "/dribble" => {
            let content = Content::seeded(ask("seed"), ask("size"));
            let piece = usize::try_from(ask("piece"))?.max(1);
            let pause = Duration::from_millis(ask("ms"));
            ("application/octet-stream", content.slowly(piece, pause))
        }
        "/sse" => {
            let events = Content::held(events(ask("count")));
            ("text/event-stream", events.slowly(EVENT, Duration::from_millis(ask("ms"))))
        }
        "/reset" => {
            // With nothing to wait for, closing becomes a reset.
            SockRef::from(socket).set_linger(Some(Duration::ZERO))?;
            let content = Content::seeded(ask("seed"), ask("after"));
            ("application/octet-stream", content.torn(1000))
        }
        "/reset-head" => {
            SockRef::from(socket).set_linger(Some(Duration::ZERO))?;
            anyhow::bail!("reset on purpose");
        }
        "/upload" => ("text/plain", Content::held(received(req.into_body()).await?)),
        "/echo" => ("application/octet-stream", Content::echo(req.into_body())),
        "/page" => return page_answer(&req, ask("seed")).await,
        "/ws" => return upgrade(req),
        _ => {
            let topic: usize = path.strip_prefix("/topic/").context("path")?.parse()?;
            let version = versions.get(topic).context("topic")?;
            let version = match *req.method() == Method::POST {
                true => version.fetch_add(1, Ordering::SeqCst) + 1,
                false => version.load(Ordering::SeqCst),
            };
            ("application/json", Content::held(topic_body(topic, version)))
        }
    };
    Ok(Response::builder().header(CONTENT_TYPE, kind).body(body)?)
}

/// A number of a query; 0 if it isn't there.
fn number(query: &str, name: &str) -> u64 {
    let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let mut found = pairs.filter(|(key, _)| *key == name);
    found.next().and_then(|(_, value)| value.parse().ok()).unwrap_or_default()
}

/// The digest of what came.
async fn received(mut body: Incoming) -> anyhow::Result<String> {
    let mut hasher = Hasher::new();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            hasher.update(data);
        }
    }
    Ok(hasher.finalize().to_string())
}

/// Bytes of an event of `/sse`.
const EVENT: usize = 32;

/// Server-sent events, each of [`EVENT`] bytes.
pub fn events(count: u64) -> String {
    (0..count).fold(String::new(), |mut all, index| {
        let _ = write!(all, "data: the event number {index:07}\n\n");
        all
    })
}

/// The body of a topic at a version: a head that changes always, rows of which some change.
pub fn topic_body(topic: usize, version: u64) -> String {
    let mut body = format!("{{\"topic\":{topic},\"version\":{version},\"rows\":[");
    for row in 0..100_u64 {
        let value = (version + row) / 20 * 7919 + row;
        let _ = write!(body, "{{\"row\":{row},\"value\":{value},\"name\":\"naïve {value:x}\"}},");
    }
    body.push_str("null]}");
    body
}

/// A page, as the origin writes it.
pub fn page(seed: u64) -> String {
    let mut page = String::from("<!doctype html>\n<html>\n<head>\n<meta charset=\"utf-8\">\n");
    let _ = write!(page, "<title>Page {seed}</title>\n</head>\n<body>\n");
    for chunk in bytes(seed, 20_000 + usize::try_from(seed % 100_000).unwrap_or(0)).chunks(40) {
        page.push_str("<p>");
        for byte in chunk {
            let _ = write!(page, "{byte:02x}");
        }
        page.push_str("</p>\n");
    }
    page.push_str("</body>\n</html>\n");
    page
}

async fn page_answer(req: &Request<Incoming>, seed: u64) -> anyhow::Result<Response<Content>> {
    let html = Response::builder().header(CONTENT_TYPE, "text/html; charset=utf-8");
    let accepts = req.headers().get(ACCEPT_ENCODING);
    if !accepts.is_some_and(|value| value.to_str().is_ok_and(|value| value.contains("gzip"))) {
        return Ok(html.body(Content::held(page(seed)))?);
    }
    let mut gzip = GzipEncoder::new(Vec::new());
    gzip.write_all(page(seed).as_bytes()).await?;
    gzip.shutdown().await?;
    let bytes = Bytes::from(gzip.into_inner());
    Ok(html.header(CONTENT_ENCODING, "gzip").body(Content::held(bytes))?)
}

/// Echoes after the handshake. What the bytes mean is nothing to a proxy.
fn upgrade(mut req: Request<Incoming>) -> anyhow::Result<Response<Content>> {
    let upgraded = hyper::upgrade::on(&mut req);
    tokio::spawn(async move {
        if let Ok(upgraded) = upgraded.await {
            let (mut from, mut to) = tokio::io::split(TokioIo::new(upgraded));
            // A client that resets ends it too.
            let _ = tokio::io::copy(&mut from, &mut to).await;
            let _ = to.shutdown().await;
        }
    });
    let response = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
    let response = response.header(CONNECTION, "upgrade").header(UPGRADE, "websocket");
    Ok(response.header(SEC_WEBSOCKET_ACCEPT, ACCEPT).body(Content::held(Bytes::new()))?)
}
