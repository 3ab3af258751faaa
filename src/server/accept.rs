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
    last(listener, &slots, &shared, &metrics);
}

/// Lets in who stands in the queue already: with the socket the kernel would reset them. (A socket
/// that was handed over lives on, and its queue with it; who is served here isn't lost either.)
fn last<H: Handler>(
    listener: TcpListener,
    slots: &Arc<Semaphore>,
    shared: &Arc<Shared<H>>,
    metrics: &Metrics,
) {
    // Asked of the kernel itself: the runtime may not have heard of the newest yet.
    let Ok(listener) = listener.into_std() else { return };
    while let Ok(permit) = Arc::clone(slots).try_acquire_owned() {
        let (socket, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) if passing(&error) => continue,
            Err(_) => return,
        };
        let socket = socket.set_nonblocking(true).and_then(|()| TcpStream::from_std(socket));
        let Ok(socket) = socket.inspect(tuned) else { continue };
        let admission = Admission::new(permit, metrics.clone());
        shared.drain.spawn(connection::serve(Arc::clone(shared), socket, peer, admission));
    }
}

/// The next client.
async fn accept(listener: &TcpListener) -> (TcpStream, SocketAddr) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                tuned(&socket);
                return (socket, peer);
            }
            Err(error) if passing(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "can't accept");
                tokio::time::sleep(BACKOFF).await;
            }
        }
    }
}

/// True if a client left before its turn came: the next one has nothing to do with it.
fn passing(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}

fn tuned(socket: &TcpStream) {
    if let Err(error) = tune(socket) {
        tracing::debug!(%error, "socket options");
    }
}

fn tune(socket: &TcpStream) -> io::Result<()> {
    // An event is small and wanted now: never held back for the acknowledgement of the last one.
    socket.set_nodelay(true)?;
    SockRef::from(socket).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))
}
