//! One observed state of a topic.

use crate::delta;
use bytes::Bytes;
use http::HeaderMap;
use std::sync::Arc;
use tokio::time::Instant;

/// Names a state: equal hashes mean equal status, relevant fields and body (but for what the watch
/// ignores). The first 128 bits of blake3, in hexadecimal digits; the same in every process.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StateHash([u8; 32]);

impl StateHash {
    /// The hash as 32 lower-case hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Reads the form of [`StateHash::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; 32] = text.as_bytes().try_into().ok()?;
        let ok = |b: &u8| b.is_ascii_digit() || (b'a'..=b'f').contains(b);
        digits.iter().all(ok).then_some(Self(digits))
    }

    pub(super) fn of(hash: blake3::Hash) -> Self {
        let hex = hash.to_hex();
        let mut digits = [0; 32];
        digits.copy_from_slice(&hex.as_bytes()[..32]);
        Self(digits)
    }
}

impl std::fmt::Debug for StateHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}…", &self.as_str()[..8])
    }
}

/// What a conditional poll sends back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Validator {
    /// An entity tag, for `If-None-Match`.
    Tag(http::HeaderValue),
    /// A date, for `If-Modified-Since`.
    Date(http::HeaderValue),
}

impl Validator {
    /// The validator of an answer. A date alone is only as fine as a second, so two states within
    /// one would look the same: it isn't used. Nor is a weak tag that may be made of such a date
    /// where no browser would ever ask by it.
    #[must_use]
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let tag = headers.get(http::header::ETAG).cloned().map(Self::Tag)?;
        (!tag.is_weak() || !super::answer::is_unstored(headers)).then_some(tag)
    }

    /// RFC 9110 §8.8.1: a weak validator "might not change for every change to the representation
    /// data".
    #[must_use]
    pub fn is_weak(&self) -> bool {
        match self {
            Self::Tag(tag) => tag.as_bytes().starts_with(b"W/"),
            Self::Date(_) => true,
        }
    }
}

/// One observed 200 of a topic.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Names the state.
    pub hash: StateHash,
    /// The instant its request began: observations are ordered by it.
    pub begun: Instant,
    /// Fields for the page, in order: names in lower case, values as text.
    pub fields: Vec<(String, String)>,
    /// The body as the origin sent it, without content coding.
    pub body: Arc<str>,
    /// Length of the body in UTF-16 code units.
    pub utf16_len: usize,
    /// FNV-1a over the UTF-16 code units of the body.
    pub check: u32,
    /// For the next conditional poll.
    pub validator: Option<Validator>,
    /// The origin says that it is for one user.
    pub private: bool,
    /// Of them those that a page of another host may read, where such a one asks.
    pub readable: Option<Vec<(String, String)>>,
}

impl Snapshot {
    pub(super) fn new(begun: Instant, headers: &HeaderMap, body: &str, hash: StateHash) -> Self {
        Self {
            hash,
            begun,
            fields: super::answer::exposed(headers),
            utf16_len: delta::utf16_len(body),
            check: delta::check(body),
            validator: Validator::of(headers),
            private: super::answer::is_private(headers),
            readable: None,
            body: body.into(),
        }
    }

    /// Without the fields that aren't compared and may tell of whoever asked: what is left may go
    /// to others.
    #[must_use]
    pub fn for_others(mut self) -> Self {
        self.fields.retain(|(name, _)| super::answer::is_common(name));
        if let Some(readable) = &mut self.readable {
            readable.retain(|(name, _)| super::answer::is_common(name));
        }
        self
    }

    /// The fields that the page may see.
    #[must_use]
    pub fn shown(&self) -> &[(String, String)] {
        self.readable.as_ref().unwrap_or(&self.fields)
    }

    /// The media type, as the origin wrote it.
    #[must_use]
    pub fn media_type(&self) -> &str {
        let found = self.fields.iter().find(|(name, _)| name == "content-type");
        found.map_or("", |(_, value)| value)
    }

    /// Bytes this snapshot holds, near enough for a cap.
    #[must_use]
    pub fn cost(&self) -> usize {
        let fields = self.fields.iter().map(|(n, v)| n.len() + v.len() + 48).sum::<usize>();
        self.body.len() + fields + 256
    }

    /// The body as bytes, shared: a thousand slow readers of one snapshot hold it once.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        Bytes::from_owner(Shared(Arc::clone(&self.body)))
    }
}

/// A body that [`Bytes`] may own.
struct Shared(Arc<str>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
