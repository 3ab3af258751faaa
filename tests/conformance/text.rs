//! What is compared: the bytes, but for the parts that a proxy makes up.

use crate::subject::Kind;
use std::fmt::Write as _;

/// What Pollcast says of a request's way, for a client on loopback that asked for `app`.
const WAY: &[u8] =
    b"x-forwarded-for: 127.0.0.1\r\nx-forwarded-proto: http\r\nx-forwarded-host: app\r\n";
/// What a case writes in their place.
const WAY_MARK: &[u8] = b"{way}\r\n";
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
pub fn origin(got: &[u8], kind: Kind, raw: bool) -> Vec<u8> {
    if kind == Kind::Nginx {
        return got.to_vec();
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

/// What the client got, with the generated parts named: those of nginx, and own answers where the
/// case expects one.
pub fn client(got: &[u8], expected: &[u8], kind: Kind, raw: bool) -> Vec<u8> {
    let own = own_answer(got, expected);
    if kind == Kind::Pollcast || raw {
        return own;
    }
    lines(&own, |line| {
        [&b"Server: nginx"[..], b"Date: ", b"Connection: keep-alive\r", b"Connection: close\r"]
            .iter()
            .any(|generated| line.starts_with(generated))
    })
}

/// Writes `{own 400}` for an answer that stands where the case expects it, and has its status.
fn own_answer(got: &[u8], expected: &[u8]) -> Vec<u8> {
    let Some(at) = find(expected, b"{own ") else { return got.to_vec() };
    let (mark, status) = (&expected[at..at + 11], &expected[at + 5..at + 8]);
    let Some(answer) = got.get(at..) else { return got.to_vec() };
    let line = [b"HTTP/1.1 ", status].concat();
    let Some(end) = find(answer, b"\r\n\r\n").filter(|_| answer.starts_with(&line)) else {
        return got.to_vec();
    };
    let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
    let length = head.split("\r\ncontent-length: ").nth(1).and_then(|text| text.lines().next());
    let length: usize = length.and_then(|text| text.parse().ok()).unwrap_or(0);
    let rest = answer.get(end + 4 + length..).unwrap_or_default();
    [&got[..at], mark, rest].concat()
}

/// The random part of our name in `Via`, left out.
fn named_via(got: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = got;
    while let Some(at) = find(rest, VIA_NAME) {
        let id = at + VIA_NAME.len();
        out.extend(&rest[..id]);
        out.extend(b"{id}");
        let len = rest[id..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        rest = &rest[id + len..];
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
