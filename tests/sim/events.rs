//! A reader of server-sent events, as small as the format of `docs/PROTOCOL.md` allows.

use serde_json::Value;

/// One event.
#[derive(Debug)]
pub struct Event {
    pub name: String,
    /// The topic, where the event is about one.
    pub index: Option<usize>,
    pub data: Value,
}

/// What has come in of an event that isn't whole yet.
#[derive(Default)]
pub struct Reader(Vec<u8>);

impl Reader {
    /// Takes bytes as they come, cut anywhere; gives the events that are whole now.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Vec<Event>, String> {
        self.0.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.0.windows(2).position(|pair| pair == b"\n\n") {
            let whole: Vec<u8> = self.0.drain(..end + 2).collect();
            let text = String::from_utf8(whole).map_err(|_| "an event isn't UTF-8".to_owned())?;
            events.push(event(&text)?);
        }
        Ok(events)
    }
}

fn event(text: &str) -> Result<Event, String> {
    let mut name = None;
    let mut data = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line.split_once(": ") {
            Some(("event", value)) if name.is_none() => name = Some(value.to_owned()),
            Some(("data", value)) => data.push(value),
            _ => return Err(format!("a line that the format doesn't know: {line}")),
        }
    }
    let name = name.ok_or("an event without a name")?;
    let (index, json) = match (name.as_str(), data.as_slice()) {
        ("hello" | "beat" | "bye", [json]) => (None, *json),
        ("hello" | "beat" | "bye", _) => return Err(format!("{name} of {} lines", data.len())),
        (_, [index, json]) => (Some(index.parse().map_err(|_| "an index")?), *json),
        _ => return Err(format!("{name} of {} lines", data.len())),
    };
    let data = serde_json::from_str(json).map_err(|error| format!("{name}: {error}"))?;
    Ok(Event { name, index, data })
}

#[test]
fn events_come_out_whole_however_they_are_cut() {
    let text = b"event: hello\ndata: {\"v\":1}\n\nevent: stale\ndata: 3\ndata: {}\n\n";
    for cut in 0..text.len() {
        let mut reader = Reader::default();
        let mut events = reader.feed(&text[..cut]).unwrap();
        events.extend(reader.feed(&text[cut..]).unwrap());
        assert_eq!(events.len(), 2, "{cut}");
        assert_eq!((events[0].name.as_str(), events[0].index), ("hello", None));
        assert_eq!((events[1].name.as_str(), events[1].index), ("stale", Some(3)));
    }
}
