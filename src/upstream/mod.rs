//! The origin: forward (passthrough), tunnel (upgrades), fetch (central polls).

mod answering;
mod dial;
mod exchange;
mod expect;
mod failure;
mod fetch;
mod forward;
mod h2;
mod kept;
mod link;
mod outbound;
mod patience;
mod pool;
mod trust;
mod tunnel;

pub use fetch::{Answer, Ask, HttpOrigin, Origin, PollError, Polling, is_askable};
pub use forward::{Answer as Passed, Upstream};
pub use tunnel::join;
