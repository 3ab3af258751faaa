//! Which ranges of the new text stand in the old one.
//!
//! Common prefix and suffix first: most changes are one splice. What lies between is scanned
//! against an index of the old text's 16-byte blocks, so that moved rows are found wherever they
//! were. Time and memory are O(n) whatever the input: a block has a fixed number of candidates, a
//! match is as long as the longest of them, and looking back is capped.

/// A range of the new text that is copied from the old one. In bytes, on char boundaries of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Where it stands in the old text.
    pub(super) old: usize,
    /// Where it stands in the new text.
    pub(super) new: usize,
    /// How long it is.
    pub(super) len: usize,
}

/// Bytes of a block: a copy operation costs about as much as a literal of this length.
const BLOCK: usize = 16;
/// Candidates tried for one block: otherwise a text of equal blocks costs O(n^2).
const CANDIDATES: usize = 8;
/// A match this long is taken without looking at the other candidates.
const LONG: usize = 4096;
/// How far a match may grow back into what was matched before it: otherwise a periodic text costs
/// O(n^2).
const LOOK_BACK: usize = 4096;

/// The runs of `new` that stand in `old`: in order of `new`, without overlap.
pub(super) fn runs(old: &str, new: &str) -> Vec<Run> {
    let (a, b) = (old.as_bytes(), new.as_bytes());
    let prefix = common_prefix(a, b);
    let suffix = common_suffix(&a[prefix..], &b[prefix..]);
    let end = b.len() - suffix;
    let mut found = vec![Run { old: 0, new: 0, len: prefix }];
    // Block positions are held in 32 bits.
    if end - prefix >= BLOCK && a.len() >= BLOCK && u32::try_from(a.len()).is_ok() {
        scan(&Index::new(a), a, b, end, &mut found);
    }
    found.push(Run { old: a.len() - suffix, new: end, len: suffix });
    on_boundaries(new, found)
}

/// Finds runs in `new` from the end of the last one found to `end`.
fn scan(index: &Index, old: &[u8], new: &[u8], end: usize, found: &mut Vec<Run>) {
    let new = &new[..end];
    let mut at = found.last().map_or(0, |run| run.new + run.len);
    while let Some(block) = new[at..].first_chunk::<BLOCK>() {
        let expected = found.last().map_or(at, |run| (run.old + at).saturating_sub(run.new));
        let mut best = Run { old: 0, new: at, len: 0 };
        for candidate in index.near(block, expected) {
            if old[candidate..].first_chunk() != Some(block) {
                continue;
            }
            let len = common_prefix(&old[candidate..], &new[at..]);
            if len > best.len {
                best = Run { old: candidate, new: at, len };
            }
            if len >= LONG {
                break;
            }
        }
        if best.len == 0 {
            at += 1;
        } else {
            at = best.new + best.len;
            push(old, new, best, found);
        }
    }
}

/// Adds a run, grown backwards: what was matched too early to something similar (the keys of a
/// neighbouring row) gives way.
fn push(old: &[u8], new: &[u8], mut run: Run, found: &mut Vec<Run>) {
    let floor = found.last().map_or(0, |last| (last.new + last.len).saturating_sub(LOOK_BACK));
    let back = common_suffix(&old[..run.old], &new[floor..run.new]);
    run = Run { old: run.old - back, new: run.new - back, len: run.len + back };
    while let Some(last) = found.last_mut() {
        if last.new < run.new {
            last.len = last.len.min(run.new - last.new);
            break;
        }
        found.pop();
    }
    found.push(run);
}

/// Trims runs to char boundaries, drops empty ones and joins adjacent ones. A surrogate pair is
/// one UTF-8 char, so it stays whole too.
///
/// The old text needs no look: it has the same bytes there, and the lead byte says how long a char
/// is.
fn on_boundaries(new: &str, mut found: Vec<Run>) -> Vec<Run> {
    let mut kept: Vec<Run> = Vec::with_capacity(found.len());
    for mut run in found.drain(..) {
        while run.len > 0 && !new.is_char_boundary(run.new) {
            run = Run { old: run.old + 1, new: run.new + 1, len: run.len - 1 };
        }
        while run.len > 0 && !new.is_char_boundary(run.new + run.len) {
            run.len -= 1;
        }
        match kept.last_mut() {
            _ if run.len == 0 => {}
            Some(last) if last.old + last.len == run.old && last.new + last.len == run.new => {
                last.len += run.len;
            }
            _ => kept.push(run),
        }
    }
    kept
}

/// Every block of a text at multiples of a step, by hash; positions ascend within a bucket.
struct Index {
    /// Where each bucket begins in `positions`; one more than there are buckets.
    starts: Vec<u32>,
    /// Positions of blocks.
    positions: Vec<u32>,
    /// A hash's upper bits name the bucket.
    shift: u32,
}

impl Index {
    /// O(n). `text` is shorter than 4 GiB.
    fn new(text: &[u8]) -> Self {
        // Short texts afford a finer index, which finds shorter runs.
        let step = match text.len() {
            0..0x1_0000 => 4,
            0x1_0000..0x4_0000 => 8,
            _ => BLOCK,
        };
        let blocks =
            || (0..text.len()).step_by(step).filter_map(|at| Some((at, text[at..].first_chunk()?)));
        let count = (text.len() / step).max(2).next_power_of_two();
        let shift = u128::BITS - count.trailing_zeros();
        let mut starts = vec![0_u32; count + 1];
        for (_, block) in blocks() {
            starts[bucket(block, shift) + 1] += 1;
        }
        for i in 1..starts.len() {
            starts[i] += starts[i - 1];
        }
        let mut next = starts.clone();
        let mut positions = vec![0_u32; starts.last().map_or(0, |&n| n as usize)];
        for (at, block) in blocks() {
            let slot = &mut next[bucket(block, shift)];
            positions[*slot as usize] = u32::try_from(at).unwrap_or(u32::MAX);
            *slot += 1;
        }
        Self { starts, positions, shift }
    }

    /// Positions of blocks that may equal `block`: the nearest to `expected` first, a fixed number
    /// at most.
    fn near(&self, block: &[u8; BLOCK], expected: usize) -> impl Iterator<Item = usize> {
        let bucket = bucket(block, self.shift);
        let span = self.starts[bucket] as usize..self.starts[bucket + 1] as usize;
        let positions = &self.positions[span];
        let split = if positions.len() <= 1 {
            0
        } else {
            positions.partition_point(|&at| (at as usize) < expected)
        };
        let (below, above) = positions.split_at(split);
        let mut above = above.iter().copied().peekable();
        let mut below = below.iter().rev().copied().peekable();
        std::iter::from_fn(move || {
            let up = above.peek().map_or(usize::MAX, |&at| (at as usize).abs_diff(expected));
            let down = below.peek().map_or(usize::MAX, |&at| (at as usize).abs_diff(expected));
            let next = if up <= down { above.next() } else { below.next() };
            next.map(|at| at as usize)
        })
        .take(CANDIDATES)
    }
}

/// The bucket of a block. Not keyed: a text made to collide only loses matches, since candidates
/// are capped and compared.
fn bucket(block: &[u8; BLOCK], shift: u32) -> usize {
    const ODD: u128 = 0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835;
    let hash = u128::from_le_bytes(*block).wrapping_mul(ODD);
    usize::try_from(hash >> shift).unwrap_or(0)
}

/// Bytes that two slices have in common at their beginning.
fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    // Whole chunks compare at memory speed.
    let chunks = a.chunks_exact(64).zip(b.chunks_exact(64)).take_while(|(x, y)| x == y).count();
    let done = chunks * 64;
    done + a[done..].iter().zip(&b[done..]).take_while(|(x, y)| x == y).count()
}

/// Bytes that two slices have in common at their end.
fn common_suffix(a: &[u8], b: &[u8]) -> usize {
    let chunks = a.rchunks_exact(64).zip(b.rchunks_exact(64)).take_while(|(x, y)| x == y).count();
    let done = chunks * 64;
    let (a, b) = (&a[..a.len() - done], &b[..b.len() - done]);
    done + a.iter().rev().zip(b.iter().rev()).take_while(|(x, y)| x == y).count()
}
