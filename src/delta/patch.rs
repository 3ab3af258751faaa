//! JSON Patch (RFC 6902) between two bodies: the `patch` event of the plain view.
//!
//! A patch rebuilds the value, not the bytes: where only white space, escapes or the order of
//! members differ, it is empty (RFC 8259, section 4: an object is an unordered collection).
//! Numbers go by their digits, `1.0` isn't `1`, and values are sent as the origin wrote them.

use super::json::{byte, decoded, is_valid, push_escaped, skip_space, string_end, value_end};
use super::script::{Mark, Step, steps};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash, Hasher as _};

/// Deeper values aren't patched: most parsers refuse them, and both sides recurse.
const MAX_DEPTH: usize = 128;
/// Members that tell an element of an array from its siblings; the first that is there counts.
const IDS: [&str; 4] = ["id", "_id", "uuid", "key"];

/// The patch that turns `old` into `new`, or `None` where the whole body is the better or the only
/// message: one of them isn't JSON, has duplicate keys or keys with half of a surrogate pair,
/// nests deeper than 128, or the patch isn't smaller than `new`.
#[must_use]
pub fn diff(old: &str, new: &str) -> Option<String> {
    let (old, new_root) = (parse(old)?, parse(new)?);
    let mut patch =
        Patch { out: "[".to_owned(), path: String::new(), limit: new.len(), full: false };
    patch.value(&old, &new_root);
    patch.out.push(']');
    (!patch.full && patch.out.len() < new.len()).then_some(patch.out)
}

/// A JSON value and where it stands.
struct Node<'a> {
    /// As the origin wrote it.
    raw: &'a str,
    /// Equal values have equal hashes: order of members, white space and escapes don't count.
    hash: u64,
    /// What is in it.
    kind: Kind<'a>,
}

/// What a value is made of.
enum Kind<'a> {
    /// A number, a string or a literal.
    Scalar,
    /// Its elements.
    Array(Vec<Node<'a>>),
    /// Its members, no name twice.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl Node<'_> {
    /// What it is told by among its siblings.
    fn mark(&self) -> Mark {
        let id = match &self.kind {
            Kind::Object(members) => IDS.iter().find_map(|id| {
                members.iter().find(|(name, _)| name == id).map(|(_, value)| value.hash)
            }),
            Kind::Scalar | Kind::Array(_) => None,
        };
        Mark { value: self.hash, id }
    }
}

/// Hash of anything. Fixed keys, so that the same bodies give the same patch; where two hashes are
/// equal, values are compared.
fn hash_of(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

/// Reads a whole text.
fn parse(text: &str) -> Option<Node<'_>> {
    if !is_valid(text) {
        return None;
    }
    let mut at = skip_space(text.as_bytes(), 0);
    node(text, &mut at, 0)
}

/// Reads the value at `at` of a valid text, and moves behind it.
fn node<'a>(text: &'a str, at: &mut usize, depth: usize) -> Option<Node<'a>> {
    let bytes = text.as_bytes();
    let start = *at;
    let (hash, kind) = match byte(bytes, start) {
        b'[' | b'{' if depth == MAX_DEPTH => return None,
        b'[' => array(text, at, depth)?,
        b'{' => object(text, at, depth)?,
        b'"' => {
            *at = string_end(bytes, start);
            let raw = &text[start..*at];
            (hash_of(decoded(raw).as_deref().unwrap_or(raw)), Kind::Scalar)
        }
        _ => {
            *at = value_end(bytes, start);
            (hash_of((0_u8, &text[start..*at])), Kind::Scalar)
        }
    };
    Some(Node { raw: &text[start..*at], hash, kind })
}

/// Reads the array at `at`.
fn array<'a>(text: &'a str, at: &mut usize, depth: usize) -> Option<(u64, Kind<'a>)> {
    let bytes = text.as_bytes();
    let mut elements = Vec::new();
    *at = skip_space(bytes, *at + 1);
    while byte(bytes, *at) != b']' {
        elements.push(node(text, at, depth + 1)?);
        *at = next_child(bytes, *at);
    }
    *at += 1;
    let hashes: Vec<u64> = elements.iter().map(|node| node.hash).collect();
    Some((hash_of((1_u8, hashes)), Kind::Array(elements)))
}

/// Reads the object at `at`.
fn object<'a>(text: &'a str, at: &mut usize, depth: usize) -> Option<(u64, Kind<'a>)> {
    let bytes = text.as_bytes();
    let mut members: Vec<(Cow<'a, str>, Node<'a>)> = Vec::new();
    let mut sum = 0_u64;
    *at = skip_space(bytes, *at + 1);
    while byte(bytes, *at) != b'}' {
        let end = string_end(bytes, *at);
        let name = decoded(&text[*at..end])?;
        *at = skip_space(bytes, skip_space(bytes, end) + 1);
        let value = node(text, at, depth + 1)?;
        sum = sum.wrapping_add(hash_of((&name, value.hash)));
        members.push((name, value));
        *at = next_child(bytes, *at);
    }
    *at += 1;
    (!has_duplicates(&members)).then(|| (hash_of((2_u8, sum)), Kind::Object(members)))
}

/// From behind a child to the next one, or to the closing bracket.
fn next_child(bytes: &[u8], at: usize) -> usize {
    let at = skip_space(bytes, at);
    if byte(bytes, at) == b',' { skip_space(bytes, at + 1) } else { at }
}

/// Whether a name stands twice: a patch would reach one of them, and which one is up to the parser.
fn has_duplicates(members: &[(Cow<'_, str>, Node<'_>)]) -> bool {
    if members.len() <= 8 {
        return (1..members.len()).any(|i| members[..i].iter().any(|m| m.0 == members[i].0));
    }
    let mut seen = HashSet::with_capacity(members.len());
    !members.iter().all(|(name, _)| seen.insert(name))
}

/// The members by name.
fn by_name<'m, 'a>(members: &'m [(Cow<'a, str>, Node<'a>)]) -> HashMap<&'m str, &'m Node<'a>> {
    members.iter().map(|(name, value)| (name.as_ref(), value)).collect()
}

/// Whether two values are equal.
fn same(a: &Node<'_>, b: &Node<'_>) -> bool {
    if a.hash != b.hash {
        return false;
    }
    match (&a.kind, &b.kind) {
        _ if a.raw == b.raw => true,
        (Kind::Array(a), Kind::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Kind::Object(a), Kind::Object(b)) => {
            let names = by_name(b);
            a.len() == b.len()
                && a.iter().all(|(name, a)| names.get(name.as_ref()).is_some_and(|b| same(a, b)))
        }
        (Kind::Scalar, Kind::Scalar) => {
            let strings = a.raw.starts_with('"') && b.raw.starts_with('"');
            strings && decoded(a.raw).is_some_and(|text| decoded(b.raw) == Some(text))
        }
        _ => false,
    }
}

/// A patch being written.
struct Patch {
    /// The operations so far.
    out: String,
    /// JSON pointer to the value at hand, as it stands within a JSON string.
    path: String,
    /// Nothing is written beyond this: otherwise long keys above many changes cost O(n^2).
    limit: usize,
    /// The limit was met, so `out` misses operations.
    full: bool,
}

impl Patch {
    /// Writes what turns `a` into `b` at the current path.
    fn value(&mut self, a: &Node<'_>, b: &Node<'_>) {
        if self.full || same(a, b) {
            return;
        }
        let start = self.out.len();
        match (&a.kind, &b.kind) {
            (Kind::Array(a), Kind::Array(b)) => self.elements(a, b),
            (Kind::Object(a), Kind::Object(b)) => self.members(a, b),
            _ => return self.op("replace", Some(b.raw)),
        }
        let replace =
            r#",{"op":"replace","path":"","value":}"#.len() + self.path.len() + b.raw.len();
        if self.full || self.out.len() - start > replace {
            self.full = false;
            self.out.truncate(start);
            self.op("replace", Some(b.raw));
        }
    }

    /// As [`Patch::value`], for objects.
    fn members(&mut self, a: &[(Cow<'_, str>, Node<'_>)], b: &[(Cow<'_, str>, Node<'_>)]) {
        let (in_a, in_b) = (by_name(a), by_name(b));
        for (name, a) in a {
            match in_b.get(name.as_ref()) {
                Some(b) => self.at(name, |patch| patch.value(a, b)),
                None => self.at(name, |patch| patch.op("remove", None)),
            }
        }
        for (name, b) in b {
            if !in_a.contains_key(name.as_ref()) {
                self.at(name, |patch| patch.op("add", Some(b.raw)));
            }
        }
    }

    /// As [`Patch::value`], for arrays. Operations go from left to right, each at the index it has
    /// by then.
    fn elements(&mut self, a: &[Node<'_>], b: &[Node<'_>]) {
        let marks = |nodes: &[Node<'_>]| nodes.iter().map(Node::mark).collect::<Vec<_>>();
        let mut index = 0;
        for step in steps(&marks(a), &marks(b)) {
            if self.full {
                return;
            }
            let kept = step != Step::Remove;
            match step {
                Step::Pair(i, j) if same(&a[i], &b[j]) => {}
                Step::Pair(i, j) => self.at_index(index, |patch| patch.value(&a[i], &b[j])),
                Step::Remove => self.at_index(index, |patch| patch.op("remove", None)),
                Step::Add(j) => self.at_index(index, |patch| patch.op("add", Some(b[j].raw))),
            }
            index += usize::from(kept);
        }
    }

    /// Works one level deeper, at a member.
    fn at(&mut self, name: &str, work: impl FnOnce(&mut Self)) {
        let end = self.path.len();
        self.path.push('/');
        // "'~' needs to be encoded as '~0' and '/' needs to be encoded as '~1'" (RFC 6901, section
        // 3).
        if name.contains(['~', '/']) {
            push_escaped(&mut self.path, &name.replace('~', "~0").replace('/', "~1"));
        } else {
            push_escaped(&mut self.path, name);
        }
        work(self);
        self.path.truncate(end);
    }

    /// Works one level deeper, at an element.
    fn at_index(&mut self, index: usize, work: impl FnOnce(&mut Self)) {
        let end = self.path.len();
        // Writing to a string can't fail.
        let _ = write!(self.path, "/{index}");
        work(self);
        self.path.truncate(end);
    }

    /// Writes one operation at the current path.
    fn op(&mut self, name: &str, value: Option<&str>) {
        let value_len = value.map_or(0, |raw| compact(raw).map(str::len).sum());
        if self.full || self.out.len() + self.path.len() + value_len > self.limit {
            self.full = true;
            return;
        }
        let comma = if self.out.len() > 1 { "," } else { "" };
        let _ = write!(self.out, r#"{comma}{{"op":"{name}","path":"{}""#, self.path);
        if let Some(raw) = value {
            self.out.push_str(",\"value\":");
            self.out.extend(compact(raw));
        }
        self.out.push('}');
    }
}

/// The pieces of a JSON text without the white space between its tokens.
fn compact(raw: &str) -> impl Iterator<Item = &str> {
    let bytes = raw.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        at = skip_space(bytes, at);
        let start = at;
        while at < bytes.len() && !matches!(bytes[at], b' ' | b'\t' | b'\n' | b'\r') {
            at = if bytes[at] == b'"' { string_end(bytes, at) } else { at + 1 };
        }
        (at > start).then(|| &raw[start..at])
    })
}
