//! The origin: a board whose state is a number, and an echo.

use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// What streams watch; a POST to it is a change.
pub const PATH: &str = "/api/board";

/// A running origin. It lives as long as its task.
pub struct Board {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The number. Read by each answer, without a lock.
    state: Arc<AtomicU64>,
}

impl Board {
    /// Listens on a free port.
    pub async fn start(tasks: &mut JoinSet<()>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = listener.local_addr()?;
        let state = Arc::new(AtomicU64::new(1));
        tasks.spawn(serve(listener, Arc::clone(&state)));
        Ok(Self { addr, state })
    }

    /// Changes without anybody's request: only a poll finds it.
    pub fn change(&self) {
        self.state.fetch_add(1, Ordering::SeqCst);
    }

    /// The number now.
    pub fn state(&self) -> u64 {
        self.state.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, state: Arc<AtomicU64>) {
    let mut open = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        while open.try_join_next().is_some() {}
        let state = Arc::clone(&state);
        let answer = service_fn(move |request| answer(request, Arc::clone(&state)));
        open.spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), answer));
    }
}

async fn answer(
    request: Request<Incoming>,
    state: Arc<AtomicU64>,
) -> Result<Response<Full<Bytes>>, hyper::Error> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let body = match (head.uri.path() == PATH, head.method == Method::POST) {
        (true, true) => {
            state.fetch_add(1, Ordering::SeqCst);
            body
        }
        (true, false) => {
            let filler = "the same in every state ".repeat(40);
            let n = state.load(Ordering::SeqCst);
            format!("{{\"filler\":\"{filler}\",\"n\":{n}}}").into()
        }
        (false, true) => body,
        (false, false) => head.uri.to_string().into(),
    };
    let answer = Response::builder().header("content-type", "application/json");
    Ok(answer.body(Full::new(body)).unwrap_or_default())
}
