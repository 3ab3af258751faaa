//! What an operator can say: the file form is read and checked into the form that the rooms use.
//!
//! [`Source`] is where it comes from (file, flags); [`Source::load`] gives a [`Config`] or all
//! [`Faults`] together; [`watch_file`] tells when to load again.

mod checked;
mod cross;
mod defaults;
mod fault;
mod file;
mod follow;
mod glob;
mod keys;
mod nouns;
mod service;
mod source;
#[cfg(test)]
mod tests;
mod value;

pub use checked::{
    Admin, Audience, Config, Cors, Csp, Forwarding, ForwardingField, Identity, Inject, Interval,
    Limits, Log, LogFormat, Mode, OriginHost, OriginProtocol, Poll, Proof, Refresh, StreamTimes,
    Timeouts, Tls, Watch,
};
pub use fault::Faults;
pub use file::{Flags, parse};
pub use follow::{Follow, watch_file};
pub use glob::{Glob, GlobError};
pub use service::Service;
pub use source::{Source, load};

/// A file with every key, its default and what changing it costs.
pub const EXAMPLE: &str = include_str!("../../proxy.toml.example");
