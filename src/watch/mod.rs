//! What is polled: topic key, snapshot, cadence, poller, budget, breaker. Never sees the hub: a
//! poller is handed a sink.

mod answer;
mod breaker;
mod cookies;
mod decode;
mod gate;
pub mod ignore;
mod irrelevant;
mod key;
mod poller;
mod prover;
mod request;
mod snapshot;
mod target;
mod vary;

pub use answer::{Refusal, is_text, read};
pub use cookies::CLEAR;
pub use decode::decode;
pub use gate::Gate;
pub use key::{Facts, IdentityId, Keyer, TopicKey};
pub use poller::{Outcome, PollHandle, Poller, Seen, Sink, Turn};
pub use prover::{Next, ProofHandle, Prover};
pub use request::{Common, PollRequest};
pub use snapshot::{Snapshot, StateHash, Validator};
pub use target::{Target, unix_ms};
pub use vary::Learnt;
