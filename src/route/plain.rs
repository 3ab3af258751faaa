//! Which GETs can be polls: those that every server reads as the GET of that path.
//!
//! Rule: a watch matches bytes, and what it says (who shares, whose credentials ask) must hold for
//! what the origin takes them for. Whoever could write a path that the origin reads as another, or
//! a field that makes another request of it, would have central polls made of it, those in the
//! service's name (`poll_as`) too. Such requests only pass.

use http::{HeaderMap, HeaderName, header};

/// Fields by which some server, framework or library reads another method or another target out of
/// a request: Rack, Express' method-override, Symfony, Laravel, Yii, `OData`, IIS and its rewriter,
/// Zend and Laminas, and what stands behind a proxy that asks for leave first. What a proxy in
/// front writes into every request for the record, and nobody routes by (`x-envoy-original-path`),
/// isn't among them: nothing would be pushed behind it.
const OTHERS: &[&str] = &[
    "x-forwarded-method",
    "x-forwarded-path",
    "x-forwarded-uri",
    "x-http-method",
    "x-http-method-override",
    "x-method",
    "x-method-override",
    "x-original-method",
    "x-original-path",
    "x-original-uri",
    "x-original-url",
    "x-override-url",
    "x-rewrite-uri",
    "x-rewrite-url",
];

/// True if a field asks to be read as another request. An underscore is a hyphen to servers that
/// make variables of names.
#[must_use]
pub fn is_another(headers: &HeaderMap) -> bool {
    let fold = |b: u8| if b == b'_' { b'-' } else { b };
    let same = |name: &[u8], known: &str| {
        name.len() == known.len() && name.iter().zip(known.bytes()).all(|(b, k)| fold(*b) == k)
    };
    let mut names = headers.keys().map(|name| name.as_str().as_bytes());
    names.any(|name| name.starts_with(b"x") && OTHERS.iter().any(|known| same(name, known)))
}

/// A GET that asks for the whole representation, without a body and without an upgrade: only such a
/// one can be a poll. Nor may `Connection` take fields away: a key has them, and the origin would
/// not see them.
pub fn is_get(headers: &HeaderMap) -> bool {
    let options = headers.get_all(header::CONNECTION).iter();
    let mut options = options.flat_map(|line| line.as_bytes().split(|b| *b == b','));
    let known = |option: &[u8]| {
        let plain: [&[u8]; 4] = [b"", b"close", b"keep-alive", b"te"];
        plain.iter().any(|plain| plain.eq_ignore_ascii_case(option.trim_ascii()))
    };
    let none = |name: HeaderName| !headers.contains_key(name);
    options.all(known)
        && none(header::RANGE)
        && none(header::UPGRADE)
        && none(header::TRANSFER_ENCODING)
        && headers.get(header::CONTENT_LENGTH).is_none_or(|length| length == "0")
}

/// True for a path that has one reading: no empty segment but the last, no dot segment, no `\` (a
/// slash to some) and no `;` (parameters, which some cut off before they look for `..`), and
/// escapes only of what has to be escaped. Escapes of letters, dots, slashes and the escape sign
/// are undone by some servers before they route, and by some proxies before they forward.
#[must_use]
pub fn is_path(path: &str) -> bool {
    let bytes = path.as_bytes();
    let mut last = 0;
    for (at, b) in bytes.iter().enumerate() {
        let clear = match b {
            b'/' => last != b'/',
            b'.' => last != b'/' || !is_dots(&bytes[at..]),
            b'\\' | b';' | b'%' => false,
            _ => true,
        };
        if !clear {
            return *b == b'%' && escapes(bytes);
        }
        last = *b;
    }
    true
}

/// True if a segment that begins here is `.` or `..`.
fn is_dots(rest: &[u8]) -> bool {
    matches!(rest, [b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..])
}

/// The slow half of [`is_path`]: with escapes.
fn escapes(path: &[u8]) -> bool {
    let mut whole = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [b, tail @ ..] = rest {
        rest = tail;
        if *b != b'%' {
            whole.push(*b);
            continue;
        }
        let [high, low, tail @ ..] = tail else { return false };
        let digit = |b: u8| char::from(b).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let (Some(high), Some(low)) = (digit(*high), digit(*low)) else { return false };
        let byte = high << 4 | low;
        let stands_for_itself = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if stands_for_itself || byte.is_ascii_control() || b"/\\;%?#".contains(&byte) {
            return false;
        }
        whole.push(byte);
        rest = tail;
    }
    // Overlong forms are dots and slashes to careless readers; in UTF-8 proper there are none.
    let (mut segments, slashes) = (path.split(|b| *b == b'/'), path.windows(2));
    std::str::from_utf8(&whole).is_ok()
        && !path.iter().any(|b| b"\\;".contains(b))
        && slashes.into_iter().all(|pair| pair != b"//")
        && segments.all(|segment| segment != b"." && segment != b"..")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn a_path_has_one_reading() {
        for path in [
            "/",
            "/api/x",
            "/api/x/",
            "/api/.well-known/a.b...c",
            "/api/..a/.../b",
            "/api/a%20b%40c:d,e=f+g!h~i",
            "/api/Zo%C3%AB/%F0%9F%8E%88",
        ] {
            assert!(is_path(path), "{path}");
        }
        for path in [
            "/api/../admin",
            "/api/./x",
            "/api/..",
            "/api/.",
            "/api//x",
            "//api/x",
            "/api/x//",
            "/api/..%2f..%2fadmin",
            "/api/a%2Fb",
            "/api/%2e%2e/admin",
            "/api/.%2E/admin",
            "/api/%6de",
            "/api/a%5cb",
            "/api/a\\b",
            "/api/x;a=b",
            "/api/..;/admin",
            "/api/x%3Ba",
            "/api/%252e%252e/admin",
            "/api/x%3Fa",
            "/api/x%23a",
            "/api/x%00",
            "/api/x%0d%0a",
            "/api/%c0%ae%c0%ae/admin",
            "/api/%e0%80%af",
            "/api/%E9",
            "/api/%",
            "/api/%2",
            "/api/%zz",
            "/api/%20/../admin",
            "/api/%20//admin",
            "/api/%20/..",
            "/api/%20\\a",
            "/api/%20;a",
            "/api/..;/%20",
        ] {
            assert!(!is_path(path), "{path}");
        }
    }

    #[test]
    fn fields_that_ask_for_another_request_are_known_in_every_notation() {
        let another = |name: &str| {
            let value = HeaderValue::from_static("/admin");
            is_another(&[(name.parse().unwrap(), value)].into_iter().collect())
        };
        for name in ["X-HTTP-Method-Override", "x_http_method_override", "X-Original_URL"] {
            assert!(another(name), "{name}");
        }
        assert!(OTHERS.iter().all(|name| another(name)));
        let others = ["accept", "x-requested-with", "x-forwarded-for", "x", "x-http-method-o"];
        for name in others.into_iter().chain(["x-envoy-original-path"]) {
            assert!(!another(name), "{name}");
        }
    }
}
