//! What a client sends over HTTP/1.1, seen on its way to the HTTP library: where each head begins
//! and ends, and whether it is let in ([`Head`]).
//!
//! The rule: the gate and the library never disagree on where a message ends. What the gate can't
//! follow it doesn't let through, so that no head passes unseen, pipelined ones included. A refused
//! head is replaced or ended such that the library reads a valid one, whose answer is the refusal:
//! it comes in its turn, behind those of the requests before it.

use super::head::{Framing, Head};
use super::refuse::Refusal;
use memchr::memchr;

/// Stands for a head of which nothing has gone through.
const STAND_IN: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

/// As many fields as the library reads.
const FIELDS: usize = 100;

/// Longest line that says a chunk's size; extensions are ignored, and rare.
const CHUNK_LINE: usize = 4 << 10;

/// Bounds of a head, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// `limits.target`.
    pub(super) target: usize,
    /// `limits.head`, also for trailers.
    pub(super) head: usize,
}

/// Where to end what goes through.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// So many of the bytes go through.
    pub(super) keep: usize,
    /// Then these.
    pub(super) then: &'static [u8],
    /// Why.
    pub(super) refusal: Refusal,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// A line of a head.
    Head,
    /// So many bytes of a body.
    Length(u64),
    /// The line with a chunk's size.
    Size,
    /// So many bytes of a chunk.
    Chunk(u64),
    /// The line end behind a chunk.
    ChunkEnd,
    /// A line of the trailers.
    Trailer,
    /// Bytes that are no messages.
    Tunnel,
    /// Nothing: the connection ends with the answer to the last head.
    Nothing,
    /// Nothing: the body that was under way can't be followed.
    Broken,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Gate {
    /// What comes next.
    next: Next,
    /// The head so far.
    head: Head,
    /// Bytes of the head, or of the trailers, so far.
    len: usize,
    /// The begun line, of which the library has all; empty where a read ends with a line.
    begun: Vec<u8>,
    /// Number of heads so far.
    heads: u64,
    /// Bounds of a head.
    bounds: Bounds,
}

impl Gate {
    pub(super) fn new(bounds: Bounds) -> Self {
        let (head, begun) = (Head::default(), Vec::new());
        Self { next: Next::Head, head, len: 0, begun, heads: 0, bounds }
    }

    /// Number of heads so far, the refused one included.
    pub(super) fn heads(&self) -> u64 {
        self.heads
    }

    /// True in the middle of a request's body.
    pub(super) fn in_body(&self) -> bool {
        !matches!(self.next, Next::Head | Next::Tunnel) && !self.is_shut()
    }

    /// True once nothing more goes through.
    pub(super) fn is_shut(&self) -> bool {
        matches!(self.next, Next::Nothing | Next::Broken)
    }

    /// True if the last body ends before its end.
    pub(super) fn is_broken(&self) -> bool {
        self.next == Next::Broken
    }

    /// Looks at the next bytes; all go through, unless it says where to cut. Nothing goes through
    /// after a cut.
    pub(super) fn see(&mut self, bytes: &[u8]) -> Option<Cut> {
        let mut at = 0;
        // Where the head begins, if in these bytes.
        let mut begin = None;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let whole = match self.next {
                Next::Tunnel | Next::Nothing | Next::Broken => return None,
                Next::Length(left) | Next::Chunk(left) => self.skip(left, rest.len()),
                _ => 0,
            };
            if whole > 0 {
                at += whole;
                continue;
            }
            if self.next == Next::Head && self.len == 0 {
                begin = Some(at);
            }
            let end = memchr(b'\n', rest).map(|end| end + 1);
            let line = &rest[..end.unwrap_or(rest.len())];
            let fault = self.line(line, end.is_some());
            at += line.len();
            if let Some((refusal, complete)) = fault {
                return Some(self.cut(refusal, begin, (at - line.len(), at), complete));
            }
        }
        None
    }

    /// Steps over bytes of a body. Returns how many.
    fn skip(&mut self, left: u64, available: usize) -> usize {
        let step = usize::try_from(left).unwrap_or(usize::MAX).min(available);
        let left = left - step as u64;
        self.next = match self.next {
            Next::Length(_) if left > 0 => Next::Length(left),
            Next::Length(_) => self.message_end(),
            _ if left > 0 => Next::Chunk(left),
            _ => Next::ChunkEnd,
        };
        step
    }

    fn message_end(&mut self) -> Next {
        self.len = 0;
        self.head = Head::default();
        Next::Head
    }

    /// Takes a line or the begin of one. A fault says whether the head ended with it.
    fn line(&mut self, part: &[u8], ends: bool) -> Option<(Refusal, bool)> {
        self.len += part.len();
        if let Some(refusal) = self.too_long(part, ends) {
            return Some((refusal, false));
        }
        if !ends {
            self.begun.extend_from_slice(part);
            return None;
        }
        let begun = std::mem::take(&mut self.begun);
        if begun.is_empty() {
            return self.whole_line(part);
        }
        let line = [begun.as_slice(), part].concat();
        let fault = self.whole_line(&line);
        if fault.is_some() {
            self.begun = begun;
        }
        fault
    }

    /// Only bounds what isn't a whole line yet, or makes the head too long.
    fn too_long(&self, part: &[u8], ends: bool) -> Option<Refusal> {
        let line = self.begun.len() + part.len();
        match self.next {
            Next::Head if !self.head.begun() && !ends => {
                let spaces = |bytes: &[u8]| bytes.iter().position(|&byte| byte == b' ');
                let method = spaces(&self.begun)
                    .or_else(|| spaces(part).map(|at| at + self.begun.len()))
                    .unwrap_or(line);
                // The version comes behind the target: what is longer than both can't end well.
                let version = b" HTTP/1.1\r".len();
                let limit = self.bounds.target.min(self.bounds.head) + version;
                (line - method > limit).then_some(Refusal::Target).or_else(|| self.long_head())
            }
            Next::Head if self.head.fields() == FIELDS && !is_empty(&self.begun, part) => {
                Some(Refusal::Head)
            }
            Next::Head => self.long_head(),
            Next::Trailer => (self.len > self.bounds.head).then_some(Refusal::Chunk),
            Next::Size => (line > CHUNK_LINE).then_some(Refusal::Chunk),
            Next::ChunkEnd => (line > 2).then_some(Refusal::Chunk),
            _ => None,
        }
    }

    fn long_head(&self) -> Option<Refusal> {
        (self.len > self.bounds.head).then_some(Refusal::Head)
    }

    /// Takes a line with its end.
    fn whole_line(&mut self, line: &[u8]) -> Option<(Refusal, bool)> {
        let bare = line.strip_suffix(b"\n").unwrap_or(line);
        let text = bare.strip_suffix(b"\r").unwrap_or(bare);
        if self.next == Next::Head {
            return match self.head.line(text, self.bounds.target)? {
                Ok(framing) => {
                    self.heads += 1;
                    self.len = 0;
                    self.next = match framing {
                        Framing::Length(0) => self.message_end(),
                        Framing::Length(length) => Next::Length(length),
                        Framing::Chunked => Next::Size,
                        Framing::Tunnel => Next::Tunnel,
                    };
                    None
                }
                Err(refusal) => Some((refusal, true)),
            };
        }
        // RFC 9112 §7.1: a chunk's lines end with CRLF. A bare LF is where two servers part.
        let after = if text.len() == bare.len() { None } else { self.chunk_line(text) };
        match after {
            Some(next) => self.next = next,
            None => return Some((Refusal::Chunk, false)),
        }
        None
    }

    fn chunk_line(&mut self, text: &[u8]) -> Option<Next> {
        match self.next {
            Next::Size => {
                self.len = 0;
                Some(match chunk_size(text)? {
                    0 => Next::Trailer,
                    size => Next::Chunk(size),
                })
            }
            Next::ChunkEnd => text.is_empty().then_some(Next::Size),
            _ if text.is_empty() => Some(self.message_end()),
            _ => Some(Next::Trailer),
        }
    }

    /// Ends what goes through such that the library reads a whole head.
    fn cut(
        &mut self,
        refusal: Refusal,
        begin: Option<usize>,
        (from, to): (usize, usize),
        complete: bool,
    ) -> Cut {
        let mid_body = self.in_body();
        self.next = if mid_body { Next::Broken } else { Next::Nothing };
        if mid_body {
            return Cut { keep: from, then: b"", refusal };
        }
        self.heads += 1;
        match begin {
            Some(begin) => Cut { keep: begin, then: STAND_IN, refusal },
            None if complete => Cut { keep: to, then: b"", refusal },
            None => Cut { keep: from, then: self.ending(), refusal },
        }
    }

    /// What ends the head behind the begun line.
    fn ending(&self) -> &'static [u8] {
        let has = |byte| self.begun.contains(&byte);
        match (self.begun.is_empty(), self.head.begun()) {
            (true, true) => b"\r\n",
            (false, true) if has(b':') => b"\r\n\r\n",
            (false, true) => b":\r\n\r\n",
            (_, false) if has(b' ') => b"/ HTTP/1.1\r\n\r\n",
            (true, false) => STAND_IN,
            (false, false) if self.begun == b"\r" => b"\nGET / HTTP/1.1\r\n\r\n",
            (false, false) => b" / HTTP/1.1\r\n\r\n",
        }
    }
}

/// True if the line, in two parts, is empty or may become so.
fn is_empty(begun: &[u8], part: &[u8]) -> bool {
    matches!((begun, part), (b"", b"\r" | b"\n" | b"\r\n") | (b"\r", b"\n"))
}

/// RFC 9112 §7.1: hexadecimal digits, then perhaps extensions.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
    let rest = line[digits..].trim_ascii_start();
    let clean = rest.iter().all(|&byte| byte >= b' ' || byte == b'\t');
    let extension = matches!(rest.first(), None | Some(b';'));
    if digits > 16 || !extension || !clean {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(&line[..digits]).ok()?, 16).ok()
}

#[cfg(test)]
mod tests;
