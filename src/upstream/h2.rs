//! Opens HTTP/2 connections to the origin.

use super::failure::classify;
use super::kept::{Kept, Load, Sender};
use super::link::{Line, Link};
use crate::drain::Drain;
use crate::error::{Cause, Error};
use crate::http::Body;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Bytes of an answer that its client hasn't taken yet. Less would slow down what comes from afar:
/// this is 10 MB/s over 100 ms.
const STREAM_WINDOW: u32 = 1 << 20;

/// The same of all answers of a connection: the most that the protocol has, so that clients that
/// take nothing never use it up and hold up the others. What they hold is bounded by
/// [`STREAM_WINDOW`] each.
const CONNECTION_WINDOW: u32 = (1 << 31) - 1;

/// A silent origin is asked after this whether it lives.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// It may be too busy to answer for so long before the connection is given up, and its requests
/// with it. New ones go to another connection earlier ([`Kept::take`]).
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// Stands for the number of requests that the origin takes at once until it has said it: more than
/// it could say.
const UNTOLD: usize = usize::MAX - 1;

/// It may take so long to say it. Then it gets requests all the same, unless there is another
/// connection: it may have no room for one more, and leave it where the kernel has put it.
const FIRST_WORD: Duration = Duration::from_secs(1);

/// How often to look whether it has.
const LOOK: Duration = Duration::from_millis(1);

/// The driver of a connection.
type Driver = Pin<Box<http2::Connection<TokioIo<Line>, Body, Spawner>>>;

/// Makes a connection of `link` that reads heads of up to `head_bytes`, and keeps it in `kept` for
/// more requests than this one.
pub(super) async fn open(
    link: Link,
    head_bytes: usize,
    kept: &Kept,
    drain: &Drain,
) -> Result<Sender, Error> {
    let (line, heard) = Line::new(link);
    let mut builder = http2::Builder::new(Spawner(drain.clone()));
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .initial_max_send_streams(UNTOLD)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_header_list_size(u32::try_from(head_bytes).unwrap_or(u32::MAX));
    let (inner, driver) = builder.handshake(TokioIo::new(line)).await.map_err(classify)?;
    let mut driver = Box::pin(driver);
    match tokio::time::timeout(FIRST_WORD, told(&mut driver)).await {
        Ok(told) => told?,
        Err(_) if kept.is_empty() => {}
        Err(_) => return Err(Cause::ConnectTimeout.into()),
    }
    let load = kept.load();
    load.allow(driver.current_max_send_streams());
    let sender = kept.keep(inner, Arc::clone(&load), heard);
    let (kept, leaving) = (kept.clone(), drain.clone());
    drain.spawn(async move {
        let end = tokio::select! {
            end = drive(&mut driver, &load) => end,
            () = leaving.leaving() => {
                // Kept for requests to come, it would never end.
                kept.forget(&load);
                drive(&mut driver, &load).await
            }
        };
        if let Err(error) = end {
            tracing::debug!(%error, "origin connection broke off");
        }
    });
    Ok(sender)
}

/// Waits until the origin has said how many requests it takes at once: a crowd that didn't know
/// would be refused. RFC 9113 §3.4: "The server connection preface consists of a potentially empty
/// SETTINGS frame (Section 6.5) that MUST be the first frame the server sends in the HTTP/2
/// connection."
async fn told(driver: &mut Driver) -> Result<(), Error> {
    // The library tells nobody when it comes.
    while driver.current_max_send_streams() == UNTOLD {
        if let Ok(end) = tokio::time::timeout(LOOK, &mut *driver).await {
            return Err(end.err().map_or(Cause::Closed.into(), classify));
        }
    }
    Ok(())
}

/// Drives a connection to its end. Each request wakes it, and the next knows what the origin has
/// said meanwhile.
async fn drive(driver: &mut Driver, load: &Load) -> hyper::Result<()> {
    poll_fn(|cx| {
        let end = driver.as_mut().poll(cx);
        load.allow(driver.current_max_send_streams());
        end
    })
    .await
}

/// Spawns what HTTP/2 needs as tasks that leaving waits for.
#[derive(Clone)]
struct Spawner(Drain);

impl<F> hyper::rt::Executor<F> for Spawner
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn(task);
    }
}
