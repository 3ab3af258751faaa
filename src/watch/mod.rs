//! Topic key, snapshot, poller.
