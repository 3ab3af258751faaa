//! The origin: forward (passthrough), tunnel (upgrades), fetch (central polls; the only file that
//! names reqwest).

mod failure;
mod fetch;
mod forward;
mod patience;
mod reuse;
mod tunnel;

pub use fetch::{Answer, Ask, HttpOrigin, Origin, PollError, Polling, is_askable};
pub use forward::{Answer as Passed, Upstream};
pub use tunnel::join;
