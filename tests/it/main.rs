//! One integration binary: one link, one index.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on says so")]

mod admin;
mod cli;
mod config;
//! The wire tests: one binary, real sockets, raw bytes.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking, too")]

mod origin;
mod passthrough;
mod proxy;
mod takeover;
