//! Field rules: what may cross a hop, and what is said about the hop itself.
//!
//! Every function that takes fields away rebuilds the map in order. `HeaderMap::remove` would swap
//! the last field into the hole, and the other side would see another order than was sent.

mod forwarding;

pub use forwarding::{asked_host, came_round, is_forwarding, tell, trusts, via};

use http::header::{CONNECTION, COOKIE, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

/// Prefix of Pollcast's own fields.
const OWN_PREFIX: &str = "pollcast-";

/// Fields that describe one connection, whether or not `Connection` names them.
///
/// RFC 9110 §7.6.1: "intermediaries SHOULD remove or replace fields that are known to require
/// removal before forwarding, whether or not they appear as a connection option": Proxy-Connection,
/// Keep-Alive, TE, Transfer-Encoding, Upgrade.
const HOP_BY_HOP: [&str; 6] =
    ["connection", "proxy-connection", "keep-alive", "te", "transfer-encoding", "upgrade"];

/// Fields that `Connection` can't take away: else a client could hide from the origin what a proxy
/// in front has set, or be somebody else to the origin than to us.
///
/// RFC 9110 §7.6.1: "A sender MUST NOT send a connection option corresponding to a field that is
/// intended for all recipients of the content."
const FOR_ALL: [&str; 12] = [
    "host",
    "content-length",
    "content-type",
    "content-encoding",
    "cache-control",
    "authorization",
    "cookie",
    "set-cookie",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
];

/// Removes every field that concerns the connection it came on (RFC 9110 §7.6.1): `Connection`,
/// what it names, and the fields known to be hop-by-hop; and every `Pollcast-*` field, which
/// neither side can forge so. `Transfer-Encoding: chunked` stays where it was, since the body is
/// framed that way again; `TE: trailers` stays, since trailers do cross (with the `TE` connection
/// option that RFC 9110 §10.1.4 asks for).
#[must_use]
pub fn strip_hop_by_hop(fields: HeaderMap) -> HeaderMap {
    strip(fields, false)
}

/// As [`strip_hop_by_hop`], but for the request and the answer of a WebSocket handshake: `Upgrade:
/// websocket` stays, and `Connection: Upgrade` with it. Any other protocol in `Upgrade` is removed
/// all the same: `h2c` would be a way around us.
#[must_use]
pub fn strip_for_tunnel(fields: HeaderMap) -> HeaderMap {
    strip(fields, true)
}

fn strip(fields: HeaderMap, tunnel: bool) -> HeaderMap {
    let of_the_hop = |name: &HeaderName| HOP_BY_HOP.contains(&name.as_str()) || is_own(name);
    if !fields.keys().any(of_the_hop) {
        return fields;
    }
    let nominated: Vec<Vec<u8>> = list(&fields, &CONNECTION)
        .map(<[u8]>::to_ascii_lowercase)
        .filter(|option| !FOR_ALL.iter().any(|kept| kept.as_bytes() == option))
        .collect();
    let trailers = list(&fields, &TE).any(|option| option.eq_ignore_ascii_case(b"trailers"));
    // Room for what is told of the way: growing would hash all over again.
    let mut out = HeaderMap::with_capacity(fields.len() + 4);
    let mut connection_at = false;
    each(fields, |name, value| {
        if *name == CONNECTION {
            // One line takes the place of all, so that what we say about our own connection stands
            // where theirs stood.
            let option = if tunnel { "Upgrade" } else { "TE" };
            if (tunnel || trailers) && !connection_at {
                out.append(CONNECTION, HeaderValue::from_static(option));
            }
            connection_at = true;
        } else if *name == TE {
            if trailers && !tunnel && !out.contains_key(TE) {
                out.append(TE, HeaderValue::from_static("trailers"));
            }
        } else if *name == UPGRADE {
            // Of several protocols only this one crosses.
            if tunnel && !out.contains_key(UPGRADE) && offers(&value) {
                let alone = value.as_bytes().eq_ignore_ascii_case(b"websocket");
                let only = HeaderValue::from_static("websocket");
                out.append(UPGRADE, if alone { value } else { only });
            }
        } else if keeps(name, &value, &nominated) {
            out.append(name.clone(), value);
        }
    });
    if trailers && !tunnel && !connection_at {
        out.append(CONNECTION, HeaderValue::from_static("TE"));
    }
    out
}

/// Whether one line of `Upgrade` names WebSocket.
fn offers(value: &HeaderValue) -> bool {
    let mut offered = value.as_bytes().split(|b| *b == b',').map(<[u8]>::trim_ascii);
    offered.any(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
}

/// Whether a field other than `Connection`, `TE` and `Upgrade` crosses.
fn keeps(name: &HeaderName, value: &HeaderValue, nominated: &[Vec<u8>]) -> bool {
    let name = name.as_str();
    if name == TRANSFER_ENCODING {
        return is_chunked(value);
    }
    // `Trailer` announces what the body itself carries on; without it the trailers would be
    // dropped.
    name == TRAILER
        || !(HOP_BY_HOP.contains(&name)
            || name.starts_with(OWN_PREFIX)
            || nominated.iter().any(|n| n == name.as_bytes()))
}

/// Removes every `Pollcast-*` field: the origin never sees one, and neither side can forge one.
#[must_use]
pub fn strip_pollcast(fields: HeaderMap) -> HeaderMap {
    without(fields, is_own)
}

/// Removes all fields of some names, in order; costs nothing where there are none.
#[must_use]
pub fn without(fields: HeaderMap, gone: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    if !fields.keys().any(&gone) {
        return fields;
    }
    let mut out = HeaderMap::with_capacity(fields.len());
    each(fields, |name, value| {
        if !gone(name) {
            out.append(name.clone(), value);
        }
    });
    out
}

fn is_own(name: &HeaderName) -> bool {
    name.as_str().starts_with(OWN_PREFIX)
}

/// True if the fields have a transfer coding other than `chunked`, or several. It ends at this
/// hop (RFC 9112 §6.1), and nobody here takes it off, so that such a message must be refused.
#[must_use]
pub fn has_foreign_coding(fields: &HeaderMap) -> bool {
    let mut codings = fields.get_all(TRANSFER_ENCODING).iter();
    codings.next().is_some_and(|first| !is_chunked(first)) || codings.next().is_some()
}

fn is_chunked(value: &HeaderValue) -> bool {
    value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked")
}

/// True if these are the fields of a WebSocket handshake (RFC 6455 §4.1).
#[must_use]
pub fn is_websocket(fields: &HeaderMap) -> bool {
    list(fields, &CONNECTION).any(|option| option.eq_ignore_ascii_case(b"upgrade"))
        && offers_websocket(fields)
}

/// True if `Upgrade` names WebSocket, perhaps among others.
#[must_use]
pub fn offers_websocket(fields: &HeaderMap) -> bool {
    list(fields, &UPGRADE).any(|protocol| protocol.eq_ignore_ascii_case(b"websocket"))
}

/// Joins the `cookie` fields that an HTTP/2 client may split.
///
/// RFC 9113 §8.2.3: "these MUST be concatenated into a single octet string using the two-octet
/// delimiter of 0x3b, 0x20 (the ASCII string "; ") before being passed into a non-HTTP/2 context".
#[must_use]
pub fn join_cookies(fields: HeaderMap) -> HeaderMap {
    if fields.get_all(COOKIE).iter().nth(1).is_none() {
        return fields;
    }
    join(fields, &COOKIE, b"; ")
}

/// Removes `Transfer-Encoding`, which HTTP/2 doesn't have (RFC 9113 §8.2.2).
#[must_use]
pub fn strip_framing(fields: HeaderMap) -> HeaderMap {
    without(fields, |name| *name == TRANSFER_ENCODING)
}

/// The host that a request names in its target: absolute form, or HTTP/2's `:authority`.
#[must_use]
pub fn named_host(uri: &Uri) -> Option<HeaderValue> {
    let text = uri.authority()?.as_str();
    // RFC 9110 §4.2.4: userinfo is no part of what a server is asked for.
    let text = text.rsplit_once('@').map_or(text, |(_, host)| host);
    HeaderValue::from_str(text).ok()
}

/// Writes `Host`: in the place of what came if the second value says so, else only where none came.
/// First of all fields then, as RFC 9110 §7.2 wants it.
#[must_use]
pub fn set_host(fields: HeaderMap, host: Option<&(HeaderValue, bool)>) -> HeaderMap {
    let Some((host, replace)) = host else { return fields };
    if let Some(there) = fields.get(HOST) {
        if !replace || there == host {
            return fields;
        }
        let mut fields = fields;
        // Inserting keeps the place of a name that is there.
        fields.insert(HOST, host.clone());
        return fields;
    }
    let mut out = HeaderMap::with_capacity(fields.len() + 1);
    out.append(HOST, host.clone());
    each(fields, |name, value| {
        out.append(name.clone(), value);
    });
    out
}

/// Writes all values of `name` as one line at the place of the first.
fn join(fields: HeaderMap, name: &HeaderName, between: &[u8]) -> HeaderMap {
    let values: Vec<&[u8]> = fields.get_all(name).iter().map(HeaderValue::as_bytes).collect();
    let Ok(joined) = HeaderValue::from_bytes(&values.join(between)) else {
        // Values that came in as field values are one when joined, too.
        return fields;
    };
    let mut out = HeaderMap::with_capacity(fields.len());
    each(fields, |at, value| {
        if at != name {
            out.append(at.clone(), value);
        } else if !out.contains_key(name) {
            out.append(at.clone(), joined.clone());
        }
    });
    out
}

/// The members of a comma-separated list field (RFC 9110 §5.6.1), all lines of it; parameters are
/// cut off. As bytes: one odd byte must not hide a whole line.
fn list<'a>(fields: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    fields
        .get_all(name)
        .iter()
        .flat_map(|value| value.as_bytes().split(|b| *b == b','))
        .map(|member| member.split(|b| *b == b';').next().unwrap_or_default().trim_ascii())
        .filter(|member| !member.is_empty())
}

/// The trailers that may cross: none that is ours, none of the hop, none that frames or routes.
///
/// RFC 9110 §6.5.1: "Many fields cannot be processed outside the header section".
#[must_use]
pub fn strip_trailers(fields: HeaderMap) -> HeaderMap {
    without(fields, |name| {
        let framing = ["content-length", "host", "trailer", "content-encoding", "content-type"];
        is_own(name) || HOP_BY_HOP.contains(&name.as_str()) || framing.contains(&name.as_str())
    })
}

/// Every field in order; the map names a field once, then gives its further values without a name.
fn each(fields: HeaderMap, mut see: impl FnMut(&HeaderName, HeaderValue)) {
    let mut name = None;
    for (next, value) in fields {
        name = next.or(name);
        if let Some(name) = &name {
            see(name, value);
        }
    }
}

/// True if an `Origin` is of the host that the request was made to.
#[must_use]
pub fn is_host(origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
    let origin = origin.to_str().unwrap_or_default();
    let named = origin.split_once("://").map(|(_, named)| named);
    matches!((named, host.and_then(|host| host.to_str().ok())),
        (Some(named), Some(host)) if named.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests;
