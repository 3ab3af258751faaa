//! Raw TCP on both ends: a scripted origin, and a client that writes and reads exact bytes.

use std::future::Future;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// No test waits for a time; this only turns a hang into a failure.
const HANG: Duration = Duration::from_secs(20);

/// Waits for what must come.
pub async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(HANG, future).await {
        Ok(value) => value,
        Err(late) => panic!("nothing came: {what} ({late})"),
    }
}

/// A listener whose every connection a test plays by hand.
pub struct Origin {
    /// Where it listens.
    pub addr: SocketAddr,
    listener: TcpListener,
}

impl Origin {
    /// Listens on a free port.
    pub async fn bind() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { addr: listener.local_addr().unwrap(), listener }
    }

    /// The next connection.
    pub async fn accept(&self) -> Peer {
        let (socket, _) = soon("a connection", self.listener.accept()).await.unwrap();
        Peer::new(socket)
    }

    /// An address where nothing listens.
    pub async fn nowhere() -> SocketAddr {
        Self::bind().await.addr
    }
}

/// One end of a connection, with what was read of it but not asked for yet.
pub struct Peer {
    socket: TcpStream,
    unread: Vec<u8>,
}

impl Peer {
    /// Takes a socket.
    pub fn new(socket: TcpStream) -> Self {
        socket.set_nodelay(true).unwrap();
        Self { socket, unread: Vec::new() }
    }

    /// Connects as a client.
    pub async fn connect(addr: SocketAddr) -> Self {
        Self::new(soon("a connect", TcpStream::connect(addr)).await.unwrap())
    }

    /// Connects from another address of this machine.
    pub async fn connect_from(here: std::net::Ipv4Addr, addr: SocketAddr) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from((here, 0))).unwrap();
        Self::new(soon("a connect", socket.connect(addr)).await.unwrap())
    }

    /// Connects as a client that takes little at a time.
    pub async fn connect_narrow(addr: SocketAddr) -> Self {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        Self::new(soon("a connect", socket.connect(addr)).await.unwrap())
    }

    /// Sends exactly these bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        soon("room to send", self.socket.write_all(bytes.as_ref())).await.unwrap();
    }

    /// Sends byte by byte, each in a segment of its own.
    pub async fn dribble(&mut self, bytes: &str) {
        for byte in bytes.as_bytes() {
            self.send([*byte]).await;
            tokio::task::yield_now().await;
        }
    }

    /// Reads up to and including `needle`.
    pub async fn read_until(&mut self, needle: &str) -> String {
        loop {
            let at = self.unread.windows(needle.len()).position(|w| w == needle.as_bytes());
            if let Some(at) = at {
                let rest = self.unread.split_off(at + needle.len());
                let text = std::mem::replace(&mut self.unread, rest);
                return String::from_utf8(text).unwrap();
            }
            let seen = String::from_utf8_lossy(&self.unread).into_owned();
            let n = soon(&format!("{needle:?} after {seen:?}"), self.more()).await.unwrap();
            assert_ne!(n, 0, "closed before {needle:?} came, after {seen:?}");
        }
    }

    /// Reads a message head.
    pub async fn read_head(&mut self) -> String {
        self.read_until("\r\n\r\n").await
    }

    /// Reads so many bytes.
    pub async fn read(&mut self, len: usize) -> Vec<u8> {
        while self.unread.len() < len {
            let n = soon("more bytes", self.more()).await.unwrap();
            assert_ne!(n, 0, "closed at {} of {len} bytes", self.unread.len());
        }
        let rest = self.unread.split_off(len);
        std::mem::replace(&mut self.unread, rest)
    }

    /// Reads to the end; the flag says whether the end was a clean close.
    pub async fn read_to_end(&mut self) -> (String, bool) {
        let clean = loop {
            match soon("the end", self.more()).await {
                Ok(0) => break true,
                Ok(_) => {}
                Err(_) => break false,
            }
        };
        (String::from_utf8(std::mem::take(&mut self.unread)).unwrap(), clean)
    }

    /// Waits until the other end has closed, and checks that it said nothing more.
    pub async fn closed(&mut self) {
        assert_eq!(self.read_to_end().await.0, "");
    }

    /// Ends this direction only.
    pub async fn half_close(&mut self) {
        self.socket.shutdown().await.unwrap();
    }

    /// Closes without the courtesy of a FIN.
    pub fn reset(self) {
        socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO)).unwrap();
    }

    /// The socket, for another protocol.
    pub fn into_socket(self) -> TcpStream {
        self.socket
    }

    /// Reads a request, head and body; `None` if the client left.
    pub async fn request(&mut self) -> Option<String> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
            self.more().await.ok().filter(|n| *n > 0)?;
        };
        let head = String::from_utf8_lossy(&self.unread[..end]).to_ascii_lowercase();
        let length = head.split("content-length: ").nth(1).and_then(|t| t.split('\r').next());
        let end = end + length.map_or(0, |length| length.parse().unwrap());
        while self.unread.len() < end {
            self.more().await.ok().filter(|n| *n > 0)?;
        }
        let rest = self.unread.split_off(end);
        Some(String::from_utf8(std::mem::replace(&mut self.unread, rest)).unwrap())
    }

    /// Sends; false if the other end is gone.
    pub async fn give(&mut self, bytes: &[u8]) -> bool {
        self.socket.write_all(bytes).await.is_ok()
    }

    /// Waits until the other end is gone, whatever it says before.
    pub async fn gone(&mut self) {
        while matches!(self.more().await, Ok(1..)) {}
    }

    async fn more(&mut self) -> std::io::Result<usize> {
        self.socket.read_buf(&mut self.unread).await
    }
}
