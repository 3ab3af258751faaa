//! What must hold for any bytes: one function per target. A fuzzer feeds them with what reaches new
//! code; `cargo test` with what a fuzzer found before, and with seeded random bytes.
//!
//! A body panics where the property is broken, and says nothing otherwise.

mod config;
mod delta;
mod fields;
mod keys;
mod page;
mod request;
mod wire;

pub use config::config;
pub use delta::{delta, patch};
pub use fields::fields;
pub use keys::keys;
pub use page::page;
pub use request::request;
pub use wire::wire;

/// A target: its name, which is its folder's too, and its body.
pub type Target = (&'static str, fn(&[u8]));

/// All targets.
pub const TARGETS: [Target; 8] = [
    ("config", config),
    ("delta", delta),
    ("fields", fields),
    ("keys", keys),
    ("page", page),
    ("patch", patch),
    ("request", request),
    ("wire", wire),
];

/// Fields out of lines; a line that isn't a field is left out.
fn field_lines(text: &[u8]) -> http::HeaderMap {
    let lines = text.split(|byte| *byte == b'\n').take(100);
    let field = |line: &[u8]| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = http::HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = http::HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        Some((name, value))
    };
    let mut map = http::HeaderMap::new();
    for (name, value) in lines.filter_map(field) {
        map.append(name, value);
    }
    map
}

/// All fields of a map, in its order.
fn flat(map: &http::HeaderMap) -> Vec<(String, Vec<u8>)> {
    map.iter().map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect()
}

/// True if all of `part` stands in `whole`, in that order.
fn is_subsequence<T: PartialEq>(part: &[T], whole: &[T]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|wanted| rest.any(|there| there == wanted))
}

/// Up to and after the first `mark`; without one, nothing comes after.
fn split_once<'a>(data: &'a [u8], mark: &[u8]) -> (&'a [u8], &'a [u8]) {
    match data.windows(mark.len()).position(|window| window == mark) {
        Some(at) => (&data[..at], &data[at + mark.len()..]),
        None => (data, b""),
    }
}
