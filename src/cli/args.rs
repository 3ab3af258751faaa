//! The flags and their help.

use crate::config::{Flags, Source};
use clap::{Args as ClapArgs, Parser, Subcommand};
use std::path::PathBuf;

/// A sidecar reverse proxy that turns polling into push, with no change to the app.
#[derive(Debug, Parser)]
#[command(name = "pollcast", version, args_conflicts_with_subcommands = true)]
pub(super) struct Args {
    /// What to do; `run` if there is no word.
    #[command(subcommand)]
    pub command: Option<Sub>,
    /// The flags of `run`, which may stand without the word.
    #[command(flatten)]
    pub run: Run,
}

#[derive(Debug, Subcommand)]
pub(super) enum Sub {
    /// Run the proxy (so does no word at all)
    Run(Run),
    /// Run a small app that polls, with the proxy before it
    Demo {
        /// Where browsers connect
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
        listen: String,
        /// The operator's listener, or "off"
        #[arg(long, value_name = "ADDRESS|off", default_value = "127.0.0.1:9090")]
        admin: String,
    },
    /// Read the configuration and say everything that is wrong with it
    Check(Run),
    /// Ask a running Pollcast whether it is ready, and for alarms; a health check
    Status {
        /// The configuration that it runs with; if not given, proxy.toml in this directory, if it
        /// is there
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Where the operator's listener is
        #[arg(long, value_name = "ADDRESS")]
        admin: Option<String>,
    },
    /// Share a watch again that a running Pollcast has put back to `credential`
    Restore {
        /// The watch's name, as in the alarm
        watch: String,
        /// The configuration that it runs with; if not given, proxy.toml in this directory, if it
        /// is there
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Where the operator's listener is
        #[arg(long, value_name = "ADDRESS")]
        admin: Option<String>,
    },
    /// Write a configuration file with every key and its default
    Example,
}

#[derive(Clone, Debug, ClapArgs)]
pub(super) struct Run {
    /// The configuration; if not given, proxy.toml in this directory, if it is there. Flags
    /// override it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[arg(long, value_name = "URL", help = "The server behind, as in http://127.0.0.1:3000")]
    origin: Option<String>,
    /// Paths that are polled, as in '/api/**'; may be repeated, and replaces the watches of the
    /// file
    #[arg(long, value_name = "GLOB")]
    watch: Vec<String>,
    /// Where clients connect
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// The operator's listener, or "off"
    #[arg(long, value_name = "ADDRESS|off")]
    admin: Option<String>,
    /// How far to go: off, observe, collapse or push
    #[arg(long, value_name = "MODE")]
    mode: Option<String>,
}

impl Run {
    pub(super) fn source(self) -> Source {
        Source {
            file: self.config.or_else(super::default_file),
            flags: Flags {
                listen: self.listen,
                origin: self.origin,
                mode: self.mode,
                admin: self.admin,
                watch: self.watch,
            },
        }
    }
}
