//! Both ends of the proxy as plain sockets, and a record of every byte that came out of them.

use crate::case::{Protocol, Side};
use crate::http2::{Http2, Log};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// No case waits for a time; this only turns a hang into a finding.
const HANG: Duration = Duration::from_secs(10);

/// What came over one connection.
#[derive(Default)]
pub struct Came {
    /// Every byte.
    bytes: Vec<u8>,
    /// How many of them the script has seen.
    seen: usize,
    /// True if the other side has ended it.
    pub ended: bool,
}

impl Came {
    /// What the script hasn't seen yet.
    pub fn unread(&self) -> &[u8] {
        &self.bytes[self.seen..]
    }

    /// Adds what came.
    pub fn add(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// Where the unread bytes have `needle` behind them.
    pub fn after(&self, needle: &[u8]) -> Option<usize> {
        let at = self.unread().windows(needle.len()).position(|window| window == needle)?;
        Some(at + needle.len())
    }
}

/// What came over all connections.
#[derive(Default)]
pub struct Record {
    /// The client's, oldest first.
    pub client: Vec<Came>,
    /// The origin's, oldest first.
    pub origin: Vec<Came>,
}

impl Record {
    /// One end's connections.
    pub fn of(&self, side: Side) -> &[Came] {
        match side {
            Side::Client => &self.client,
            Side::Origin => &self.origin,
        }
    }

    fn of_mut(&mut self, side: Side) -> &mut Vec<Came> {
        match side {
            Side::Client => &mut self.client,
            Side::Origin => &mut self.origin,
        }
    }
}

/// An origin's listener, before the proxy that needs its address is up.
pub struct Origin(TcpListener);

impl Origin {
    /// Listens on a free port.
    pub async fn bind() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }
}

/// Both ends. Dropping it closes everything.
pub struct Wire {
    record: Arc<watch::Sender<Record>>,
    proxy: SocketAddr,
    protocol: Protocol,
    http2: Option<Http2>,
    client: Vec<Option<Socket>>,
    origin: Vec<Option<Socket>>,
    accepted: mpsc::Receiver<TcpStream>,
    tasks: JoinSet<()>,
}

/// A connection that is read by a task and written by the script.
struct Socket {
    stream: Arc<TcpStream>,
    reader: JoinSet<()>,
}

impl Wire {
    /// An origin that accepts whatever comes, and no client yet.
    pub fn new(origin: Origin, proxy: SocketAddr, protocol: Protocol) -> Self {
        let (sender, accepted) = mpsc::channel(16);
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            while let Ok((stream, _)) = origin.0.accept().await {
                if sender.send(stream).await.is_err() {
                    return;
                }
            }
        });
        let record = Arc::new(watch::Sender::new(Record::default()));
        let (client, origin) = (Vec::new(), Vec::new());
        Self { record, proxy, protocol, http2: None, client, origin, accepted, tasks }
    }

    /// One more client connection.
    pub async fn connect(&mut self) {
        let stream = TcpStream::connect(self.proxy).await.unwrap();
        if self.protocol == Protocol::Http1 {
            self.add(Side::Client, stream);
            return;
        }
        self.record.send_modify(|record| record.client.push(Came::default()));
        let log = Log::new(Arc::clone(&self.record), self.client.len());
        self.client.push(None);
        self.http2 = Some(Http2::connect(stream, self.protocol, log).await);
    }

    fn add(&mut self, side: Side, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let (stream, record) = (Arc::new(stream), Arc::clone(&self.record));
        let index = self.sockets(side).len();
        record.send_modify(|record| record.of_mut(side).push(Came::default()));
        let mut reader = JoinSet::new();
        reader.spawn(read(Arc::clone(&stream), record, side, index));
        self.sockets(side).push(Some(Socket { stream, reader }));
    }

    fn sockets(&mut self, side: Side) -> &mut Vec<Option<Socket>> {
        match side {
            Side::Client => &mut self.client,
            Side::Origin => &mut self.origin,
        }
    }

    /// Waits until the record is as wanted; `None` if that doesn't come.
    pub async fn until<T>(&mut self, wanted: impl Fn(&Record) -> Option<T>) -> Option<T> {
        let mut changes = self.record.subscribe();
        let reached = async {
            loop {
                if let Some(found) = wanted(&changes.borrow_and_update()) {
                    return found;
                }
                tokio::select! {
                    _ = changes.changed() => {}
                    Some(stream) = self.accepted.recv() => self.add(Side::Origin, stream),
                }
            }
        };
        tokio::time::timeout(HANG, reached).await.ok()
    }

    /// Takes the next bytes of a connection out of the unread ones.
    pub fn take(&self, side: Side, index: usize, len: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        self.record.send_modify(|record| {
            if let Some(came) = record.of_mut(side).get_mut(index) {
                taken = came.unread()[..len].to_vec();
                came.seen += len;
            }
        });
        taken
    }

    /// Looks at the record as it is.
    pub fn look<T>(&self, look: impl FnOnce(&Record) -> T) -> T {
        look(&self.record.borrow())
    }

    /// Sends; a proxy that has gone away shows in what comes back.
    pub async fn send(&mut self, side: Side, index: usize, bytes: &[u8]) {
        if let Some(http2) = self.http2.as_mut().filter(|_| side == Side::Client) {
            http2.send(bytes).await;
            return;
        }
        let sockets = if side == Side::Client { &self.client } else { &self.origin };
        let Some(Some(socket)) = sockets.get(index) else { return };
        let all = write(&socket.stream, bytes);
        // A full buffer behind a proxy that reads no more is no fault of the case's.
        let _ = tokio::time::timeout(HANG, all).await;
    }

    /// Ends one direction.
    pub fn half_close(&mut self, side: Side, index: usize) {
        if let Some(http2) = self.http2.as_mut().filter(|_| side == Side::Client) {
            http2.half_close();
            return;
        }
        if let Some(Some(socket)) = self.sockets(side).get(index) {
            let _ = socket2::SockRef::from(&*socket.stream).shutdown(std::net::Shutdown::Write);
        }
    }

    /// Ends a connection, with or without the courtesy of a FIN.
    pub async fn close(&mut self, side: Side, index: usize, reset: bool) {
        if let Some(http2) = self.http2.as_mut().filter(|_| side == Side::Client) {
            http2.reset();
            self.http2 = self.http2.take().filter(|_| reset);
            return;
        }
        let Some(Some(mut socket)) = self.sockets(side).get_mut(index).map(Option::take) else {
            return;
        };
        if reset {
            let _ = socket2::SockRef::from(&*socket.stream).set_linger(Some(Duration::ZERO));
        }
        socket.reader.shutdown().await;
    }

    /// The origin no longer listens.
    pub async fn leave(&mut self) {
        self.tasks.shutdown().await;
    }
}

async fn read(
    stream: Arc<TcpStream>,
    record: Arc<watch::Sender<Record>>,
    side: Side,
    index: usize,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let came = match stream.readable().await.and_then(|()| stream.try_read(&mut buffer)) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            came => came.unwrap_or(0),
        };
        record.send_modify(|record| {
            if let Some(at) = record.of_mut(side).get_mut(index) {
                at.add(&buffer[..came]);
                at.ended = came == 0;
            }
        });
        if came == 0 {
            return;
        }
    }
}

async fn write(stream: &TcpStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let Ok(()) = stream.writable().await else { return };
        match stream.try_write(bytes) {
            Ok(n) => bytes = &bytes[n..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}
