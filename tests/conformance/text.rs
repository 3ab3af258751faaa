//! What is compared: the bytes, but for the parts that a proxy makes up.

use crate::http2;
use crate::subject::Kind;
use std::fmt::Write as _;
use std::net::SocketAddr;

/// What Pollcast says of a request's way, for a client on loopback that asked for `app`.
const WAY: &[u8] =
    b"x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: app\r\n";
/// What a case writes in their place.
const WAY_MARK: &[u8] = b"{way}\r\n";
/// How a case begins an answer of the proxy's own.
const OWN_MARK: &[u8] = b"{own ";
/// What a case writes for the random part of our name in `Via`.
const ID_MARK: &[u8] = b"{id}";
/// The name that Pollcast goes by in `Via`, before its random part.
const VIA_NAME: &[u8] = b" pollcast-";

/// What the origin must get, as this proxy can say it.
pub fn expected_origin(expected: &[u8], kind: Kind) -> Vec<u8> {
    match kind {
        Kind::Pollcast => expected.to_vec(),
        // It isn't told to write such fields.
        Kind::Nginx => replace(expected, WAY_MARK, b""),
    }
}

/// What the origin got, with the generated parts named.
pub fn origin(got: &[u8], addr: SocketAddr, kind: Kind, raw: bool) -> Vec<u8> {
    let got = &replace(got, addr.to_string().as_bytes(), b"{origin}");
    if kind == Kind::Nginx {
        return got.clone();
    }
    if raw {
        return named_via(got);
    }
    let without_via = lines(got, |line| {
        let name = line.get(..4).is_some_and(|name| name.eq_ignore_ascii_case(b"via:"));
        name && find(line, VIA_NAME).is_some()
    });
    replace(&without_via, WAY, WAY_MARK)
}

/// What the client must get, as this proxy can say it.
pub fn expected_client(expected: &[u8], kind: Kind) -> Vec<u8> {
    match kind {
        Kind::Pollcast => expected.to_vec(),
        Kind::Nginx => lines(expected, |line| line.starts_with(b"connection: ")),
    }
}

/// What the client got, with the generated parts named: those of nginx, and own answers where the
/// case expects one.
pub fn client(got: &[u8], expected: &[u8], kind: Kind, raw: bool) -> Vec<u8> {
    if kind == Kind::Pollcast || raw {
        return own_answer(got, expected);
    }
    let generated: [&[u8]; 6] = [
        b"Server: nginx",
        b"server: nginx",
        b"Date: ",
        b"date: ",
        b"Connection: keep-alive\r",
        b"Connection: close\r",
    ];
    let named = lines(got, |line| generated.iter().any(|begin| line.starts_with(begin)));
    own_answer(&named, expected)
}

/// True if these are an answer of the proxy's own.
pub fn is_own(expected: &[u8]) -> bool {
    expected.starts_with(OWN_MARK)
}

/// Writes `{own 400}` for an answer that stands where the case expects it, and has its status.
fn own_answer(got: &[u8], expected: &[u8]) -> Vec<u8> {
    let Some(at) = find(expected, OWN_MARK) else { return got.to_vec() };
    let status = at + OWN_MARK.len()..at + OWN_MARK.len() + 3;
    let mark = &expected[at..status.end + 3];
    let Some(answer) = got.get(at..) else { return got.to_vec() };
    let lines = [&b"HTTP/1.1 "[..], b"HTTP/2 "].map(|at| [at, &expected[status.clone()]].concat());
    let begins = lines.iter().any(|line| answer.starts_with(line));
    let Some(end) = find(answer, b"\r\n\r\n").filter(|_| begins) else {
        return got.to_vec();
    };
    let rest = answer.get(end + 4 + content_length(&answer[..end])..).unwrap_or_default();
    let rest = rest.strip_prefix(http2::END.as_bytes()).unwrap_or(rest);
    [&got[..at], mark, rest].concat()
}

/// What a head says of its body; 0 if it says nothing.
pub fn content_length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let length = head.split("\r\ncontent-length: ").nth(1).and_then(|text| text.lines().next());
    length.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// What is sent, with the random part of our name in `Via` for its mark, once the origin has seen
/// it.
pub fn with_name(sent: &[u8], origin: &[u8]) -> Vec<u8> {
    let name =
        find(origin, VIA_NAME).map_or(&[][..], |at| random_part(&origin[at + VIA_NAME.len()..]));
    replace(sent, ID_MARK, name)
}

fn random_part(text: &[u8]) -> &[u8] {
    let len = text.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
    &text[..len]
}

/// The random part of our name in `Via`, left out.
fn named_via(got: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = got;
    while let Some(at) = find(rest, VIA_NAME) {
        let id = at + VIA_NAME.len();
        out.extend(&rest[..id]);
        out.extend(ID_MARK);
        rest = &rest[id + random_part(&rest[id..]).len()..];
    }
    out.extend(rest);
    out
}

/// All lines but some.
fn lines(text: &[u8], gone: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    text.split_inclusive(|byte| *byte == b'\n')
        .filter(|line| !gone(line))
        .flatten()
        .copied()
        .collect()
}

fn replace(text: &[u8], what: &[u8], with: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(at) = find(rest, what) {
        out.extend(&rest[..at]);
        out.extend(with);
        rest = &rest[at + what.len()..];
    }
    out.extend(rest);
    out
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}

/// Both, line by line, as far as they fit on a screen.
pub fn difference(side: &str, expected: &[u8], got: &[u8]) -> String {
    let mut text = String::new();
    if expected != got {
        for (what, bytes) in [("expected", expected), ("got", got)] {
            let _ = writeln!(text, "  {side} {what}:");
            for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                let line = line.escape_ascii().to_string();
                let _ = writeln!(text, "    {}", line.get(..160).unwrap_or(&line));
            }
        }
    }
    text
}
