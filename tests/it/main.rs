//! One integration binary: one link, one index.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't go on says so")]

mod admin;
mod cli;
mod config;
