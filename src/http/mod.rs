//! What an HTTP message is made of here: body type, field rules, frames of an endless body. Pure.

mod body;
pub mod fields;
mod frames;
mod interim;

pub use body::{Body, BoxError, crossing};
pub use frames::{Frame, Frames};
pub use interim::Interim;

use std::net::SocketAddr;

/// Who sent a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// The other end of the connection.
    pub peer: SocketAddr,
    /// Whether the connection speaks TLS.
    pub tls: bool,
}
