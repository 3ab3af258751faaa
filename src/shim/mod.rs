//! The script in the page: serves it, and writes its tag into HTML.

pub mod inject;
pub mod script;
#[cfg(test)]
mod tests;
