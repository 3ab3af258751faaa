//! The binary: see the library's front page.

fn main() {}
