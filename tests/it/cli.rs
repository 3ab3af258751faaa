//! The binary, as the shell sees it.
