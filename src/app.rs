//! Composition root: the only file that knows every room.

use crate::config::{Config, Source};
use std::net::SocketAddr;

/// Runs the proxy until it is told to leave. `source` is read again when it changes.
///
/// # Errors
/// An address can't be listened on.
pub async fn run(config: Config, source: Source) -> anyhow::Result<()> {
    drop((config, source));
    Ok(())
}

/// Runs the board app with the proxy before it.
///
/// # Errors
/// An address can't be listened on.
pub async fn demo(listen: SocketAddr, admin: Option<SocketAddr>) -> anyhow::Result<()> {
    let _ = (listen, admin);
    Ok(())
}
