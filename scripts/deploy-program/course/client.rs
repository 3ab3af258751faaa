//! One connection of a strict client: it sends nothing twice, and forgives nothing but what
//! RFC 9112 lets a server do.

use anyhow::Context as _;
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A connection, with what was read of it but not asked for yet.
pub struct Client {
    socket: TcpStream,
    unread: Vec<u8>,
    /// The last answer said that it is the last.
    last: bool,
}

impl Client {
    /// Connects.
    pub async fn connect(addr: SocketAddr) -> anyhow::Result<Self> {
        let socket = TcpStream::connect(addr).await.context("connect")?;
        socket.set_nodelay(true)?;
        Ok(Self { socket, unread: Vec::new(), last: false })
    }

    /// True if another request may be sent: the server hasn't said that it closes, nor closed.
    pub fn is_open(&self) -> bool {
        let end = self.socket.try_read(&mut [0]);
        !self.last && matches!(end, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Sends a request and reads the whole answer, which must have a length. Returns its body.
    pub async fn ask(&mut self, request: &str) -> anyhow::Result<String> {
        let head = self.begin(request).await?;
        anyhow::ensure!(head.starts_with("http/1.1 200 "), "{head}");
        let len: usize = field(&head, "content-length").context("no length")?.parse()?;
        while self.unread.len() < len {
            self.more().await.context("in the body")?;
        }
        Ok(String::from_utf8(self.unread.drain(..len).collect())?)
    }

    /// Sends a request and reads the head of the answer, in lower case.
    pub async fn begin(&mut self, request: &str) -> anyhow::Result<String> {
        self.socket.write_all(request.as_bytes()).await.context("sending")?;
        let head = self.until("\r\n\r\n").await.context("before the answer")?;
        let head = head.to_ascii_lowercase();
        self.last = field(&head, "connection") == Some("close");
        Ok(head)
    }

    /// Reads up to and including `end`.
    pub async fn until(&mut self, end: &str) -> anyhow::Result<String> {
        loop {
            let at = self.unread.windows(end.len()).position(|part| part == end.as_bytes());
            if let Some(at) = at {
                let text = self.unread.drain(..at + end.len()).collect();
                return Ok(String::from_utf8(text)?);
            }
            self.more().await?;
        }
    }

    async fn more(&mut self) -> anyhow::Result<()> {
        let n = self.socket.read_buf(&mut self.unread).await?;
        anyhow::ensure!(n > 0, "the connection was closed");
        Ok(())
    }
}

/// A field of a head in lower case.
fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}
