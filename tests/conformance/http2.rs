//! A client of HTTP/2 whose messages are written as text: fields as lines, an empty line, content.
//!
//! Two clients, since none can do both: one that keeps the rules and reads whole answers, and one
//! that writes any fields into frames and reads the kinds of frames that come back.

use crate::case::Protocol;
use crate::frames;
use crate::wire::Record;
use bytes::Bytes;
use h2::client::{self, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream, SendStream};
use http::{HeaderMap, HeaderName, HeaderValue, Request};
use std::fmt::Write as _;
use std::future::poll_fn;
use std::sync::Arc;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What is written of an answer's end.
pub const END: &str = "[end]\r\n";

/// Where what comes back is written.
#[derive(Clone)]
pub struct Log {
    record: Arc<watch::Sender<Record>>,
    index: usize,
}

impl Log {
    /// The record of one of the client's connections.
    pub fn new(record: Arc<watch::Sender<Record>>, index: usize) -> Self {
        Self { record, index }
    }

    /// Adds what came.
    pub fn came(&self, bytes: &[u8]) {
        self.record.send_modify(|record| record.client[self.index].add(bytes));
    }

    /// Nothing more will come.
    pub fn ended(&self) {
        self.record.send_modify(|record| record.client[self.index].ended = true);
    }
}

/// One connection.
pub struct Http2 {
    side: Writer,
    log: Log,
    tasks: JoinSet<()>,
}

/// What writes.
enum Writer {
    /// By the rules: the connection, and the request that is still open.
    Rules(SendRequest<Bytes>, Option<SendStream<Bytes>>),
    /// Any frames, and the next stream's number.
    Frames(OwnedWriteHalf, u32),
}

impl Http2 {
    /// Greets.
    pub async fn connect(stream: TcpStream, protocol: Protocol, log: Log) -> Self {
        let mut tasks = JoinSet::new();
        let (side, end) = (log.clone(), log.clone());
        let side = if protocol == Protocol::Frames {
            let (read, mut write) = stream.into_split();
            write.write_all(frames::GREETING).await.unwrap();
            tasks.spawn(async move { frames::read(read, side).await });
            Writer::Frames(write, 1)
        } else {
            let (send, connection) = client::handshake(stream).await.unwrap();
            tasks.spawn(async move {
                // How it ended is in the answers.
                let _ = connection.await;
                end.ended();
            });
            Writer::Rules(send, None)
        };
        Self { side, log, tasks }
    }

    /// Sends a message's head, its trailers, or a piece of its content.
    pub async fn send(&mut self, text: &[u8]) {
        let log = self.log.clone();
        match &mut self.side {
            Writer::Frames(write, stream) => {
                let bytes = frames::written(text, stream);
                // A proxy that has gone away shows in what comes back.
                let _ = write.write_all(&bytes).await;
            }
            Writer::Rules(send, open) => {
                let head = text.starts_with(b":").then(|| Head::read(text));
                match (head, open.as_mut()) {
                    (Some(head), Some(stream)) if head.trailers => {
                        stream.send_trailers(head.fields).unwrap();
                        *open = None;
                    }
                    (Some(head), _) => {
                        let mut ready = send.clone().ready().await.unwrap();
                        let (ends, request) = (!head.open, head.request());
                        let (answer, stream) = ready.send_request(request, ends).unwrap();
                        *open = Some(stream).filter(|_| !ends);
                        self.tasks.spawn(read(answer, log));
                    }
                    (None, Some(stream)) => {
                        stream.send_data(Bytes::copy_from_slice(text), false).unwrap();
                    }
                    (None, None) => panic!("content without a request"),
                }
            }
        }
    }

    /// Ends the open request.
    pub fn half_close(&mut self) {
        if let Writer::Rules(_, Some(stream)) = &mut self.side {
            stream.send_data(Bytes::new(), true).unwrap();
        }
    }

    /// Gives the open request up.
    pub fn reset(&mut self) {
        if let Writer::Rules(_, Some(stream)) = &mut self.side {
            stream.send_reset(Reason::CANCEL);
        }
    }
}

/// A head as a case writes it.
struct Head {
    pseudo: Vec<(String, String)>,
    fields: HeaderMap,
    /// Content follows, or something that isn't said yet.
    open: bool,
    trailers: bool,
}

impl Head {
    fn read(text: &[u8]) -> Self {
        let mut head =
            Self { pseudo: Vec::new(), fields: HeaderMap::new(), open: false, trailers: false };
        for (name, value) in frames::lines(text) {
            match name {
                b":open" => head.open = true,
                b":trailers" => head.trailers = true,
                _ if name.starts_with(b":") => {
                    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                    head.pseudo.push((text(name), text(value)));
                }
                _ => {
                    let name = HeaderName::from_bytes(name).unwrap();
                    head.fields.append(name, HeaderValue::from_bytes(value).unwrap());
                }
            }
        }
        head
    }

    fn request(self) -> Request<()> {
        let get = |name: &str| {
            let found = self.pseudo.iter().find(|(at, _)| at == name);
            found.map(|(_, value)| value.as_str())
        };
        let uri = http::Uri::builder()
            .scheme(get(":scheme").unwrap_or("http"))
            .authority(get(":authority").unwrap_or("app"))
            .path_and_query(get(":path").unwrap_or("/"));
        let mut request = Request::new(());
        *request.uri_mut() = uri.build().unwrap();
        *request.method_mut() = get(":method").unwrap_or("GET").parse().unwrap();
        *request.version_mut() = http::Version::HTTP_2;
        if let Some(protocol) = get(":protocol") {
            request.extensions_mut().insert(h2::ext::Protocol::from(protocol));
        }
        *request.headers_mut() = self.fields;
        request
    }
}

/// Writes an answer down as it comes.
async fn read(mut answer: ResponseFuture, log: Log) {
    while let Some(Ok(interim)) = poll_fn(|cx| answer.poll_informational(cx)).await {
        log.came(head(interim.status(), interim.headers()).as_bytes());
    }
    match answer.await {
        Ok(response) => {
            log.came(head(response.status(), response.headers()).as_bytes());
            log.came(content(response.into_body(), &log).await.as_bytes());
        }
        Err(error) => log.came(broken(&error).as_bytes()),
    }
}

async fn content(mut body: RecvStream, log: &Log) -> String {
    while let Some(piece) = body.data().await {
        match piece {
            Ok(piece) => {
                let _ = body.flow_control().release_capacity(piece.len());
                log.came(&piece);
            }
            Err(error) => return broken(&error),
        }
    }
    match body.trailers().await {
        Ok(Some(trailers)) => format!("[trailers]\r\n{}{END}", fields(&trailers)),
        Ok(None) => END.to_owned(),
        Err(error) => broken(&error),
    }
}

fn broken(error: &h2::Error) -> String {
    let reason = error.reason().map_or("connection".to_owned(), |reason| format!("{reason:?}"));
    format!("[broken: {reason}]\r\n")
}

fn head(status: http::StatusCode, map: &HeaderMap) -> String {
    format!("HTTP/2 {}\r\n{}\r\n", status.as_u16(), fields(map))
}

fn fields(map: &HeaderMap) -> String {
    let mut text = String::new();
    for (name, value) in map {
        let _ = write!(text, "{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes()));
    }
    text
}
