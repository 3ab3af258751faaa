//! The operator's listener: metrics, health and alarms, apart from what clients reach.

mod alarms;
mod answer;
mod ready;
mod serve;

pub use ready::Ready;
pub use serve::serve;

use crate::hub::Hub;
use crate::telemetry::Metrics;
use std::sync::{Arc, OnceLock};

/// What the operator can see and do. Clones share it.
#[derive(Clone)]
pub struct Desk {
    /// Every number.
    pub metrics: Metrics,
    /// Whether clients may be sent here.
    pub ready: Ready,
    /// Topics; they come after the listener does.
    pub hub: Arc<OnceLock<Hub>>,
}
