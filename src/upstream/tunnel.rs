//! Upgraded connections: bytes cross both ways, unread.

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional};

/// Copies both ways until both sides have ended. An end on one side is passed on to the other,
/// whose last bytes still cross. Dropping it closes both.
pub async fn join<A, B>(mut client: A, mut origin: B)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    // How a tunnel ends is the affair of its two ends; a reset isn't a fault of the hop.
    if let Err(error) = copy_bidirectional(&mut client, &mut origin).await {
        tracing::debug!(%error, "tunnel broke off");
    }
}
