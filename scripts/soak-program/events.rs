//! What a stream says, and the bodies that come of it.

use crate::client::Mismatch;
use crate::origin::{TOPICS, topic_body};
use anyhow::Context as _;
use pollcast::delta::{Op, apply, check, utf16_len};
use serde_json::Value;

/// One topic, as a page holds it.
#[derive(Clone, Default)]
struct Held {
    body: String,
    hash: String,
    version: u64,
}

/// What a page holds of all topics.
pub struct Page {
    topics: Vec<Held>,
    /// Bytes that make no event yet.
    rest: Vec<u8>,
    /// State events so far.
    pub states: u64,
}

impl Default for Page {
    fn default() -> Self {
        Self { topics: vec![Held::default(); TOPICS], rest: Vec::new(), states: 0 }
    }
}

impl Page {
    /// Takes in bytes of the stream, wherever they were cut.
    pub fn feed(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.rest.extend_from_slice(bytes);
        while let Some(end) = self.rest.windows(2).position(|two| two == b"\n\n") {
            let block: Vec<u8> = self.rest.drain(..end + 2).collect();
            self.event(std::str::from_utf8(&block)?)?;
        }
        Ok(())
    }

    /// True if every topic has reached at least this version.
    pub fn reached(&self, versions: &[u64]) -> bool {
        self.topics.iter().zip(versions).all(|(held, version)| held.version >= *version)
    }

    /// The versions held.
    pub fn versions(&self) -> Vec<u64> {
        self.topics.iter().map(|held| held.version).collect()
    }

    fn event(&mut self, block: &str) -> anyhow::Result<()> {
        let mut lines = block.lines();
        let name =
            lines.next().and_then(|line| line.strip_prefix("event: ")).context(block_of(block))?;
        let mut data = lines.filter_map(|line| line.strip_prefix("data: "));
        match name {
            "hello" | "beat" | "current" | "stale" => Ok(()),
            "snapshot" | "delta" => {
                let topic: usize = data.next().context("no index")?.parse()?;
                let event: Value = serde_json::from_str(data.next().context("no data")?)?;
                let held = self.topics.get_mut(topic).context("index")?;
                self.states += 1;
                held.take(topic, &event)
            }
            other => anyhow::bail!("{other} on a stream of a run where nobody leaves: {block}"),
        }
    }
}

/// What to say of something that isn't an event.
fn block_of(block: &str) -> String {
    format!("not an event: {block:.100}")
}

impl Held {
    fn take(&mut self, topic: usize, event: &Value) -> anyhow::Result<()> {
        let body = match event.get("ops") {
            Some(ops) => {
                let from = event["from"].as_str();
                anyhow::ensure!(from == Some(&self.hash), "a delta from another state");
                apply(&self.body, &serde_json::from_value::<Vec<Op>>(ops.clone())?)?
            }
            None => event["body"].as_str().context("no body")?.to_owned(),
        };
        let told = (event["length"].as_u64(), event["check"].as_u64());
        let made = (Some(utf16_len(&body) as u64), Some(u64::from(check(&body))));
        let json: Value = serde_json::from_str(&body)?;
        let version = json["version"].as_u64().context("no version")?;
        if told != made || body != topic_body(topic, version) {
            return Err(Mismatch(format!("topic {topic}, version {version}")).into());
        }
        anyhow::ensure!(version >= self.version, "topic {topic} went backwards");
        event["hash"].as_str().context("no hash")?.clone_into(&mut self.hash);
        (self.body, self.version) = (body, version);
        Ok(())
    }
}
