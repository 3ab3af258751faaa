//! Tracing, and every metric family in one place.

mod lines;
mod metrics;
mod process;

pub use lines::{Lines, init, is_filter};
pub use metrics::{CONTENT_TYPE, Metrics};
