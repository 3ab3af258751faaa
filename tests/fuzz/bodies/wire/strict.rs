//! HTTP/1.1 messages, read as RFC 9112 writes them and no other way. Shares nothing with the
//! parsers of the proxy: what both take for one message is one.

/// A name and a value.
pub type Field = (Vec<u8>, Vec<u8>);

/// A complete message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// Request or status line, without its end.
    pub start: Vec<u8>,
    /// In order, case kept.
    pub fields: Vec<Field>,
    /// Without its framing.
    pub body: Vec<u8>,
    /// Fields behind a chunked body.
    pub trailers: Vec<Field>,
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bad {
    /// Not of the grammar; lenient parsers may still take it.
    Grammar(&'static str),
    /// Two readers could find different ends: must never be taken for a complete message.
    Framing(&'static str),
}

/// What bytes begin with.
#[derive(Debug)]
pub enum Read {
    /// A message, and how many bytes it takes.
    Complete(Message, usize),
    /// The beginning of one, or nothing.
    Partial,
    /// Anything else.
    Bad(Bad),
}

/// How a body ends.
enum Framing {
    Length(usize),
    Chunked,
}

impl Message {
    /// Values of a field, by lower-case name.
    pub fn values(&self, name: &str) -> Vec<&[u8]> {
        let named = |field: &&Field| field.0.eq_ignore_ascii_case(name.as_bytes());
        self.fields.iter().filter(named).map(|(_, value)| value.as_slice()).collect()
    }

    /// The parts of the first line.
    pub fn words(&self) -> Vec<&[u8]> {
        self.start.split(|byte| *byte == b' ').collect()
    }
}

/// Reads a request.
pub fn request(bytes: &[u8]) -> Read {
    read(bytes, |message| {
        let [method, target, version] = message.words()[..] else {
            return Err(Bad::Grammar("request line"));
        };
        if !is_token(method) || target.is_empty() || !target.iter().all(u8::is_ascii_graphic) {
            return Err(Bad::Grammar("method or target"));
        }
        let new = version == b"HTTP/1.1";
        if !new && version != b"HTTP/1.0" {
            return Err(Bad::Grammar("version"));
        }
        if message.values("host").len() != 1 && (new || !message.values("host").is_empty()) {
            return Err(Bad::Grammar("host"));
        }
        if !new && !message.values("transfer-encoding").is_empty() {
            return Err(Bad::Framing("a transfer coding in HTTP/1.0"));
        }
        framing(message)
    })
}

/// Reads an answer; `to_head` is told its fields and says whether it answers a HEAD.
pub fn answer(bytes: &[u8], to_head: impl Fn(&Message, &[u8]) -> bool) -> Read {
    read(bytes, |message| {
        let words = message.words();
        if !message.start.starts_with(b"HTTP/1.") || words.len() < 2 || words[1].len() != 3 {
            return Err(Bad::Grammar("status line"));
        }
        let after = &bytes[head_len(bytes).unwrap_or_default()..];
        let empty = words[1][0] == b'1' || [b"204".as_slice(), b"304"].contains(&words[1]);
        if empty || to_head(message, after) { Ok(Framing::Length(0)) } else { framing(message) }
    })
}

/// Length of the head, its empty line included.
fn head_len(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn read(bytes: &[u8], frame: impl Fn(&Message) -> Result<Framing, Bad>) -> Read {
    let Some(len) = head_len(bytes) else {
        // A line end alone is how some would end a line.
        let alone = |pair: &[u8]| pair[1] == b'\n' && pair[0] != b'\r';
        let odd = bytes.starts_with(b"\r\n") || bytes.windows(2).any(alone);
        return if odd { Read::Bad(Bad::Grammar("line end")) } else { Read::Partial };
    };
    let message = match head(&bytes[..len - 2]) {
        Ok(message) => message,
        Err(bad) => return Read::Bad(bad),
    };
    let framing = match frame(&message) {
        Ok(framing) => framing,
        Err(bad) => return Read::Bad(bad),
    };
    match framing {
        Framing::Length(body) => match bytes.get(len..len.saturating_add(body)) {
            Some(body) => {
                Read::Complete(Message { body: body.to_vec(), ..message }, len + body.len())
            }
            None => Read::Partial,
        },
        Framing::Chunked => match chunked(&bytes[len..]) {
            Ok(Some((body, trailers, used))) => {
                Read::Complete(Message { body, trailers, ..message }, len + used)
            }
            Ok(None) => Read::Partial,
            Err(bad) => Read::Bad(bad),
        },
    }
}

/// A head without its empty line.
fn head(bytes: &[u8]) -> Result<Message, Bad> {
    let mut message = Message::default();
    let mut rest = bytes;
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let line = &rest[..end];
        if message.start.is_empty() {
            message.start = line.to_vec();
        } else {
            message.fields.push(field(line)?);
        }
        rest = &rest[end + 2..];
    }
    if message.start.is_empty() { Err(Bad::Grammar("no first line")) } else { Ok(message) }
}

fn field(line: &[u8]) -> Result<Field, Bad> {
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Bad::Grammar("no colon"))?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    if !is_token(name) || !value.iter().copied().all(is_text) {
        return Err(Bad::Grammar("field"));
    }
    Ok((name.to_vec(), trim(value).to_vec()))
}

/// Without optional white space (RFC 9110 §5.6.3): no other white space is any.
pub fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Of a field value, or of an extension's quoted string.
fn is_text(byte: u8) -> bool {
    byte == b'\t' || byte >= b' ' && byte != 0x7f
}

fn is_token(bytes: &[u8]) -> bool {
    let part = |b: &u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b);
    !bytes.is_empty() && bytes.iter().all(part)
}

fn framing(message: &Message) -> Result<Framing, Bad> {
    let (lengths, codings) =
        (message.values("content-length"), message.values("transfer-encoding"));
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(Framing::Length(0)),
        ([], [coding]) if coding.eq_ignore_ascii_case(b"chunked") => Ok(Framing::Chunked),
        ([], _) => Err(Bad::Framing("transfer coding")),
        ([length], []) => {
            let digits = !length.is_empty() && length.iter().all(u8::is_ascii_digit);
            let text = std::str::from_utf8(length).ok().filter(|_| digits);
            let number = text.and_then(|text| text.parse::<usize>().ok());
            number.map(Framing::Length).ok_or(Bad::Framing("length"))
        }
        (_, []) => Err(Bad::Framing("several lengths")),
        _ => Err(Bad::Framing("a length and a transfer coding")),
    }
}

/// Body, trailers and how many bytes they take; `None` if there is more to come.
type Chunks = Option<(Vec<u8>, Vec<Field>, usize)>;

fn chunked(bytes: &[u8]) -> Result<Chunks, Bad> {
    let (mut body, mut at) = (Vec::new(), 0);
    let line = |at: usize| {
        let end = bytes[at..].windows(2).position(|window| window == b"\r\n")?;
        Some((&bytes[at..at + end], at + end + 2))
    };
    loop {
        let Some((size, next)) = line(at) else { return Ok(None) };
        let digits = size.split(|byte| *byte == b';').next().unwrap_or_default();
        let hex = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
        let extension = size[digits.len()..].iter().copied().all(is_text);
        let text = std::str::from_utf8(digits).ok().filter(|_| hex && extension);
        let size = text.and_then(|text| usize::from_str_radix(text, 16).ok());
        let size = size.ok_or(Bad::Framing("chunk size"))?;
        at = next;
        if size == 0 {
            break;
        }
        let Some(end) = at.checked_add(size).filter(|end| end + 2 <= bytes.len()) else {
            return Ok(None);
        };
        if &bytes[end..end + 2] != b"\r\n" {
            return Err(Bad::Framing("chunk end"));
        }
        body.extend_from_slice(&bytes[at..end]);
        at = end + 2;
    }
    let mut trailers = Vec::new();
    loop {
        match line(at) {
            None => return Ok(None),
            Some((b"", next)) => return Ok(Some((body, trailers, next))),
            Some((text, next)) => {
                trailers.push(field(text)?);
                at = next;
            }
        }
    }
}
