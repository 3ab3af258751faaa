//! As much of an event stream as tells what arrived, and a witness that rebuilds the body.

use anyhow::Context as _;
use pollcast::delta::{Op, apply};
use serde_json::Value;

/// What arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The stream is up.
    Hello,
    /// A state, by its hash.
    State(u128),
    /// Everything is verified.
    Beat,
    /// Anything else, none of which may come while the origin is well.
    Fault,
}

impl Event {
    /// Reads one block of a stream. The response head is in the first; chunk sizes may stand in
    /// front of any.
    pub fn read(block: &[u8]) -> Self {
        let start = block.windows(7).position(|seven| seven == b"event: ");
        let name = start.and_then(|start| block.get(start + 7..)).unwrap_or_default();
        match name {
            name if name.starts_with(b"delta") || name.starts_with(b"snapshot") => {
                hash(name).map_or(Self::Fault, Self::State)
            }
            name if name.starts_with(b"beat") => Self::Beat,
            name if name.starts_with(b"hello") => Self::Hello,
            _ => Self::Fault,
        }
    }
}

fn hash(event: &[u8]) -> Option<u128> {
    const KEY: &[u8] = b"\"hash\":\"";
    let near = event.get(..150.min(event.len()))?;
    let at = near.windows(KEY.len()).position(|part| part == KEY)? + KEY.len();
    let text = std::str::from_utf8(near.get(at..at + 32)?).ok()?;
    u128::from_str_radix(text, 16).ok()
}

/// Cuts a stream into blocks, wherever the reads cut it.
#[derive(Default)]
pub struct Cutter {
    /// The beginning of a block whose end hasn't come.
    rest: Vec<u8>,
}

impl Cutter {
    /// Hands every block that is complete to `each`.
    pub fn feed(&mut self, read: &[u8], mut each: impl FnMut(&[u8])) {
        if self.rest.is_empty() {
            self.cut(read, &mut each);
        } else {
            self.rest.extend_from_slice(read);
            let joined = std::mem::take(&mut self.rest);
            self.cut(&joined, &mut each);
        }
    }

    fn cut(&mut self, bytes: &[u8], each: &mut impl FnMut(&[u8])) {
        let mut start = 0;
        let mut from = 0;
        while let Some(at) =
            bytes.get(from..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
        {
            let end = from + at + 1;
            if bytes.get(end) == Some(&b'\n') {
                each(&bytes[start..end]);
                start = end + 1;
                from = start;
            } else {
                from = end;
            }
        }
        self.rest.extend_from_slice(&bytes[start..]);
    }
}

/// Rebuilds the body from what a stream says.
#[derive(Default)]
pub struct Witness {
    /// The body.
    pub body: String,
}

impl Witness {
    /// Takes in a state event.
    pub fn see(&mut self, block: &[u8]) -> anyhow::Result<()> {
        let block = std::str::from_utf8(block)?;
        let (_, data) = block.rsplit_once("\ndata: ").context("no data")?;
        let mut data: Value = serde_json::from_str(data)?;
        self.body = match data.get_mut("ops").map(Value::take) {
            Some(ops) => apply(&self.body, &serde_json::from_value::<Vec<Op>>(ops)?)?,
            None => data.get("body").and_then(Value::as_str).context("no body")?.to_owned(),
        };
        Ok(())
    }
}
