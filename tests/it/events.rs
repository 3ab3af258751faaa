//! A client of the event stream: reads events, and does with them what a page does.

use crate::app::{Answer, App, post};
use crate::origin::{Peer, soon};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use pollcast::drain::Drain;
use serde_json::{Value, json};
use std::net::SocketAddr;

/// One event.
#[derive(Debug)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// The topic's index, where it is about one.
    pub index: Option<usize>,
    /// The JSON line.
    pub data: Value,
}

impl Event {
    fn parse(text: &str) -> Self {
        let mut lines = text.trim_end().lines();
        let name = lines.next().unwrap().strip_prefix("event: ").expect(text).to_owned();
        let mut data: Vec<_> = lines.map(|line| line.strip_prefix("data: ").expect(text)).collect();
        let json = serde_json::from_str(data.pop().expect(text)).expect(text);
        let index = data.pop().map(|index| index.parse().expect(text));
        assert!(data.is_empty(), "{text}");
        Self { name, index, data: json }
    }

    /// A member of the JSON line, as text.
    pub fn text(&self, member: &str) -> &str {
        self.data[member].as_str().unwrap_or_else(|| panic!("{member} in {self:?}"))
    }

    /// `reason`.
    pub fn reason(&self) -> &str {
        self.text("reason")
    }
}

/// Where the bytes of a stream come from.
enum Wire {
    Http1(Peer),
    Body { body: hyper::body::Incoming, unread: Vec<u8>, _tasks: Drain },
}

/// An open stream.
pub struct Events(Wire);

impl Events {
    /// Opens one for some topics (JSON objects), over HTTP/1.1.
    pub async fn open(app: &App, fields: &str, topics: &[Value]) -> Self {
        Self::asking(app, fields, &request(topics)).await
    }

    /// Opens one by a request body of its own.
    pub async fn asking(app: &App, fields: &str, body: &str) -> Self {
        let mut peer = Peer::connect(app.addr).await;
        peer.send(post("/__pollcast/stream", fields, body)).await;
        let head = peer.read_head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
        assert!(head.contains("x-accel-buffering: no\r\n"), "{head}");
        Self(Wire::Http1(peer))
    }

    /// Opens one for URLs alone.
    pub async fn of(app: &App, fields: &str, urls: &[&str]) -> Self {
        let topics: Vec<_> = urls.iter().map(|url| json!({ "url": url, "every_ms": 50 })).collect();
        Self::open(app, fields, &topics).await
    }

    /// Opens one at the address of a proxy in front, which may frame the bytes as it likes.
    pub async fn at(addr: SocketAddr, topics: &[Value]) -> Self {
        let tasks = Drain::new();
        let socket = TokioIo::new(Peer::connect(addr).await.into_socket());
        let (mut send, conn) = hyper::client::conn::http1::handshake(socket).await.unwrap();
        tasks.spawn(conn);
        let req = http::Request::post("/__pollcast/stream").header("host", "app");
        let req = req.header("origin", "http://app");
        let req = req.body(Full::new(Bytes::from(request(topics)))).unwrap();
        let response = soon("a head", send.send_request(req)).await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self(Wire::Body { body: response.into_body(), unread: Vec::new(), _tasks: tasks })
    }

    /// Opens one over HTTP/2 with prior knowledge.
    pub async fn http2(app: &App, urls: &[&str]) -> Self {
        let topics: Vec<_> = urls.iter().map(|url| json!({ "url": url, "every_ms": 50 })).collect();
        let tasks = Drain::new();
        let socket = TokioIo::new(Peer::connect(app.addr).await.into_socket());
        let (mut send, conn) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), socket).await.unwrap();
        tasks.spawn(conn);
        let body = Full::new(Bytes::from(request(&topics)));
        let req = http::Request::post("http://app/__pollcast/stream").body(body).unwrap();
        let response = soon("a head", send.send_request(req)).await.unwrap();
        assert_eq!(response.status(), 200);
        Self(Wire::Body { body: response.into_body(), unread: Vec::new(), _tasks: tasks })
    }

    /// The next event of any kind.
    pub async fn next(&mut self) -> Event {
        let text = match &mut self.0 {
            Wire::Http1(peer) => peer.read_until("\n\n").await,
            Wire::Body { body, unread, .. } => loop {
                if let Some(at) = unread.windows(2).position(|w| w == b"\n\n") {
                    let rest = unread.split_off(at + 2);
                    break String::from_utf8(std::mem::replace(unread, rest)).unwrap();
                }
                let frame = soon("an event", body.frame()).await.unwrap().unwrap();
                unread.extend_from_slice(frame.data_ref().unwrap());
            },
        };
        Event::parse(&text)
    }

    /// The next event that is no beat and no hello.
    pub async fn news(&mut self) -> Event {
        self.first("news", |name| !["beat", "hello"].contains(&name)).await
    }

    /// The next event of a name; others are passed over.
    pub async fn until(&mut self, name: &str) -> Event {
        self.first(name, |found| found == name).await
    }

    /// A stream that only beats on is a hang, too.
    async fn first(&mut self, what: &str, is_it: impl Fn(&str) -> bool) -> Event {
        let found = async {
            loop {
                let event = self.next().await;
                if is_it(&event.name) {
                    return event;
                }
            }
        };
        soon(what, found).await
    }

    /// Waits for the end that follows the last event.
    pub async fn closed(&mut self) {
        match &mut self.0 {
            Wire::Http1(peer) => peer.closed().await,
            Wire::Body { body, .. } => {
                while let Some(frame) = soon("the end", body.frame()).await {
                    assert!(frame.unwrap().data_ref().is_none_or(Bytes::is_empty));
                }
            }
        }
    }
}

/// The body of a stream request.
pub fn request(topics: &[Value]) -> String {
    json!({ "client": "me", "topics": topics }).to_string()
}

/// What a page holds of one topic.
#[derive(Default)]
pub struct Held {
    /// The body.
    pub body: String,
    /// Its state.
    pub hash: String,
    /// Its number.
    pub seq: u64,
}

impl Held {
    /// Takes a state in, and checks what docs/PROTOCOL.md lets a client check.
    pub fn take(&mut self, event: &Event) {
        let data = &event.data;
        let body = match event.name.as_str() {
            "snapshot" => event.text("body").to_owned(),
            "delta" => {
                assert_eq!(event.text("from"), self.hash, "{event:?}");
                self.build(data["ops"].as_array().unwrap())
            }
            "current" => self.body.clone(),
            _ => return,
        };
        let seq = data["seq"].as_u64().unwrap();
        assert!(seq >= self.seq, "backwards: {event:?}");
        if event.name != "current" {
            let units: Vec<u16> = body.encode_utf16().collect();
            assert_eq!(data["length"].as_u64(), Some(units.len() as u64));
            let check = units.iter().fold(2_166_136_261_u32, |check, unit| {
                (check ^ u32::from(*unit)).wrapping_mul(16_777_619)
            });
            assert_eq!(data["check"].as_u64(), Some(u64::from(check)));
        }
        (self.seq, self.body) = (seq, body);
        event.text("hash").clone_into(&mut self.hash);
    }

    fn build(&self, ops: &[Value]) -> String {
        let old: Vec<u16> = self.body.encode_utf16().collect();
        let mut new = Vec::new();
        for op in ops {
            if let Some(text) = op.as_str() {
                new.extend(text.encode_utf16());
                continue;
            }
            let number = |at: usize| usize::try_from(op[at].as_u64().unwrap()).unwrap();
            new.extend_from_slice(&old[number(0)..number(0) + number(1)]);
        }
        String::from_utf16(&new).unwrap()
    }
}

/// A stream's request that isn't answered with a stream.
pub async fn refused(app: &App, fields: &str, body: &str) -> Answer {
    let answer = app.post("/__pollcast/stream", fields, body).await;
    assert_eq!(answer.field("content-type").as_deref(), Some("application/json"), "{answer:?}");
    answer
}
