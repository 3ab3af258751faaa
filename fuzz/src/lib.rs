//! The bodies of the targets, which `cargo test --test fuzz` replays.

#[path = "../../tests/fuzz/bodies/mod.rs"]
pub mod bodies;
