//! What turns one body into the next. Pure.
//!
//! [`Delta`] rebuilds the new text byte for byte (for the shim); [`patch`] rebuilds its JSON value
//! (for everybody else).

pub mod json;
mod matching;
mod ops;
pub mod patch;
mod script;
#[cfg(test)]
mod tests;
mod text;
#[cfg(test)]
mod vectors;

pub use ops::{ApplyError, Delta, Op, apply};
pub use text::{check, utf16_len};
