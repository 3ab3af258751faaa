//! Frames of HTTP/2 (RFC 9113 §4) for requests that no library would send: fields go as they are
//! written, each a literal without an index (RFC 7541 §6.2.2) and without Huffman coding.

use crate::http2::Log;
use std::fmt::Write as _;
use tokio::io::AsyncReadExt as _;
use tokio::net::tcp::OwnedReadHalf;

/// What a client begins with: the preface and empty settings.
pub const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const GO_AWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// Bytes of one frame's payload that every peer takes.
const FRAME: usize = 16_384;

/// Name and value of every line up to the empty one.
pub fn lines(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let lines =
        text.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    lines.take_while(|line| !line.is_empty()).map(|line| {
        // A pseudo field's name begins with a colon of its own.
        let colon =
            line.iter().skip(1).position(|byte| *byte == b':').map_or(line.len(), |at| at + 1);
        let value = line.get(colon + 1..).unwrap_or_default();
        (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
    })
}

/// A block of a case as frames: a head on the next stream, or content of the last one, which ends
/// it. `:frame: kind flags stream` and a line of content is any frame.
pub fn written(text: &[u8], stream: &mut u32) -> Vec<u8> {
    if !text.starts_with(b":") {
        return frame(DATA, END_STREAM, stream.saturating_sub(2), text);
    }
    let mut open = false;
    let mut block = Vec::new();
    for (name, value) in lines(text) {
        match name {
            b":open" => open = true,
            b":frame" => return any(value, text),
            _ => {
                block.push(0);
                string(&mut block, name);
                string(&mut block, value);
            }
        }
    }
    let mut out = Vec::new();
    let mut pieces = block.chunks(FRAME).peekable();
    let mut kind = HEADERS;
    while let Some(piece) = pieces.next() {
        let last = if pieces.peek().is_none() { END_HEADERS } else { 0 };
        let ends = if open || kind == CONTINUATION { 0 } else { END_STREAM };
        out.extend(frame(kind, last | ends, *stream, piece));
        kind = CONTINUATION;
    }
    *stream += 2;
    out
}

/// `1 0 5`: kind, flags, stream; the payload is what follows the line.
fn any(numbers: &[u8], text: &[u8]) -> Vec<u8> {
    let numbers = String::from_utf8_lossy(numbers);
    let numbers: Vec<u8> = numbers.split(' ').map(|number| number.parse().unwrap()).collect();
    let [kind, flags, stream] = numbers[..] else { panic!("kind, flags, stream: {numbers:?}") };
    let at = text.windows(2).position(|window| window == b"\r\n").map_or(text.len(), |at| at + 2);
    frame(kind, flags, stream.into(), &text[at..])
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut out = len[1..].to_vec();
    out.extend([kind, flags]);
    out.extend(stream.to_be_bytes());
    out.extend(payload);
    out
}

/// RFC 7541 §5.2, lengths by §5.1 with a prefix of seven bits.
fn string(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text.len();
    if rest < 127 {
        out.extend(rest.to_le_bytes().first());
    } else {
        out.push(127);
        rest -= 127;
        while rest > 127 {
            out.extend((rest % 128 + 128).to_le_bytes().first());
            rest /= 128;
        }
        out.extend(rest.to_le_bytes().first());
    }
    out.extend(text);
}

/// Writes down which frames come: of a head its status, of a reset and a farewell why.
pub async fn read(mut socket: OwnedReadHalf, log: Log) {
    let mut head = [0; 9];
    while socket.read_exact(&mut head).await.is_ok() {
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; len as usize];
        if socket.read_exact(&mut payload).await.is_err() {
            break;
        }
        let mut text = String::new();
        let code = |at: usize| payload.get(at + 3).copied().unwrap_or_default();
        match head[3] {
            HEADERS => {
                let _ = write!(text, "HTTP/2 {}\r\n\r\n", status(&payload));
            }
            RESET => {
                let _ = write!(text, "[reset {}]\r\n", code(0));
            }
            GO_AWAY => {
                let _ = write!(text, "[goaway {}]\r\n", code(4));
            }
            // Settings and content say nothing that a case is about.
            _ => {}
        }
        log.came(text.as_bytes());
    }
    log.ended();
}

/// The statuses that RFC 7541's static table has stand in one byte.
fn status(block: &[u8]) -> &'static str {
    // A change of the table's size may stand before it.
    let first = block.iter().find(|byte| **byte & 0xe0 != 0x20);
    match first {
        Some(0x88) => "200",
        Some(0x89) => "204",
        Some(0x8a) => "206",
        Some(0x8b) => "304",
        Some(0x8c) => "400",
        Some(0x8d) => "404",
        Some(0x8e) => "500",
        _ => "another",
    }
}
