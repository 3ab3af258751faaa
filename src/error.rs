//! Whose fault an error is, and which status it becomes.
