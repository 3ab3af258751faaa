//! The peer: server-sent events as one would write them on hyper, with a broadcast channel. It
//! holds no state, computes no delta and forwards nothing: what a delivery costs at the least when
//! hyper writes it.

use crate::http;
use ::http::{Method, Request, Response, StatusCode, header};
use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::broadcast::{self, Receiver, Sender};
use tokio::time::{Interval, interval};

/// As often as Pollcast's own beats for pages that poll every two seconds.
const BEAT: Duration = Duration::from_secs(1);

type Body = BoxBody<Bytes, Infallible>;

/// `GET /` is the stream; the body of a POST goes to all streams.
#[allow(clippy::print_stderr, reason = "the address is what the parent waits for")]
pub async fn run() -> anyhow::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    eprintln!("{}", listener.local_addr()?);
    let (sender, _) = broadcast::channel(64);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        let sender = sender.clone();
        let answer = service_fn(move |request| answer(request, sender.clone()));
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new());
        tokio::spawn(builder.serve_connection(TokioIo::new(socket), answer));
    }
}

async fn answer(
    request: Request<Incoming>,
    sender: Sender<Bytes>,
) -> Result<Response<Body>, hyper::Error> {
    if request.method() == Method::POST {
        let event = request.into_body().collect().await?.to_bytes();
        let _ = sender.send(event);
        return Ok(http::response(StatusCode::OK, "text/plain", String::new()).map(Full::boxed));
    }
    let mut response = Response::new(events(sender.subscribe()).boxed());
    let kind = header::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

fn events(receiver: Receiver<Bytes>) -> impl hyper::body::Body<Data = Bytes, Error = Infallible> {
    let beat = interval(BEAT);
    StreamBody::new(futures_util::stream::unfold(
        (receiver, beat),
        |(mut receiver, mut beat)| async move {
            let event = next(&mut receiver, &mut beat).await?;
            Some((Ok(Frame::data(event)), (receiver, beat)))
        },
    ))
}

async fn next(receiver: &mut Receiver<Bytes>, beat: &mut Interval) -> Option<Bytes> {
    tokio::select! {
        event = receiver.recv() => event.ok(),
        _ = beat.tick() => Some(Bytes::from_static(b"event: beat\ndata: {}\n\n")),
    }
}
