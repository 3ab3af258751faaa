//! The origin.

mod fetch;

pub use fetch::{Answer, Ask, HttpOrigin, Origin, PollError, Polling};
//! The origin: forward (passthrough), tunnel (upgrades).

mod failure;
mod forward;
mod patience;
mod tunnel;

pub use forward::{Answer as Passed, Upstream};
pub use tunnel::join;
