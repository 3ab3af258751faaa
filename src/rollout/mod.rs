//! Mode ladder and cohorts. Pure.
