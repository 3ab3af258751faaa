//! Text as JavaScript measures it: in UTF-16 code units.

/// FNV-1a, 32 bits, over the UTF-16 code units of `text`: the `check` of `docs/PROTOCOL.md`.
#[must_use]
pub fn check(text: &str) -> u32 {
    let step = |hash: u32, unit: u16| (hash ^ u32::from(unit)).wrapping_mul(16_777_619);
    if text.is_ascii() {
        // The multiplications form one chain; decoding on top of it would double the time.
        return text.bytes().fold(2_166_136_261, |hash, byte| step(hash, u16::from(byte)));
    }
    text.encode_utf16().fold(2_166_136_261, step)
}

/// Number of UTF-16 code units: `length` in JavaScript.
#[must_use]
pub fn utf16_len(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { units_in(text.as_bytes()) }
}

/// Code units that begin in `bytes`, a piece of UTF-8 cut anywhere. Adds up over adjacent pieces.
fn units_in(bytes: &[u8]) -> usize {
    // A lead byte stands for one unit, a four-byte lead (a surrogate pair) for two.
    bytes.iter().map(|&b| usize::from(b & 0xC0 != 0x80) + usize::from(b >= 0xF0)).sum()
}

/// Turns byte offsets of one text into UTF-16 offsets, in constant time each.
pub(super) struct Units<'a> {
    /// The text.
    bytes: &'a [u8],
    /// Units before each multiple of [`Units::STRIDE`]; empty if the text is ASCII, where both
    /// offsets are equal.
    marks: Vec<usize>,
}

impl<'a> Units<'a> {
    const STRIDE: usize = 256;

    /// O(n) once.
    pub(super) fn new(text: &'a str) -> Self {
        let bytes = text.as_bytes();
        let mut marks = Vec::new();
        if !text.is_ascii() {
            marks.reserve(bytes.len() / Self::STRIDE + 1);
            let mut units = 0;
            for chunk in bytes.chunks(Self::STRIDE) {
                marks.push(units);
                units += units_in(chunk);
            }
            marks.push(units);
        }
        Self { bytes, marks }
    }

    /// The UTF-16 offset of the char boundary `at`.
    pub(super) fn at(&self, at: usize) -> usize {
        let mark = at / Self::STRIDE;
        match self.marks.get(mark) {
            Some(units) => units + units_in(&self.bytes[mark * Self::STRIDE..at]),
            None => at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_is_fnv_1a() {
        assert_eq!(check(""), 2_166_136_261);
        assert_eq!(check("a"), 0xe40c_292c);
        assert_eq!(check("foobar"), 0xbf9c_f968);
    }

    #[test]
    fn ascii_and_other_text_count_alike() {
        let text = "aé€😀e\u{301}".repeat(200);
        assert_eq!(utf16_len(&text), text.encode_utf16().count());
        let units = Units::new(&text);
        for (at, _) in text.char_indices().chain([(text.len(), ' ')]) {
            assert_eq!(units.at(at), text[..at].encode_utf16().count());
        }
        assert_eq!(Units::new("abc").at(3), 3);
    }
}
