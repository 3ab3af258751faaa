//! JSON by its bytes: where values stand in a text, and how strings are written.
//!
//! Values are never turned into numbers or maps here: big integers, `1.0`, duplicate keys and the
//! order of members stay as they are.

use std::borrow::Cow;
use std::ops::Range;

/// Whether `text` is one JSON value (RFC 8259), however deep.
#[must_use]
pub fn is_valid(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// Appends `text` as a JSON string.
pub fn push_string(out: &mut String, text: &str) {
    out.push('"');
    push_escaped(out, text);
    out.push('"');
}

/// Appends `text` as it stands within the quotes of a JSON string.
pub fn push_escaped(out: &mut String, text: &str) {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        if escape_len(byte) == 1 {
            continue;
        }
        out.push_str(&text[from..at]);
        from = at + 1;
        match byte {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x08 => out.push_str("\\b"),
            b'\t' => out.push_str("\\t"),
            b'\n' => out.push_str("\\n"),
            0x0C => out.push_str("\\f"),
            b'\r' => out.push_str("\\r"),
            _ => {
                out.push_str("\\u00");
                out.extend(
                    [byte >> 4, byte & 15].map(|n| char::from(b"0123456789abcdef"[usize::from(n)])),
                );
            }
        }
    }
    out.push_str(&text[from..]);
}

/// Length in bytes of `text` as a JSON string, quotes included.
#[must_use]
pub fn string_len(text: &str) -> usize {
    escaped_len(text.as_bytes()) + 2
}

/// Length in bytes of a piece of text within a JSON string.
#[must_use]
pub fn escaped_len(bytes: &[u8]) -> usize {
    bytes.iter().map(|&byte| escape_len(byte)).sum()
}

/// Bytes that `byte` takes within a JSON string.
const fn escape_len(byte: u8) -> usize {
    match byte {
        b'"' | b'\\' | 0x08 | b'\t' | b'\n' | 0x0C | b'\r' => 2,
        0..0x20 => 6,
        _ => 1,
    }
}

/// What names a child of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name<'a> {
    /// An element of an array.
    Index(usize),
    /// A member of an object; `None` if its name holds half of a surrogate pair, which no text
    /// equals.
    Member(Option<Cow<'a, str>>),
}

/// Calls `each` with every child of the container that begins at `start`, in order, and the span
/// of its value. A scalar has none. `text` is valid JSON. O(length of the container).
pub fn children<'a>(text: &'a str, start: usize, mut each: impl FnMut(Name<'a>, Range<usize>)) {
    let bytes = text.as_bytes();
    let object = match byte(bytes, start) {
        b'{' => true,
        b'[' => false,
        _ => return,
    };
    let mut at = skip_space(bytes, start + 1);
    let mut index = 0;
    while at < bytes.len() && !matches!(byte(bytes, at), b'}' | b']') {
        let mut name = Name::Index(index);
        if object {
            let end = string_end(bytes, at);
            name = Name::Member(decoded(&text[at..end]));
            at = skip_space(bytes, skip_space(bytes, end) + 1);
        }
        let end = value_end(bytes, at);
        each(name, at..end);
        index += 1;
        at = skip_space(bytes, end);
        if byte(bytes, at) == b',' {
            at = skip_space(bytes, at + 1);
        }
    }
}

/// What a raw JSON string (with its quotes) stands for; `None` if it holds half of a surrogate
/// pair.
#[must_use]
pub fn decoded(raw: &str) -> Option<Cow<'_, str>> {
    if raw.contains('\\') {
        return serde_json::from_str(raw).ok().map(Cow::Owned);
    }
    raw.get(1..raw.len().saturating_sub(1)).map(Cow::Borrowed)
}

/// The position of the first byte from `at` on that isn't white space.
#[must_use]
pub fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(byte(bytes, at), b' ' | b'\t' | b'\n' | b'\r') {
        at += 1;
    }
    at
}

/// The position behind the string that begins at `at`.
#[must_use]
pub fn string_end(bytes: &[u8], mut at: usize) -> usize {
    at += 1;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// The position behind the value that begins at `at`. Not recursive: depth costs nothing.
#[must_use]
pub fn value_end(bytes: &[u8], mut at: usize) -> usize {
    let mut depth = 0_usize;
    while at < bytes.len() {
        match bytes[at] {
            b'"' => at = string_end(bytes, at),
            b'{' | b'[' => {
                depth += 1;
                at += 1;
                continue;
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                at += 1;
            }
            b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                continue;
            }
            _ => at = scalar_end(bytes, at),
        }
        if depth == 0 {
            return at;
        }
    }
    bytes.len()
}

/// The position behind the number or literal that begins at `at`.
fn scalar_end(bytes: &[u8], mut at: usize) -> usize {
    while matches!(byte(bytes, at), b'-' | b'+' | b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z') {
        at += 1;
    }
    at
}

/// The byte at `at`; NUL, which no JSON holds outside of strings, behind the end.
#[must_use]
pub fn byte(bytes: &[u8], at: usize) -> u8 {
    bytes.get(at).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_written_as_serde_json_does() {
        let low = (0..0x300).filter_map(char::from_u32);
        let all: String = low.chain(['\u{2028}', '😀']).collect();
        let mut out = String::new();
        push_string(&mut out, &all);
        assert_eq!(out, serde_json::to_string(&all).unwrap());
        assert_eq!(out.len(), string_len(&all));
    }

    #[test]
    fn children_are_found_by_span() {
        let text = r#" { "a\n" : [1, "]}\"" ,{}] , "\ud800":-1.0e+5,"b":null } "#;
        let mut seen = Vec::new();
        children(text, 1, |name, span| seen.push((name, &text[span])));
        let member = |name: &'static str| Name::Member(Some(Cow::Borrowed(name)));
        assert_eq!(
            seen,
            [
                (member("a\n"), r#"[1, "]}\"" ,{}]"#),
                (Name::Member(None), "-1.0e+5"),
                (member("b"), "null")
            ]
        );
        let mut seen = Vec::new();
        children("[ 1 ,[ ], {\"a\":1}]", 0, |name, span| seen.push((name, span)));
        assert_eq!(
            seen,
            [(Name::Index(0), 2..3), (Name::Index(1), 5..8), (Name::Index(2), 10..17)]
        );
        children("\"[1]\"", 0, |_, _| panic!("a scalar has no children"));
        children("[ ]", 0, |_, _| panic!("an empty array has no children"));
    }
}
