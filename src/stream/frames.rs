//! Server-sent events, as bytes.
//!
//! Format (see docs/PROTOCOL.md): an event about one topic is `event: <name>\ndata: <index>\n`,
//! which is the stream's own, and `data: <json>\n\n`, which is shared by all streams. The JSON
//! never holds a line break, so one `data:` line is enough.

use crate::delta::Delta;
use crate::http::Frame;
use crate::watch::Snapshot;
use bytes::Bytes;
use serde::Serialize;
use std::fmt::Write as _;
use std::time::Duration;

/// Version of the wire format, in `hello`.
pub const VERSION: u32 = 1;

/// Puts a stream's own part in front of a shared one.
#[must_use]
pub fn about(event: &str, index: usize, shared: Bytes) -> Frame {
    Frame { head: format!("event: {event}\ndata: {index}\n").into(), shared }
}

/// The first event of a stream.
#[must_use]
pub fn hello(epoch: &str, beat: Duration, silence: Duration) -> Bytes {
    let (beat, silence) = (beat.as_millis(), silence.as_millis());
    format!(
        "event: hello\ndata: {{\"v\":{VERSION},\"epoch\":\"{epoch}\",\
         \"beat_ms\":{beat},\"silence_ms\":{silence}}}\n\n"
    )
    .into()
}

/// Every topic that isn't stale has been verified.
#[must_use]
pub const fn beat() -> Bytes {
    Bytes::from_static(b"event: beat\ndata: {}\n\n")
}

/// The last event of a stream.
#[must_use]
pub fn bye(reason: &str, retry: Duration) -> Bytes {
    let retry = retry.as_millis();
    format!("event: bye\ndata: {{\"reason\":\"{reason}\",\"retry_ms\":{retry}}}\n\n").into()
}

/// Shared part of `current`.
#[must_use]
pub fn current(snapshot: &Snapshot, seq: u64) -> Bytes {
    format!("data: {{\"hash\":\"{}\",\"seq\":{seq}}}\n\n", snapshot.hash.as_str()).into()
}

/// Shared part of `stale` and `gone`. `status` is the origin's, where that is the reason.
#[must_use]
pub fn reason(reason: &str, status: Option<u16>) -> Bytes {
    match status {
        Some(status) => format!("data: {{\"reason\":\"{reason}\",\"status\":{status}}}\n\n").into(),
        None => format!("data: {{\"reason\":\"{reason}\"}}\n\n").into(),
    }
}

/// Shared part of `snapshot`.
#[must_use]
pub fn snapshot(snapshot: &Snapshot, seq: u64) -> Bytes {
    let mut out = String::with_capacity(snapshot.body.len() + 512);
    out.push_str("data: {");
    state(&mut out, snapshot, seq);
    let _ = write!(out, ",\"status\":200,\"headers\":{}", json(snapshot.shown()));
    let _ = write!(out, ",\"body\":{}}}\n\n", json(&*snapshot.body));
    out.into()
}

/// Shared part of `delta`, or `None` where the snapshot is no longer than it.
#[must_use]
pub fn delta(from: &Snapshot, to: &Snapshot, seq: u64, whole: &Bytes) -> Option<Bytes> {
    let delta = Delta::between(&from.body, &to.body)?;
    let mut out = String::from("data: {");
    let _ = write!(out, "\"from\":\"{}\",", from.hash.as_str());
    state(&mut out, to, seq);
    if from.shown() != to.shown() {
        let _ = write!(out, ",\"headers\":{}", json(to.shown()));
    }
    let _ = write!(out, ",\"ops\":{}}}\n\n", delta.ops_json());
    (out.len() <= whole.len()).then(|| out.into())
}

fn state(out: &mut String, snapshot: &Snapshot, seq: u64) {
    let _ = write!(
        out,
        "\"hash\":\"{}\",\"seq\":{seq},\"length\":{},\"check\":{}",
        snapshot.hash.as_str(),
        snapshot.utf16_len,
        snapshot.check
    );
}

/// JSON without line breaks: `serde_json` escapes them in strings and writes none between tokens.
fn json<T: Serialize + ?Sized>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// A whole `snapshot` event of the plain view: the body as it is, a `data:` line for each of its
/// lines.
#[must_use]
pub fn plain_snapshot(snapshot: &Snapshot) -> Bytes {
    let mut out = String::with_capacity(snapshot.body.len() + 128);
    let _ = write!(out, "event: snapshot\nid: {}\n", snapshot.hash.as_str());
    // A bare CR ends a line for the reader too: left in, it could begin a field of its own.
    for line in snapshot.body.replace("\r\n", "\n").split(['\n', '\r']) {
        let _ = writeln!(out, "data: {line}");
    }
    out.push('\n');
    out.into()
}

/// A whole `patch` event of the plain view, or `None` where the body is no longer.
#[must_use]
pub fn plain_patch(from: &Snapshot, to: &Snapshot) -> Option<Bytes> {
    let patch = crate::delta::patch::diff(&from.body, &to.body)?;
    Some(format!("event: patch\nid: {}\ndata: {patch}\n\n", to.hash.as_str()).into())
}

/// A whole event of the plain view that has no state.
#[must_use]
pub fn plain(event: &str, shared: &Bytes) -> Frame {
    Frame { head: format!("event: {event}\n").into(), shared: shared.clone() }
}
