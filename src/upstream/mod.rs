//! The origin.

mod fetch;

pub use fetch::{Answer, Ask, HttpOrigin, Origin, PollError, Polling};
