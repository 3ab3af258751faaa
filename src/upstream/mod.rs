//! The origin: forward (passthrough), tunnel (upgrades).

mod failure;
mod forward;
mod patience;
mod tunnel;

pub use forward::{Answer, Upstream};
pub use tunnel::join;
