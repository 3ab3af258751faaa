//! How the elements of one array become those of another.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;

/// What an array's element is told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// Hash of its value.
    pub(super) value: u64,
    /// Hash of what names it among its siblings (its `id`), if anything does.
    pub(super) id: Option<u64>,
}

/// One step from the old array to the new one, from left to right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Element `.0` of the old array becomes element `.1` of the new one.
    Pair(usize, usize),
    /// The next element of the old array goes.
    Remove,
    /// Element `.0` of the new array comes.
    Add(usize),
}

/// The steps that turn `a` into `b`: equal elements stay, then those with the same id are paired,
/// then those in the same place. O(n log n), near the shortest but not always: the shortest costs
/// O(n^2).
pub(super) fn steps(a: &[Mark], b: &[Mark]) -> Vec<Step> {
    let equal = |(x, y): (&Mark, &Mark)| x.value == y.value;
    let prefix = a.iter().zip(b).take_while(|&pair| equal(pair)).count();
    let (rest_a, rest_b) = (&a[prefix..], &b[prefix..]);
    let suffix = rest_a.iter().rev().zip(rest_b.iter().rev()).take_while(|&p| equal(p)).count();
    let (end_a, end_b) = (a.len() - suffix, b.len() - suffix);

    let mut out: Vec<Step> = (0..prefix).map(|i| Step::Pair(i, i)).collect();
    let whole = (prefix..end_a, prefix..end_b);
    let by_value = |mark: &Mark| Some(mark.value);
    between_anchors(a, b, whole, by_value, &mut out, &mut |gap, out| {
        between_anchors(a, b, gap, |mark| mark.id, out, &mut |gap, out| in_place(gap, out));
    });
    out.extend((0..suffix).map(|i| Step::Pair(end_a + i, end_b + i)));
    out
}

/// A range of the old array and the range of the new one that takes its place.
type Gap = (Range<usize>, Range<usize>);

/// Pairs what `key` tells to be the same in a gap, as far as the order allows, and hands what lies
/// between on to `fill`.
fn between_anchors(
    a: &[Mark],
    b: &[Mark],
    (in_a, in_b): Gap,
    key: impl Fn(&Mark) -> Option<u64>,
    out: &mut Vec<Step>,
    fill: &mut dyn FnMut(Gap, &mut Vec<Step>),
) {
    let (mut at_a, mut at_b) = (in_a.start, in_b.start);
    for (i, j) in align(&a[in_a.clone()], &b[in_b.clone()], key) {
        let (i, j) = (in_a.start + i, in_b.start + j);
        fill((at_a..i, at_b..j), out);
        out.push(Step::Pair(i, j));
        (at_a, at_b) = (i + 1, j + 1);
    }
    fill((at_a..in_a.end, at_b..in_b.end), out);
}

/// Pairs by place; what is left over goes or comes.
fn in_place((a, b): Gap, out: &mut Vec<Step>) {
    let both = a.len().min(b.len());
    out.extend((0..both).map(|i| Step::Pair(a.start + i, b.start + i)));
    out.extend((both..a.len()).map(|_| Step::Remove));
    out.extend((both..b.len()).map(|i| Step::Add(b.start + i)));
}

/// Index pairs with equal keys, ascending in both: the k-th of a key in `b` stands for the k-th in
/// `a`, and of all such pairs a longest chain that crosses none is kept.
fn align(a: &[Mark], b: &[Mark], key: impl Fn(&Mark) -> Option<u64>) -> Vec<(usize, usize)> {
    if a.is_empty() || b.is_empty() {
        return Vec::new();
    }
    let mut places: HashMap<u64, VecDeque<usize>> = HashMap::new();
    for (i, key) in a.iter().enumerate().filter_map(|(i, mark)| Some((i, key(mark)?))) {
        places.entry(key).or_default().push_back(i);
    }
    let mut pairs = Vec::new();
    for (j, mark) in b.iter().enumerate() {
        if let Some(i) = key(mark).and_then(|key| places.get_mut(&key)?.pop_front()) {
            pairs.push((i, j));
        }
    }
    longest_chain(&pairs)
}

/// A longest subsequence of `pairs` whose first members ascend. O(n log n).
fn longest_chain(pairs: &[(usize, usize)]) -> Vec<(usize, usize)> {
    // tails[n]: the pair that ends the chain of n + 1 with the smallest first member.
    let mut tails: Vec<usize> = Vec::new();
    let mut before: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (p, pair) in pairs.iter().enumerate() {
        let n = tails.partition_point(|&tail| pairs[tail].0 < pair.0);
        before.push(n.checked_sub(1).map(|n| tails[n]));
        if n == tails.len() {
            tails.push(p);
        } else {
            tails[n] = p;
        }
    }
    let mut chain = Vec::with_capacity(tails.len());
    let mut next = tails.last().copied();
    while let Some(p) = next {
        chain.push(pairs[p]);
        next = before[p];
    }
    chain.reverse();
    chain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(values: &str) -> Vec<Mark> {
        let id = |c: char| c.is_ascii_alphabetic().then(|| u64::from(c.to_ascii_lowercase()));
        values.chars().map(|c| Mark { value: u64::from(c), id: id(c) }).collect()
    }

    fn changes(a: &str, b: &str) -> Vec<Step> {
        let keep =
            |step: &Step| !matches!(step, Step::Pair(i, j) if a.as_bytes()[*i] == b.as_bytes()[*j]);
        steps(&marks(a), &marks(b)).into_iter().filter(keep).collect()
    }

    #[test]
    fn equal_elements_stay() {
        assert_eq!(changes("abc", "abc"), []);
        assert_eq!(changes("abc", "xabc"), [Step::Add(0)]);
        assert_eq!(changes("abc", "bc"), [Step::Remove]);
        assert_eq!(changes("abcd", "dabc"), [Step::Add(0), Step::Remove]);
        assert_eq!(changes("aaaa", "aa"), [Step::Remove, Step::Remove]);
        assert_eq!(changes("", "a"), [Step::Add(0)]);
    }

    #[test]
    fn the_same_id_is_paired_before_the_same_place() {
        assert_eq!(changes("abc", "bC"), [Step::Remove, Step::Pair(2, 1)]);
        assert_eq!(changes("1b2", "3B4"), [Step::Pair(0, 0), Step::Pair(1, 1), Step::Pair(2, 2)]);
    }
}
