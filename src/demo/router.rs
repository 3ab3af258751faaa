//! One request to the demo's origin, top to bottom.

use super::board::Refusal;
use super::origin::Shared;
use super::page::{self, Asset};
use super::session;
use crate::http::Body;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, SET_COOKIE};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body as HttpBody;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use std::time::Duration;

/// A request body has at most so many bytes.
pub(super) const BODY_MAX_BYTES: usize = 16 * 1024;
/// A request body has to be complete within this time, or its connection would be held for ever.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// The field by which a page marks its writes; the mark comes back in the event.
pub(super) const MARK: &str = "x-client-mark";
/// A mark has at most so many characters.
const MARK_MAX: usize = 32;

/// Why a request isn't done: the client's fault, but for `Broken`.
enum Fault {
    NotFound,
    Method(&'static str),
    BadBody,
    TooLong,
    Slow,
    Refused(Refusal),
    Broken,
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// An answer in the making: status and JSON.
type Done = Result<(StatusCode, Vec<u8>), Fault>;

/// Answers one request.
pub(super) async fn answer<B>(shared: &Shared, request: Request<B>) -> Response<Body>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<crate::http::BoxError>,
{
    let path = request.uri().path();
    if let Some(asset) = page::asset(path) {
        return page_file(shared, asset, request.method(), request.headers());
    }
    if !path.starts_with("/api/") {
        return failed(&Fault::NotFound);
    }
    shared.asked();
    // Half of the time passes before the state is read or changed and half after it: as in any
    // server, an answer may be older than a change that was made while it was on its way.
    let latency = shared.latency();
    tokio::time::sleep(latency / 2).await;
    let done = api(shared, request).await;
    tokio::time::sleep(latency.saturating_sub(latency / 2)).await;
    match done {
        Ok((status, bytes)) => json(status, bytes),
        Err(fault) => failed(&fault),
    }
}

async fn api<B>(shared: &Shared, request: Request<B>) -> Done
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<crate::http::BoxError>,
{
    let (head, body) = request.into_parts();
    let path: Vec<&str> = head.uri.path().split('/').skip(2).collect();
    // Called after the body is complete and before the board is locked: the change takes effect
    // now.
    let author = || shared.author(session::sid(&head.headers), mark(&head.headers));
    match (&head.method, path.as_slice()) {
        (&Method::GET, ["board"]) => ok(StatusCode::OK, shared.board().board_json()),
        (&Method::GET, ["events"]) => ok(StatusCode::OK, shared.board().events_json()),
        (&Method::POST, ["items"]) => {
            let new = read(body).await?;
            let author = author();
            let item = shared.board().add(&new, &author)?;
            ok(StatusCode::CREATED, serde_json::to_vec(&item))
        }
        (&Method::PATCH, ["items", id]) => {
            let edit = read(body).await?;
            let author = author();
            let item = shared.board().edit(number(id)?, &edit, &author)?;
            ok(StatusCode::OK, serde_json::to_vec(&item))
        }
        (&Method::DELETE, ["items", id]) => {
            let author = author();
            shared.board().remove(number(id)?, &author)?;
            Ok((StatusCode::NO_CONTENT, Vec::new()))
        }
        (&Method::POST, ["actions"]) => {
            let note = read(body).await?;
            let author = author();
            let event = shared.board().note(&note, &author)?;
            ok(StatusCode::CREATED, serde_json::to_vec(&event))
        }
        (_, ["board" | "events"]) => Err(Fault::Method("GET")),
        (_, ["items" | "actions"]) => Err(Fault::Method("POST")),
        (_, ["items", _]) => Err(Fault::Method("PATCH, DELETE")),
        _ => Err(Fault::NotFound),
    }
}

fn ok(status: StatusCode, json: serde_json::Result<Vec<u8>>) -> Done {
    json.map(|bytes| (status, bytes)).map_err(|_| Fault::Broken)
}

fn number(id: &str) -> Result<u64, Fault> {
    id.parse().map_err(|_| Fault::NotFound)
}

async fn read<B, T>(body: B) -> Result<T, Fault>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<crate::http::BoxError>,
    T: DeserializeOwned,
{
    let whole = Limited::new(body, BODY_MAX_BYTES).collect();
    let whole = tokio::time::timeout(BODY_TIMEOUT, whole).await.map_err(|_| Fault::Slow)?;
    let bytes = whole
        .map_err(
            |error| if error.is::<LengthLimitError>() { Fault::TooLong } else { Fault::BadBody },
        )?
        .to_bytes();
    serde_json::from_slice(&bytes).map_err(|_| Fault::BadBody)
}

fn mark(headers: &HeaderMap) -> Option<String> {
    let mark = headers.get(MARK)?.to_str().ok()?;
    let fits = !mark.is_empty() && mark.len() <= MARK_MAX;
    fits.then(|| mark.to_owned())
}

fn page_file(
    shared: &Shared,
    asset: Asset,
    method: &Method,
    headers: &HeaderMap,
) -> Response<Body> {
    if *method != Method::GET {
        return failed(&Fault::Method("GET"));
    }
    let mut response = Response::new(Body::from(Bytes::from_static(asset.bytes)));
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static(asset.content_type));
    fields.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    let known = session::sid(headers).is_some_and(|sid| shared.name(sid).is_some());
    if asset.path == "/" && !known {
        let cookie = format!("sid={}; Path=/; HttpOnly; SameSite=Lax", shared.login(None));
        if let Ok(cookie) = HeaderValue::from_str(&cookie) {
            fields.insert(SET_COOKIE, cookie);
        }
    }
    response
}

fn json(status: StatusCode, bytes: Vec<u8>) -> Response<Body> {
    let mut response = Response::new(Body::from(Bytes::from(bytes)));
    *response.status_mut() = status;
    if status != StatusCode::NO_CONTENT {
        let kind = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}

fn failed(fault: &Fault) -> Response<Body> {
    let (status, what) = match fault {
        Fault::NotFound => (StatusCode::NOT_FOUND, "there is nothing here".into()),
        Fault::Method(_) => {
            (StatusCode::METHOD_NOT_ALLOWED, "this method isn't allowed here".into())
        }
        Fault::BadBody => {
            (StatusCode::BAD_REQUEST, "the body isn't the JSON that this path expects".into())
        }
        Fault::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "a body has at most 16 KiB".into()),
        Fault::Slow => (StatusCode::REQUEST_TIMEOUT, "the body didn't arrive in time".into()),
        Fault::Refused(refusal) => {
            let status = match refusal {
                Refusal::NoItem => StatusCode::NOT_FOUND,
                Refusal::NoList | Refusal::BadText => StatusCode::BAD_REQUEST,
                Refusal::Full => StatusCode::CONFLICT,
            };
            (status, refusal.to_string())
        }
        Fault::Broken => (StatusCode::INTERNAL_SERVER_ERROR, "it is our fault".into()),
    };
    let mut response = json(status, serde_json::json!({ "error": what }).to_string().into_bytes());
    if let Fault::Method(allowed) = fault {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    }
    response
}
