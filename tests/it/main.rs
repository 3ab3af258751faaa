//! The wire tests: one binary, real sockets, raw bytes.

mod origin;
mod passthrough;
mod proxy;
mod takeover;
