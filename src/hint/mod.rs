//! What says "poll now".
