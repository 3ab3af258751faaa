//! Pollcast: a sidecar reverse proxy that turns polling into push.
//!
//! # Map (imports point downwards in this list; `tests/tidy.rs` holds it)
//!
//! | room | what it knows |
//! |---|---|
//! | [`cli`] | command line → what to run |
//! | [`app`] | composition root: the only file that knows every room |
//! | [`server`] | accept loop, limits; `dispatch.rs`: one request, top to bottom |
//! | [`admin`] | own listener: metrics, health |
//! | [`demo`] | a small board app: origin and page |
//! | [`shim`] | serves the script; rewrites HTML; the script's parts |
//! | [`hint`] | what says "poll now" |
//! | [`hub`] | topics, subscriptions, conflation, history; encodes once |
//! | [`stream`] | event frames, lifetimes; takes any source of frames |
//! | [`watch`] | topic key, snapshot, cadence, poller, budget |
//! | [`upstream`] | the origin: forward, tunnel, central poll |
//! | [`route`] | request head → decision |
//! | [`rollout`] | mode ladder, cohorts |
//! | [`delta`] | copy/insert operations, check, JSON Patch |
//! | [`error`] | whose fault, which status |
//! | [`drain`] | tasks that leaving waits for |
//! | [`silence`] | how long nothing has moved |
//! | [`http`] | body type, field rules |
//! | [`config`] | file form → checked form |
//! | [`telemetry`] | tracing, every metric family |
//!
//! # Vocabulary
//!
//! *Origin*: the server behind us. *Watch*: a rule that names polled endpoints. *Audience*: who may
//! share one central poll. *Identity*: hash of the credential-bearing fields of a request. *Topic*:
//! one polled representation. *Snapshot*: one observed response of a topic. *State hash*: blake3
//! over status, relevant fields and body. *Delta*: what turns one snapshot's body into the next.
//! *Hint*: a signal that topics may have changed. *Cadence*: how often the apps poll. *Stream*: one
//! client's event stream. *Subscription*: one topic on one stream. *Shim*: the script in the page.
//! *Mode*: off < observe < collapse < push.
//!
//! # What is always true
//!
//! 1. **Unchanged.** A message that no watch matches crosses as it came.
//! 2. **No leak.** A stream gets a state only if the origin showed it to that identity.
//! 3. **Never older than polling.** Else the page polls the network as before.
//! 4. **Your own writes.** After a page's write, what that page reads includes the write.
//! 5. **Never backwards.** Observations are ordered by the instant their request began.
//! 6. **Byte-exact.** The body an app gets locally is the body the origin sent.
//! 7. **Nothing lost.** After the last change every live subscriber reaches the last state.
//! 8. **Fail open.** Whatever part fails, the app polls as it did without us.
//! 9. **Bounded.** Everything has a cap named in the config.
//! 10. **Silent when unwatched.** No subscriber, no origin request.
//! 11. **Off means off.** The kill switch reaches every open page within a second.
//!
//! Ranked, for disputes: never leak > never lose > never break the app > fast > small.

pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
pub mod delta;
pub mod demo;
pub mod drain;
pub mod error;
pub mod hint;
pub mod http;
pub mod hub;
pub mod rollout;
pub mod route;
pub mod server;
pub mod shim;
pub mod silence;
pub mod stream;
pub mod telemetry;
pub mod upstream;
pub mod watch;
