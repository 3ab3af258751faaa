//! An origin that says what a test puts in its mouth, and remembers what it was asked.

use crate::origin::{Peer, soon};
use pollcast::drain::Drain;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;
use tokio::sync::watch;

/// One answer, byte for byte.
#[derive(Clone)]
pub struct Say {
    head: String,
    body: Vec<u8>,
    then: Then,
}

/// What happens after an answer's bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The connection serves on.
    Keep,
    /// The connection ends in order.
    Close,
    /// The connection is reset.
    Reset,
    /// Nothing more comes.
    Hang,
}

impl Say {
    /// A 200 with a JSON body.
    pub fn json(body: impl Into<String>) -> Self {
        Self::with("application/json", "", body.into())
    }

    /// A 200 with a media type and further field lines (each with its line end).
    pub fn with(media: &str, fields: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::status("200 OK", &format!("Content-Type: {media}\r\n{fields}"), body)
    }

    /// Any status.
    pub fn status(status: &str, fields: &str, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let head = format!("HTTP/1.1 {status}\r\n{fields}Content-Length: {}\r\n", body.len());
        Self { head, body, then: Then::Keep }
    }

    /// A head as it stands (without the empty line), and a body that needn't fit it.
    pub fn raw(head: &str, body: impl Into<Vec<u8>>, then: Then) -> Self {
        Self { head: head.to_owned(), body: body.into(), then }
    }
}

type Answer = Arc<dyn Fn(&str) -> Say + Send + Sync>;

/// A running origin.
pub struct Site {
    /// Where it listens.
    pub addr: SocketAddr,
    told: Arc<Told>,
    _tasks: Drain,
}

struct Told {
    answers: Mutex<HashMap<String, Answer>>,
    asked: watch::Sender<Vec<String>>,
}

impl Site {
    /// Says 404 to everything so far.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let asked = watch::Sender::new(Vec::new());
        let told = Arc::new(Told { answers: Mutex::default(), asked });
        let tasks = Drain::new();
        let (shared, spawner) = (Arc::clone(&told), tasks.clone());
        tasks.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                spawner.spawn(Arc::clone(&shared).serve(Peer::new(socket)));
            }
        });
        Self { addr, told, _tasks: tasks }
    }

    /// From now on this path (without the query) is answered so.
    pub fn say(&self, path: &str, say: Say) {
        self.on(path, move |_| say.clone());
    }

    /// From now on this path is answered by what the request's head and body say.
    pub fn on(&self, path: &str, answer: impl Fn(&str) -> Say + Send + Sync + 'static) {
        self.told.answers.lock().unwrap().insert(path.to_owned(), Arc::new(answer));
    }

    /// Heads of all requests so far that contain `part`.
    pub fn asked(&self, part: &str) -> Vec<String> {
        let all = self.told.asked.borrow();
        all.iter().filter(|head| head.contains(part)).cloned().collect()
    }

    /// Waits until so many requests contain `part`; the heads of these.
    pub async fn until_asked(&self, part: &str, count: usize) -> Vec<String> {
        let enough = |all: &Vec<String>| all.iter().filter(|h| h.contains(part)).count() >= count;
        let mut asked = self.told.asked.subscribe();
        soon(&format!("{count} requests with {part:?}"), asked.wait_for(enough)).await.unwrap();
        self.asked(part)
    }
}

impl Told {
    async fn serve(self: Arc<Self>, mut peer: Peer) {
        while let Some(head) = peer.request().await {
            let target = head.split(' ').nth(1).unwrap_or_default();
            let path = target.split('?').next().unwrap_or_default();
            let answer = self.answers.lock().unwrap().get(path).cloned();
            // Counted only when what it is answered with is settled: a test that has waited for the
            // request may then change the answer.
            let say = answer.map_or_else(|| Say::status("404 Not Found", "", ""), |a| a(&head));
            self.asked.send_modify(|asked| asked.push(head));
            if !say.head.is_empty() && !peer.give(format!("{}\r\n", say.head).as_bytes()).await {
                return;
            }
            if !peer.give(&say.body).await {
                return;
            }
            match say.then {
                Then::Keep => {}
                Then::Close => return,
                Then::Reset => return peer.reset(),
                Then::Hang => return peer.gone().await,
            }
        }
    }
}
