//! The event stream: requests, frames, beats, lifetimes. Takes any source of topic events; never
//! sees who holds the topics.

mod events;
pub mod frames;
mod request;

pub use events::{Bye, EventStream, Pace, Signal, Source};
pub use request::{Fault, StreamRequest, Wanted, is_target, plain_fields};
