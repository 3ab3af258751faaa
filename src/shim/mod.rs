//! The script.
