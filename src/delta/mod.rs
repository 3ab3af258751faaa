//! stand-in
/// x
pub fn utf16_len(s: &str) -> usize {
    s.encode_utf16().count()
}
/// x
pub fn check(_s: &str) -> u32 {
    0
}
