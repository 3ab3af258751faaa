//! Field rules.
