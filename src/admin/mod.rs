//! The operator's listener: metrics and health, apart from what clients reach.

mod answer;
mod ready;
mod serve;

pub use ready::Ready;
pub use serve::serve;
