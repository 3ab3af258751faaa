//! What an operator can say: the file form is read and checked into the form that the rooms use.

mod checked;
mod glob;

pub use checked::{
    Admin, Config, Identity, Inject, Interval, Limits, Log, LogFormat, Mode, Poll, StreamTimes,
    Timeouts, Watch,
};
pub use glob::{Glob, GlobError};
