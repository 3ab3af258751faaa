//! Event frames.
