//! Deltas. Pure.
