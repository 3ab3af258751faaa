//! What an HTTP message is made of here: body type, field rules, frames of an endless body. Pure.

mod body;
pub mod fields;
mod frames;

pub use body::{Body, BoxError};
pub use frames::{Frame, Frames};
