//! stand-in until delta lands
use std::ops::Range;
/// x
pub fn masked(_body: &[u8], _p: &[Vec<String>]) -> Vec<Range<usize>> {
    Vec::new()
}
