//! Topic key, snapshot, poller.

pub mod ignore;
