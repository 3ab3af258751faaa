//! The origin: one body, which a write changes. In a thread of its own.

use crate::http;
use ::http::{Method, Response, StatusCode};
use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpListener;

/// Where the body is.
pub const PATH: &str = "/topic";

/// What a write changes of the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// One number in the middle.
    Field,
    /// Every byte: nothing of the old body is worth a delta.
    All,
}

/// A running origin.
pub struct Origin {
    /// Where it listens.
    pub addr: SocketAddr,
    shape: Arc<Shape>,
}

struct Shape {
    /// Length of the body and what changes of it.
    form: Mutex<(usize, Change)>,
    /// Writes so far.
    writes: AtomicU64,
    /// GETs so far.
    reads: AtomicU64,
}

impl Origin {
    /// Listens on a free port.
    pub fn start() -> anyhow::Result<Self> {
        let shape = Arc::new(Shape {
            form: Mutex::new((200, Change::Field)),
            writes: AtomicU64::new(0),
            reads: AtomicU64::new(0),
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let addr = listener.local_addr()?;
        let serving = Arc::clone(&shape);
        std::thread::spawn(move || runtime.block_on(serve(listener, serving)));
        Ok(Self { addr, shape })
    }

    /// Serves a body of this form from now on.
    pub fn form(&self, bytes: usize, change: Change) {
        *self.shape.form.lock().unwrap_or_else(PoisonError::into_inner) = (bytes, change);
    }

    /// GETs so far.
    pub fn reads(&self) -> u64 {
        self.shape.reads.load(Ordering::Relaxed)
    }

    /// The body as it is now.
    pub fn body(&self) -> String {
        self.shape.body()
    }
}

impl Shape {
    fn body(&self) -> String {
        let (bytes, change) = *self.form.lock().unwrap_or_else(PoisonError::into_inner);
        let writes = self.writes.load(Ordering::Relaxed);
        let mut body = String::from("{\"rows\":[");
        let seed = if change == Change::All { writes.wrapping_add(1) } else { 1 };
        for row in 1_u64.. {
            if body.len() >= bytes / 2 && !body.contains("count") {
                let _ = write!(body, "{{\"count\":{writes}}},");
            }
            if body.len() + 40 >= bytes {
                break;
            }
            let noise = row.wrapping_mul(seed).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let _ = write!(body, "{{\"r\":\"{noise:016x}\"}},");
        }
        body.push_str("0]}");
        body
    }
}

async fn serve(listener: TcpListener, shape: Arc<Shape>) {
    while let Ok((socket, _)) = listener.accept().await {
        let shape = Arc::clone(&shape);
        let answer = service_fn(move |request: ::http::Request<hyper::body::Incoming>| {
            let answer = answer(&shape, request.method());
            async move { Ok::<_, Infallible>(answer) }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), answer));
    }
}

fn answer(shape: &Shape, method: &Method) -> Response<Full<Bytes>> {
    if method == Method::POST {
        shape.writes.fetch_add(1, Ordering::Relaxed);
        return http::response(StatusCode::OK, "application/json", "{}".to_owned());
    }
    shape.reads.fetch_add(1, Ordering::Relaxed);
    http::response(StatusCode::OK, "application/json", shape.body())
}
