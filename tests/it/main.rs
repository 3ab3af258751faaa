//! One integration binary: one link, one index.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking, too")]
#![allow(clippy::expect_used, reason = "a test that can't go on says so")]

mod admin;
mod app;
mod cli;
mod config;
mod events;
mod hostile;
mod inject;
mod lies;
mod limits;
mod order;
mod origin;
mod passthrough;
mod plain;
mod proxy;
mod reload;
mod site;
mod stream;
mod takeover;
mod watched;
