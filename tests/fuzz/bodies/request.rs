//! The stream request: input is field lines of the message, an empty line, its body.

use super::{field_lines, split_once};
use http::HeaderMap;
use pollcast::stream::{StreamRequest, Wanted, is_target};
use serde_json::{Value, json};

/// Topics at most.
const MOST: usize = 8;

/// A stream request is refused, or means the same when said again in other words; what it makes
/// of the origin's requests is bounded and names nobody else.
pub fn request(data: &[u8]) {
    let (own, body) = split_once(data, b"\n\n");
    let own = field_lines(own);
    let Ok(parsed) = StreamRequest::parse(body, &own, MOST) else { return };
    assert!((1..=MOST).contains(&parsed.topics.len()));
    for topic in &parsed.topics {
        assert!(is_target(&topic.target), "{:?}", topic.target);
        harmless(topic, &own, body.len());
    }
    let again = StreamRequest::parse(said_again(&parsed).as_bytes(), &own, MOST);
    let again = again.unwrap_or_else(|fault| panic!("{fault}: {}", said_again(&parsed)));
    assert_eq!(meaning(&again), meaning(&parsed));
}

/// No field of the central poll is one that only a browser or a proxy may set, but as it came.
fn harmless(topic: &Wanted, own: &HeaderMap, len: usize) {
    for (name, value) in &topic.headers {
        let text = name.as_str();
        assert!(!text.starts_with("pollcast-") && !text.starts_with("if-"), "{text}");
        assert!(!["connection", "transfer-encoding", "upgrade", "te"].contains(&text), "{text}");
        assert!(!["content-length", "trailer", "expect", "range"].contains(&text), "{text}");
        if ["cookie", "host", "origin", "via", "forwarded"].contains(&text)
            || text.starts_with("sec-")
            || text.starts_with("proxy-")
            || text.starts_with("x-forwarded-")
        {
            assert!(own.get_all(name).iter().any(|v| v == value), "{text} was forged");
        }
    }
    let size = |map: &HeaderMap| map.iter().map(|(n, v)| n.as_str().len() + v.len()).sum::<usize>();
    assert!(topic.target.len() <= 8192 && size(&topic.headers) <= size(own) + len);
    assert!(topic.every.is_none_or(|every| every.as_secs() <= 24 * 3600));
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The same request with all of its fields said outright.
fn said_again(parsed: &StreamRequest) -> String {
    let topics: Vec<Value> = parsed
        .topics
        .iter()
        .map(|topic| {
            let pair = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
                json!([name.as_str(), latin1(value.as_bytes())])
            };
            let pairs: Vec<Value> = topic.headers.iter().map(pair).collect();
            json!({
                "url": topic.target,
                "headers": pairs,
                "have": topic.have.map(|hash| hash.as_str().to_owned()),
                "every_ms": topic.every.map(|every| every.as_secs() * 1000
                    + u64::from(every.subsec_millis())),
            })
        })
        .collect();
    json!({"client": "c", "topics": topics}).to_string()
}

/// What counts: all values of a name in order, names in any order. Of several values of a name the
/// app's own fields hold one, so only the last is compared.
fn meaning(parsed: &StreamRequest) -> Vec<(String, String, String)> {
    let of = |topic: &Wanted| {
        let mut fields: Vec<_> = topic
            .headers
            .keys()
            .map(|name| {
                let last = topic.headers.get_all(name).iter().next_back();
                format!("{name}: {}", latin1(last.map_or(b"".as_slice(), |v| v.as_bytes())))
            })
            .collect();
        fields.sort();
        let rest = format!("{:?} {:?}", topic.have.map(|h| h.as_str().to_owned()), topic.every);
        (topic.target.clone(), fields.join("\n"), rest)
    };
    parsed.topics.iter().map(of).collect()
}
