//! An origin that writes down what it was asked, and answers each complete request.

use super::strict::{Bad, Message, Read, request};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What came, over all connections.
#[derive(Debug, Default)]
pub struct Asked {
    /// Complete requests, in the order of their ends.
    pub requests: Vec<Message>,
    /// What was no request.
    pub bad: Vec<(Bad, Vec<u8>)>,
}

/// Serves until it is dropped.
pub async fn serve(listener: TcpListener, asked: Arc<Mutex<Asked>>) {
    let mut connections = JoinSet::new();
    while let Ok((socket, _)) = listener.accept().await {
        connections.spawn(connection(socket, Arc::clone(&asked)));
    }
}

async fn connection(mut socket: TcpStream, asked: Arc<Mutex<Asked>>) {
    let mut bytes = Vec::new();
    loop {
        match request(&bytes) {
            Read::Complete(message, len) => {
                bytes.drain(..len);
                let answer = note(&asked, message);
                if socket.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
            }
            Read::Partial => match socket.read_buf(&mut bytes).await {
                Ok(1..) => {}
                _ => return,
            },
            Read::Bad(bad) => return asked.lock().unwrap().bad.push((bad, bytes)),
        }
    }
}

/// The answer names the request: it is marked with its number and method. Its framing follows from
/// the target, so that a client meets all kinds.
fn note(asked: &Mutex<Asked>, message: Message) -> String {
    let mut asked = asked.lock().unwrap();
    let number = asked.requests.len();
    let words = message.words();
    let head = words[0] == b"HEAD";
    let kind = words[1].iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) % 4;
    let mut answer = String::new();
    let status = if kind == 3 { "204 No Content" } else { "200 OK" };
    let method = String::from_utf8_lossy(words[0]);
    let _ = write!(answer, "HTTP/1.1 {status}\r\nX-Number: {number}\r\nX-Method: {method}\r\n");
    answer.push_str(match (kind, head) {
        (0 | 1, false) => "Content-Length: 2\r\n\r\nok",
        (0 | 1, true) => "Content-Length: 2\r\n\r\n",
        (2, false) => "Transfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        (2, true) => "Transfer-Encoding: chunked\r\n\r\n",
        _ => "\r\n",
    });
    asked.requests.push(message);
    answer
}
