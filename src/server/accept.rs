//! The accept loop: admits clients up to the cap, and survives what accept can fail with.

use super::connection::{self, Admission, Shared};
use super::{Handler, Settings};
use crate::drain::Drain;
use crate::telemetry::Metrics;
use socket2::{SockRef, TcpKeepalive};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// A client that vanished without a word is noticed after about this long, tunnels and streams
/// included.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Wait after a failure that would repeat at once (no file descriptor left, no memory).
const BACKOFF: Duration = Duration::from_millis(100);

/// Serves until the process starts to leave; connections go on as tasks of `drain`.
pub async fn serve<H: Handler>(
    listener: TcpListener,
    handler: H,
    settings: Settings,
    drain: Drain,
    metrics: Metrics,
) {
    let slots = Arc::new(Semaphore::new(settings.connections.min(Semaphore::MAX_PERMITS)));
    let shared = Arc::new(Shared::new(handler, settings, drain.clone(), metrics.clone()));
    let admit = async {
        loop {
            if slots.available_permits() == 0 {
                metrics.limit("connections");
            }
            // The cap comes before accept, so that who is over it waits in the kernel's queue and
            // costs us nothing.
            let Ok(permit) = Arc::clone(&slots).acquire_owned().await else { return };
            let (socket, peer) = accept(&listener).await;
            let admission = Admission::new(permit, metrics.clone());
            drain.spawn(connection::serve(Arc::clone(&shared), socket, peer, admission));
        }
    };
    tokio::select! {
        () = admit => {}
        () = drain.leaving() => {}
    }
}

/// The next client.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                if let Err(error) = tune(&socket) {
                    tracing::debug!(%error, "socket options");
                }
                return (socket, peer);
            }
            // That client left before its turn came; the next one has nothing to do with it.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                tracing::warn!(%error, "can't accept");
                tokio::time::sleep(BACKOFF).await;
            }
        }
    }
}

fn tune(socket: &TcpStream) -> io::Result<()> {
    // An event is small and wanted now: never held back for the acknowledgement of the last one.
    socket.set_nodelay(true)?;
    SockRef::from(socket).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))
}
