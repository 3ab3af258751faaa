//! Alarms: what only an operator can put right.

use crate::hub::Hub;
use http::HeaderMap;
use serde_json::json;

/// A request without this field is refused: a page of another site can't send it, whatever the
/// operator's browser reaches.
pub(super) const ADMIN_FIELD: &str = "pollcast-admin";

/// Longest name of a watch, in bytes, and some room.
pub(super) const NAME_MOST: usize = 256;

/// All alarms, as JSON.
pub(super) fn list(hub: Option<&Hub>) -> String {
    let demoted = hub.map(Hub::demoted).unwrap_or_default();
    let alarms: Vec<_> = demoted
        .iter()
        .map(|(watch, demoted)| {
            json!({
                "watch": watch,
                "reason": demoted.reason,
                "since": demoted.since,
                "what": demoted.advice(),
            })
        })
        .collect();
    format!("{}\n", json!({ "alarms": alarms }))
}

/// The operator shares a watch again: `body` is its name. What to say, if that can't be.
pub(super) fn restore(
    hub: Option<&Hub>,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<(), (u16, String)> {
    if !headers.contains_key(ADMIN_FIELD) {
        return Err((403, format!("send the field {ADMIN_FIELD}, with any value")));
    }
    let name = std::str::from_utf8(body).unwrap_or_default().trim();
    match hub.is_some_and(|hub| hub.restore(name)) {
        true => Ok(()),
        false => Err((404, "no alarm has that watch: see /alarms".to_owned())),
    }
}
