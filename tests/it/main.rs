//! One integration binary: one link, one index.

mod cli;
mod config;
