//! One integration binary: one link, one index.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking, too")]
#![allow(clippy::expect_used, reason = "a test that can't go on says so")]

mod admin;
mod app;
mod backend;
mod beside;
mod cli;
mod config;
mod cors;
#[path = "../../scripts/deploy-program/course/mod.rs"]
mod course;
mod events;
mod h2;
mod handover;
mod hostile;
mod inject;
mod leaving;
mod lies;
mod lifecycle;
mod limits;
mod multiplexed;
mod order;
mod origin;
mod origins;
mod pages;
mod passthrough;
mod plain;
mod proxy;
mod redteam;
mod refusals;
mod reload;
mod secrets;
mod site;
mod stream;
mod takeover;
mod tls;
mod watched;
mod way;
