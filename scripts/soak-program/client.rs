//! What the clients have in common: connections, requests, checks.

use crate::content::Content;
use blake3::{Hash, Hasher};
use http::header::HOST;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};

/// Other bytes arrived than were sent.
#[derive(Debug, thiserror::Error)]
#[error("other bytes than were sent: {0}")]
pub struct Mismatch(pub String);

/// Another status than the origin's.
#[derive(Debug, thiserror::Error)]
#[error("unexpected status {0}")]
pub struct Unexpected(pub StatusCode);

/// A kept HTTP/1.1 connection. Dropping it closes it.
pub struct Client {
    sender: http1::SendRequest<Content>,
}

impl Client {
    /// Connects.
    pub async fn connect(proxy: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(proxy).await?;
        socket.set_nodelay(true)?;
        Self::over(socket).await
    }

    /// Connects; the kernel holds as little as it can for this reader.
    pub async fn narrow(proxy: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(16 << 10)?;
        Self::over(socket.connect(proxy).await?).await
    }

    async fn over(socket: TcpStream) -> anyhow::Result<Self> {
        let (sender, conn) = http1::handshake(TokioIo::new(socket)).await?;
        // How a connection ends shows in what was asked over it.
        tokio::spawn(async move { conn.await.unwrap_or_default() });
        Ok(Self { sender })
    }

    /// Asks; any status is an answer.
    pub async fn any(&mut self, req: Request<Content>) -> anyhow::Result<Response<Incoming>> {
        self.sender.ready().await?;
        Ok(self.sender.send_request(req).await?)
    }

    /// Asks; only a 200 is an answer.
    pub async fn ask(&mut self, req: Request<Content>) -> anyhow::Result<Response<Incoming>> {
        good(self.any(req).await?)
    }
}

/// Only a 200 passes.
pub fn good<B>(response: Response<B>) -> anyhow::Result<Response<B>> {
    match response.status() {
        StatusCode::OK => Ok(response),
        status => Err(Unexpected(status).into()),
    }
}

/// A GET.
pub fn get(target: &str) -> anyhow::Result<Request<Content>> {
    Ok(Request::get(target).header(HOST, "soak.test").body(Content::held(""))?)
}

/// A POST.
pub fn post(target: &str, body: Content) -> anyhow::Result<Request<Content>> {
    let req = Request::builder().method(Method::POST).uri(target).header(HOST, "soak.test");
    Ok(req.body(body)?)
}

/// Reads a body to its end, with a pause after each frame.
pub async fn digest(mut body: Incoming, pause: Duration) -> anyhow::Result<(Hash, u64)> {
    let (mut hasher, mut size) = (Hasher::new(), 0);
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            hasher.update(data);
            size += data.len() as u64;
        }
        if !pause.is_zero() {
            tokio::time::sleep(pause).await;
        }
    }
    Ok((hasher.finalize(), size))
}

/// Whether what arrived is what was sent.
pub fn same<T: PartialEq + ?Sized>(what: &str, got: &T, sent: &T) -> anyhow::Result<()> {
    if got == sent { Ok(()) } else { Err(Mismatch(what.to_owned()).into()) }
}

/// The socket will be reset instead of closed.
pub fn reset_on_close(socket: &TcpStream) -> anyhow::Result<()> {
    Ok(SockRef::from(socket).set_linger(Some(Duration::ZERO))?)
}
