//! As much of HTTP/1.1 as the clients here need: one connection, one request at a time.

use anyhow::Context as _;
use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::Full;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A whole answer.
pub fn response(status: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static(kind);
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

/// A connection that is kept.
pub struct Client {
    socket: TcpStream,
    unread: Vec<u8>,
}

impl Client {
    /// Connects.
    pub async fn connect(addr: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(addr).await?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, unread: Vec::new() })
    }

    /// Asks, and reads the whole answer, which must have a length: head and body.
    pub async fn ask(&mut self, request: &str) -> anyhow::Result<(String, Vec<u8>)> {
        self.socket.write_all(request.as_bytes()).await?;
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|four| four == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await?;
        };
        let head = String::from_utf8(self.unread.drain(..end).collect())?.to_ascii_lowercase();
        anyhow::ensure!(head.starts_with("http/1.1 2"), "{head}");
        let len: usize = field(&head, "content-length").context("no length")?.parse()?;
        while self.unread.len() < len {
            self.more().await?;
        }
        Ok((head, self.unread.drain(..len).collect()))
    }

    async fn more(&mut self) -> anyhow::Result<()> {
        let n = self.socket.read_buf(&mut self.unread).await?;
        anyhow::ensure!(n > 0, "the connection was closed");
        Ok(())
    }
}

/// A field of a head in lower case.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}
