//! An origin over TLS, HTTP/2 or a Unix socket that answers by itself.

use bytes::Bytes;
use http::header::{CONNECTION, HOST, UPGRADE};
use http::{Request, Response, StatusCode, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use pollcast::drain::Drain;
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

/// What it speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// TLS that offers HTTP/1.1 only.
    TlsHttp1,
    /// TLS that offers both.
    TlsHttp2,
    /// HTTP/2 with prior knowledge.
    ClearHttp2,
    /// HTTP/1.1 over a Unix socket.
    Unix,
}

impl Kind {
    /// True if requests share a connection.
    pub fn multiplexes(self) -> bool {
        matches!(self, Self::TlsHttp2 | Self::ClearHttp2)
    }
}

/// A running origin; dropping it ends it.
pub struct Backend {
    kind: Kind,
    port: u16,
    dir: tempfile::TempDir,
    ca: String,
    state: Arc<State>,
    cut: watch::Sender<usize>,
    drain: Drain,
}

/// What its connections share.
#[derive(Default)]
struct State {
    /// What `/api/n` says.
    n: AtomicUsize,
    /// Connections accepted.
    connections: AtomicUsize,
    /// Requests answered.
    seen: AtomicUsize,
}

impl Backend {
    /// Listens on loopback, or in a directory of its own.
    pub async fn start(kind: Kind) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let ca = dir.path().join("ca.pem");
        std::fs::write(&ca, made.cert.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut tls = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        tls.alpn_protocols = match kind {
            Kind::TlsHttp2 => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            _ => vec![b"http/1.1".to_vec()],
        };
        let (cut, _) = watch::channel(0);
        let (state, drain) = (Arc::<State>::default(), Drain::new());
        let mut backend = Self {
            kind,
            port: 0,
            ca: ca.display().to_string(),
            dir,
            state: Arc::clone(&state),
            cut,
            drain: drain.clone(),
        };
        let talk = Talk { kind, state, cut: backend.cut.subscribe(), drain: drain.clone() };
        if kind == Kind::Unix {
            let listener = UnixListener::bind(backend.socket()).unwrap();
            drain.spawn(async move {
                while let Ok((socket, _)) = listener.accept().await {
                    talk.clone().start(async move { Some(socket) });
                }
            });
        } else {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            backend.port = listener.local_addr().unwrap().port();
            let acceptor = TlsAcceptor::from(Arc::new(tls));
            drain.spawn(async move {
                while let Ok((socket, _)) = listener.accept().await {
                    if kind == Kind::ClearHttp2 {
                        talk.clone().start(async move { Some(socket) });
                    } else {
                        let acceptor = acceptor.clone();
                        talk.clone().start(async move { acceptor.accept(socket).await.ok() });
                    }
                }
            });
        }
        backend
    }

    /// The configuration's lines that lead here.
    pub fn config(&self) -> String {
        let (port, ca) = (self.port, &self.ca);
        match self.kind {
            Kind::TlsHttp1 | Kind::TlsHttp2 => {
                format!("origin = \"https://localhost:{port}\"\norigin_ca = \"{ca}\"\n")
            }
            Kind::ClearHttp2 => {
                format!("origin = \"http://localhost:{port}\"\norigin_protocol = \"http2\"\n")
            }
            Kind::Unix => format!("origin = \"unix:{}\"\n", self.socket().display()),
        }
    }

    fn socket(&self) -> std::path::PathBuf {
        self.dir.path().join("origin.sock")
    }

    /// Path of the certificate to trust.
    pub fn ca(&self) -> &str {
        &self.ca
    }

    /// Where it listens.
    pub fn port(&self) -> String {
        self.port.to_string()
    }

    /// Makes `/api/n` say the next number.
    pub fn count(&self) {
        self.state.n.fetch_add(1, Ordering::Relaxed);
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> usize {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// Requests answered so far.
    pub fn seen(&self) -> usize {
        self.state.seen.load(Ordering::Relaxed)
    }

    /// Closes every connection on the spot.
    pub fn cut(&self) {
        self.cut.send_modify(|count| *count += 1);
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.cut();
        self.drain.leave();
    }
}

/// What a connection needs.
#[derive(Clone)]
struct Talk {
    kind: Kind,
    state: Arc<State>,
    cut: watch::Receiver<usize>,
    drain: Drain,
}

impl Talk {
    fn start<IO>(mut self, socket: impl Future<Output = Option<IO>> + Send + 'static)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.cut.mark_unchanged();
        self.state.connections.fetch_add(1, Ordering::Relaxed);
        self.drain.clone().spawn(async move {
            let Some(socket) = socket.await else { return };
            let mut cut = self.cut.clone();
            tokio::select! {
                () = self.talk(socket) => {}
                _ = cut.changed() => {}
            }
        });
    }

    async fn talk<IO>(&self, socket: IO)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let mut first = tokio::io::BufReader::new(socket);
        // Of a connection that offers both only its first bytes tell.
        let start = tokio::io::AsyncBufReadExt::fill_buf(&mut first).await;
        let multiplexed = start.is_ok_and(|bytes| bytes.starts_with(b"PRI"));
        assert!(self.kind != Kind::ClearHttp2 || multiplexed, "HTTP/1.1 to an HTTP/2 origin");
        let (state, drain) = (Arc::clone(&self.state), self.drain.clone());
        let service = service_fn(move |req| {
            let (state, drain) = (Arc::clone(&state), drain.clone());
            async move { Ok::<_, Infallible>(answer(&state, &drain, req).await) }
        });
        let io = TokioIo::new(first);
        // How it ends is the test's affair.
        if multiplexed {
            let _ = http2::Builder::new(TokioExecutor::new()).serve_connection(io, service).await;
        } else {
            let conn = http1::Builder::new().serve_connection(io, service);
            let _ = conn.with_upgrades().await;
        }
    }
}

async fn answer(state: &State, drain: &Drain, req: Request<Incoming>) -> Response<Full<Bytes>> {
    state.seen.fetch_add(1, Ordering::Relaxed);
    let path = req.uri().path().to_owned();
    let host = match req.version() {
        Version::HTTP_2 => req.uri().authority().unwrap().to_string(),
        _ => req.headers()[HOST].to_str().unwrap().to_owned(),
    };
    match path.as_str() {
        "/seen" => {
            let mut text = format!("{:?} {} {path}\nhost: {host}\n", req.version(), req.method());
            for (name, value) in req.headers() {
                let _ = writeln!(text, "{name}: {}", value.to_str().unwrap());
            }
            Response::new(text.into())
        }
        "/echo" => match req.into_body().collect().await {
            Ok(body) => Response::new(body.to_bytes().into()),
            // The client left: nobody reads this.
            Err(_) => Response::default(),
        },
        "/api/n" => {
            let n = state.n.load(Ordering::Relaxed);
            let text = format!("{{\"n\":{n},\"host\":\"{host}\"}}");
            let json = Response::builder().header("content-type", "application/json");
            json.body(text.into()).unwrap()
        }
        "/ws" => {
            drain.spawn(async move {
                let upgraded = hyper::upgrade::on(req).await.unwrap();
                let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
                let _ = tokio::io::copy(&mut read, &mut write).await;
            });
            let switch = Response::builder().status(StatusCode::SWITCHING_PROTOCOLS);
            let switch = switch.header(UPGRADE, "websocket").header(CONNECTION, "Upgrade");
            switch.body(Full::default()).unwrap()
        }
        _ => Response::new(format!("[{path}]").into()),
    }
}
