//! Tracing, and every metric family in one place.
