//! A small board app.
