//! Interim responses (1xx), which come before the answer.

use http::{HeaderMap, StatusCode};
use std::fmt;
use std::sync::Arc;

/// How to say an interim response.
type Say = dyn Fn(StatusCode, &HeaderMap) + Send + Sync;

/// Takes the interim responses to one request; an extension of the request. A server that can't
/// send any puts none there.
#[derive(Clone)]
pub struct Interim(Arc<Say>);

impl Interim {
    /// `say` writes one to the client. It is called in the task that waits for the answer.
    pub fn new(say: impl Fn(StatusCode, &HeaderMap) + Send + Sync + 'static) -> Self {
        Self(Arc::new(say))
    }

    /// Writes one to the client.
    pub fn say(&self, status: StatusCode, fields: &HeaderMap) {
        (self.0)(status, fields);
    }
}

impl fmt::Debug for Interim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interim")
    }
}
