//! One integration binary: one link, one index.

mod admin;
mod cli;
mod config;
