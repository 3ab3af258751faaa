//! Colleagues who work on the board, so that the page has something to show. They go in by the
//! front door, as every other user: whatever stands in front of the origin sees their writes pass.

use super::board::{Board, Edit, Item, List, NewItem, Note};
use super::origin::Origin;
use crate::drain::Drain;
use crate::http::{Body, BoxError};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, COOKIE, HOST};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use hyper_util::rt::TokioIo;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpStream;

/// Somebody changes something after at least and at most so many milliseconds.
const PAUSE_MS: std::ops::RangeInclusive<u64> = 4_000..=9_000;
/// A request that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(10);
/// With fewer cards than this they add, with more than [`CROWDED`] they clear away.
const SPARSE: usize = 6;
/// See [`SPARSE`].
const CROWDED: usize = 12;

const NAMES: [&str; 3] = ["Mira", "Jonas", "Aiko"];

const TITLES: [&str; 16] = [
    "Slow search on the orders page",
    "Rename “client” to “customer”",
    "Remove the old export",
    "Write down the on-call steps",
    "Second currency in reports",
    "Fewer mails about mails",
    "Retry failed payments once",
    "Try the new date picker",
    "Undo for deleted rows",
    "Archive projects after a year",
    "Check contrast of the labels",
    "Tidy up feature flags",
    "Show who edited last",
    "Import from spreadsheets",
    "Faster first page",
    "Thank the beta testers",
];

const NOTES: [&str; 8] = [
    "is at lunch until one",
    "cheers for the release",
    "asks: who takes the review?",
    "says: the build is green again",
    "is on the phone with support",
    "found the cause, fix follows",
    "brought cake, it is in the kitchen",
    "says thanks for the quick review",
];

/// One request that a colleague makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Act {
    /// Its method.
    pub method: Method,
    /// Its path.
    pub path: String,
    /// Its body, JSON; empty for a deletion.
    pub body: String,
}

/// Starts the colleagues: every 4 to 9 s one of them changes something, through `front`. They rest
/// while nobody looks, and end when `drain` leaves.
pub fn spawn(drain: &Drain, front: SocketAddr, origin: &Origin, seed: u64) {
    let (on, origin) = (drain.clone(), origin.clone());
    drain.spawn(async move {
        let mut random = fastrand::Rng::with_seed(seed);
        let sids = NAMES.map(|name| origin.login(name));
        loop {
            tokio::select! {
                () = on.leaving() => return,
                () = tokio::time::sleep(Duration::from_millis(random.u64(PAUSE_MS))) => {}
            }
            let Some(act) = origin.plan(&mut random) else { continue };
            let Some(sid) = random.choice(&sids) else { continue };
            tokio::select! {
                () = on.leaving() => return,
                done = tokio::time::timeout(PATIENCE, send(front, act, sid)) => match done {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => tracing::debug!(error, "a colleague met an error"),
                    Err(_) => tracing::debug!("a colleague got no answer"),
                },
            }
        }
    });
}

/// What to do to this board: something plausible that keeps it neither empty nor full. Guests'
/// cards are ticked and moved like all others, but only their colleagues' own are deleted.
pub fn plan(board: &Board, random: &mut fastrand::Rng) -> Act {
    let items: Vec<(&List, &Item)> = board
        .lists()
        .iter()
        .flat_map(|list| list.items.iter().map(move |item| (list, item)))
        .collect();
    let ours: Vec<&Item> = items
        .iter()
        .map(|(_, item)| *item)
        .filter(|item| NAMES.contains(&item.by.as_str()))
        .collect();
    let finished: Vec<&Item> = ours.iter().copied().filter(|item| item.done).collect();
    if items.len() < SPARSE {
        return add(board, random);
    }
    if ours.len() > CROWDED || finished.len() > 4 {
        let pool = if finished.is_empty() { &ours } else { &finished };
        if let Some(item) = random.choice(pool) {
            return act(Method::DELETE, &format!("/api/items/{}", item.id), String::new());
        }
    }
    let Some((list, item)) = random.choice(&items) else { return add(board, random) };
    let path = format!("/api/items/{}", item.id);
    match random.u8(..10) {
        0..=3 => {
            let others: Vec<&List> =
                board.lists().iter().filter(|other| other.id != list.id).collect();
            let to = random.choice(&others).map(|list| list.id.to_owned());
            act(Method::PATCH, &path, body(&Edit { list: to, ..Edit::default() }))
        }
        4..=6 => {
            let edit = Edit { done: Some(!item.done), ..Edit::default() };
            act(Method::PATCH, &path, body(&edit))
        }
        7 | 8 => add(board, random),
        _ => {
            let text = random.choice(NOTES).unwrap_or_default().to_owned();
            act(Method::POST, "/api/actions", body(&Note { text }))
        }
    }
}

/// Adds a title that isn't on the board yet, if there is one.
fn add(board: &Board, random: &mut fastrand::Rng) -> Act {
    let taken = |title: &str| {
        board.lists().iter().any(|list| list.items.iter().any(|item| item.title == title))
    };
    let free: Vec<&str> = TITLES.into_iter().filter(|title| !taken(title)).collect();
    let title = random.choice(&free).copied().unwrap_or(TITLES[0]).to_owned();
    let list = random.choice(board.lists()).map(|list| list.id).unwrap_or_default().to_owned();
    act(Method::POST, "/api/items", body(&NewItem { list, title }))
}

fn act(method: Method, path: &str, body: String) -> Act {
    Act { method, path: path.to_owned(), body }
}

fn body<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// Makes one request on a connection of its own.
pub(super) async fn send(front: SocketAddr, act: Act, sid: &str) -> Result<(), BoxError> {
    let socket = TcpStream::connect(front).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
    let request = Request::builder()
        .method(act.method)
        .uri(act.path)
        .header(HOST, front.to_string())
        .header(COOKIE, format!("sid={sid}"))
        .header(CONTENT_TYPE, "application/json")
        .body(Body::from(Bytes::from(act.body)))?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        answer.into_body().collect().await?;
        drop(sender);
        Ok::<_, hyper::Error>(status)
    };
    // The connection only moves while it is polled; both end together once the sender is dropped.
    let (status, ended) = tokio::join!(exchange, connection);
    ended?;
    match status? {
        status if status.is_success() => Ok(()),
        status => Err(format!("status {status}").into()),
    }
}
