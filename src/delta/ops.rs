//! Copy/insert operations: the `ops` of a `delta` event (`docs/PROTOCOL.md`, section 2).
//!
//! Format: a JSON array; `[offset, length]` copies a range of the old text, a string is inserted.
//! Offsets and lengths are UTF-16 code units, what a JavaScript string slices by. Valid: every
//! range lies in the old text. Algorithm: concatenate.

use super::json::{escaped_len, push_string, string_len};
use super::matching::{Run, runs};
use super::text::Units;
use serde::de::{Deserialize, Deserializer, Error as _, SeqAccess, Visitor};
use std::fmt::{self, Write as _};

/// One step of a delta.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Copies a range of the old text, in UTF-16 code units.
    Copy {
        /// Where it begins.
        offset: usize,
        /// How many units.
        len: usize,
    },
    /// Inserts this text.
    Insert(String),
}

/// What builds a new text from an old one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delta {
    /// In order of the new text.
    ops: Vec<Op>,
    /// Length of their JSON, in bytes.
    encoded_len: usize,
}

/// By how much the rest of a `delta` event may exceed the rest of a `snapshot` event: `"from":"<32
/// digits>","ops":` against `"status":200,"body":`, where both carry `headers`.
const ENVELOPE: usize = 28;
/// Longer runs (in bytes) are always cheaper copied: brackets, commas and two numbers of 10 digits
/// are 24.
const LITERAL_AT_MOST: usize = 32;

impl Delta {
    /// What turns `old` into `new`, or `None` where the whole text is the better message: the
    /// operations take more than half of it, or the `delta` event would be longer than the
    /// `snapshot` event. O(n).
    #[must_use]
    pub fn between(old: &str, new: &str) -> Option<Self> {
        let delta = Self::any_between(old, new);
        let fits = |body: usize| {
            delta.encoded_len <= body / 2 && delta.encoded_len.saturating_add(ENVELOPE) <= body
        };
        // Escapes only lengthen the body: mostly the cheap bound decides.
        (fits(new.len() + 2) || fits(string_len(new))).then_some(delta)
    }

    /// As [`Delta::between`], but however long it is.
    #[must_use]
    pub fn any_between(old: &str, new: &str) -> Self {
        let units = Units::new(old);
        let runs = runs(old, new);
        let copies: Vec<Op> = runs
            .iter()
            .map(|run| {
                let offset = units.at(run.old);
                Op::Copy { offset, len: units.at(run.old + run.len) - offset }
            })
            .collect();
        let kept = worth_copying(new, &runs, &copies);
        let mut ops = Vec::with_capacity(runs.len() * 2 + 1);
        let mut at = 0;
        for ((run, copy), kept) in runs.iter().zip(copies).zip(kept) {
            if kept {
                if run.new > at {
                    ops.push(Op::Insert(new[at..run.new].to_owned()));
                }
                ops.push(copy);
                at = run.new + run.len;
            }
        }
        if at < new.len() {
            ops.push(Op::Insert(new[at..].to_owned()));
        }
        let encoded_len = 1 + ops.len().max(1) + ops.iter().map(Op::encoded_len).sum::<usize>();
        Self { ops, encoded_len }
    }

    /// The operations, in order.
    #[must_use]
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// The operations as they go on the wire: `[[0,40],"true",[45,73]]`.
    #[must_use]
    pub fn ops_json(&self) -> String {
        let mut out = String::with_capacity(self.encoded_len);
        out.push('[');
        for (i, op) in self.ops.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            match op {
                // Writing to a string can't fail.
                Op::Copy { offset, len } => {
                    let _ = write!(out, "[{offset},{len}]");
                }
                Op::Insert(text) => push_string(&mut out, text),
            }
        }
        out.push(']');
        out
    }

    /// Length of [`Delta::ops_json`] in bytes, without building it.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        self.encoded_len
    }
}

impl Op {
    /// Bytes of its JSON.
    fn encoded_len(&self) -> usize {
        match self {
            Self::Copy { offset, len } => 3 + digits(*offset) + digits(*len),
            Self::Insert(text) => string_len(text),
        }
    }
}

/// Decimal digits of `n`.
fn digits(n: usize) -> usize {
    n.checked_ilog10().map_or(1, |log| log as usize + 1)
}

/// For each run, whether copying it makes the shortest message: a short run between two literals
/// is cheaper written out.
///
/// Two states (the message so far ends in a literal or in a copy), the cheapest way to each: O(n).
fn worth_copying(new: &str, runs: &[Run], copies: &[Op]) -> Vec<bool> {
    const QUOTES_AND_COMMA: usize = 3;
    const NEVER: usize = usize::MAX / 2;
    let bytes = new.as_bytes();
    let (mut in_copy, mut in_literal) = (0, NEVER);
    // Whether the cheapest way to [copy, literal] at this run came from the literal state.
    let mut ways = Vec::with_capacity(runs.len());
    let mut at = 0;
    for (run, copy) in runs.iter().zip(copies) {
        let gap = escaped_len(&bytes[at..run.new]);
        let open = in_copy + QUOTES_AND_COMMA;
        let from_literal = in_literal < open;
        let literal = in_literal.min(open) + gap;
        // Without a gap the copy state goes on as it is.
        let before = if gap == 0 { in_literal.min(in_copy) } else { literal };
        let copy_from_literal = if gap == 0 { in_literal < in_copy } else { from_literal };
        ways.push([copy_from_literal, from_literal]);
        let text = &bytes[run.new..run.new + run.len];
        in_copy = before + copy.encoded_len() + 1;
        in_literal = if run.len > LITERAL_AT_MOST { NEVER } else { literal + escaped_len(text) };
        at = run.new + run.len;
    }
    let mut literal = if at < bytes.len() {
        in_literal < in_copy + QUOTES_AND_COMMA
    } else {
        in_literal < in_copy
    };
    let mut kept = vec![false; runs.len()];
    for (kept, way) in kept.iter_mut().zip(&ways).rev() {
        *kept = !literal;
        literal = way[usize::from(literal)];
    }
    kept
}

/// Why operations don't fit a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// A range ends behind the old text.
    #[error("a copied range lies outside the old text")]
    Range,
    /// The result would hold half of a surrogate pair.
    #[error("a copied range splits a surrogate pair")]
    Surrogate,
}

/// Builds the new text. The caller compares [`super::utf16_len`] and [`super::check`] with the
/// event's.
pub fn apply(old: &str, ops: &[Op]) -> Result<String, ApplyError> {
    let range = |offset: &usize, len: &usize| *offset..offset.saturating_add(*len);
    if old.is_ascii() {
        let mut new = String::new();
        for op in ops {
            new.push_str(match op {
                Op::Copy { offset, len } => old.get(range(offset, len)).ok_or(ApplyError::Range)?,
                Op::Insert(text) => text,
            });
        }
        return Ok(new);
    }
    let old: Vec<u16> = old.encode_utf16().collect();
    let mut new = Vec::new();
    for op in ops {
        match op {
            Op::Copy { offset, len } => {
                new.extend_from_slice(old.get(range(offset, len)).ok_or(ApplyError::Range)?);
            }
            Op::Insert(text) => new.extend(text.encode_utf16()),
        }
    }
    String::from_utf16(&new).map_err(|_| ApplyError::Surrogate)
}

impl<'de> Deserialize<'de> for Op {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OpVisitor)
    }
}

/// Reads an operation. By hand: an untagged enum can't hold numbers while `serde_json` keeps them
/// as text.
struct OpVisitor;

impl<'de> Visitor<'de> for OpVisitor {
    type Value = Op;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or [offset, length]")
    }

    fn visit_str<E>(self, text: &str) -> Result<Op, E> {
        Ok(Op::Insert(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Op, A::Error> {
        let missing = || A::Error::custom("an operation needs an offset and a length");
        let offset = seq.next_element()?.ok_or_else(missing)?;
        let len = seq.next_element()?.ok_or_else(missing)?;
        if seq.next_element::<serde::de::IgnoredAny>()?.is_some() {
            return Err(A::Error::custom("an operation has two numbers"));
        }
        Ok(Op::Copy { offset, len })
    }
}
