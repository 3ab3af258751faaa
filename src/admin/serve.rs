//! Accept loop of the operator's listener.

use super::alarms::NAME_MOST;
use super::{Desk, answer::answer};
use crate::drain::Drain;
use http_body_util::{BodyExt as _, Limited};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Scrapers and probes are few; whoever opens more waits.
const CONNECTIONS: usize = 64;

/// A client that doesn't send a head, or stays idle, for this long is cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);

/// With no descriptor left, accept fails at once and for ever: without a pause the loop would take
/// a whole core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves the operator until it is time to leave. Spawn it through [`Drain::spawn`].
pub async fn serve(listener: TcpListener, desk: Desk, drain: Drain) {
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = async {
            let seat = Arc::clone(&seats).acquire_owned().await;
            (listener.accept().await, seat)
        };
        let (accepted, seat) = tokio::select! {
            accepted = accepted => accepted,
            () = drain.leaving() => return,
        };
        match (accepted, seat) {
            (Ok((socket, _)), Ok(seat)) => {
                drain.spawn(converse(socket, seat, desk.clone(), drain.clone()));
            }
            (Err(error), _) => {
                tracing::warn!(%error, "the operator's listener can't accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            // The semaphore is never closed.
            (_, Err(_)) => return,
        }
    }
}

async fn converse(socket: TcpStream, seat: OwnedSemaphorePermit, desk: Desk, drain: Drain) {
    let service = service_fn(|request: http::Request<hyper::body::Incoming>| {
        let desk = desk.clone();
        async move {
            let (parts, body) = request.into_parts();
            let body = Limited::new(body, NAME_MOST).collect();
            // Too long, too slow or broken off: no name of a watch.
            let body = tokio::time::timeout(HEAD_TIMEOUT, body).await;
            let body = body.ok().and_then(Result::ok).map(http_body_util::Collected::to_bytes);
            let request = http::Request::from_parts(parts, body.unwrap_or_default());
            Ok::<_, Infallible>(answer(&request, &desk))
        }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(16 * 1024)
        .serve_connection(TokioIo::new(socket), service);
    let mut connection = std::pin::pin!(connection);
    // Errors here are the client's: it hung up, or sent no HTTP.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = drain.leaving() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
    drop(seat);
}
