//! What says "poll now". So far: writes that pass through.

mod writes;

pub use writes::{Write, touches};
