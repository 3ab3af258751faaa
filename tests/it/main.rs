//! The wire tests: one binary, real sockets, raw bytes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking, too")]

mod origin;
mod passthrough;
mod proxy;
mod takeover;
