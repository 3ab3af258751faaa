//! Command line → what to run. All but `run` and `demo` are done when
//! [`command`] returns.

mod args;
mod check;
mod status;

use crate::config::{Config, Source};
use crate::server::{Tls, TlsFault};
use clap::Parser as _;
use std::ffi::OsString;
use std::fmt::Display;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What the operator wants.
#[derive(Debug)]
pub enum Command {
    /// The proxy.
    Run {
        /// Checked.
        config: Box<Config>,
        /// Where it came from, to load it again.
        source: Source,
    },
    /// The proxy before the board app.
    Demo {
        /// Where clients connect.
        listen: SocketAddr,
        /// The operator's listener; `None` switches it off.
        admin: Option<SocketAddr>,
    },
    /// Nothing is left to do: leave with this code.
    Done(Exit),
}

/// Exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All went well.
    Fine = 0,
    /// It broke while it ran.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Refused = 2,
    /// It was told to leave a second time before it was done, as by a second Ctrl-C.
    Cut = 130,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Reads the command line, `args` beginning with the program's name. What is wrong with it, or with
/// the configuration, is written to standard error.
pub fn command<I>(args: I) -> Command
where
    I: IntoIterator<Item: Into<OsString> + Clone>,
{
    match args::Args::try_parse_from(args) {
        Ok(args) => carry_out(args),
        Err(error) => Command::Done(usage(&error)),
    }
}

/// Writes one error as `pollcast: …` to standard error.
pub fn complain(error: impl Display) {
    // With standard error gone there is nobody to tell.
    let _ = writeln!(std::io::stderr(), "pollcast: {error}");
}

/// Writes why running failed, with what to do where we know it.
pub fn complain_of_run(error: &anyhow::Error) {
    let kind = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
    let advice = match kind.map(std::io::Error::kind) {
        Some(std::io::ErrorKind::AddrInUse) => {
            "; another program listens there: stop it, or choose another address with --listen \
             (--admin for the operator's listener)"
        }
        Some(std::io::ErrorKind::AddrNotAvailable) => {
            "; this machine has no such address: choose another one with --listen or --admin"
        }
        Some(std::io::ErrorKind::PermissionDenied) => {
            "; ports below 1024 need a privilege: choose a higher one with --listen"
        }
        _ => "",
    };
    complain(format_args!("{error:#}{advice}"));
}

fn carry_out(args: args::Args) -> Command {
    match args.command.unwrap_or(args::Sub::Run(args.run)) {
        args::Sub::Run(run) => start(run.source()),
        args::Sub::Demo { listen, admin } => demo(&listen, &admin),
        args::Sub::Check(run) => Command::Done(check::check(&run.source())),
        args::Sub::Status { config, admin } => Command::Done(ask(config, admin, status::status)),
        args::Sub::Restore { watch, config, admin } => {
            Command::Done(ask(config, admin, |admin| status::restore(admin, &watch)))
        }
        args::Sub::Example => Command::Done(say(crate::config::EXAMPLE)),
    }
}

fn start(source: Source) -> Command {
    match source.load() {
        Ok(config) => match Tls::load(&config.tls) {
            Ok(_) => Command::Run { config: Box::new(config), source },
            Err(fault) => Command::Done(refuse_files(&fault)),
        },
        Err(faults) => Command::Done(refuse(&faults)),
    }
}

/// The flags of the demo are checked as those of a proxy in front of some origin.
fn demo(listen: &str, admin: &str) -> Command {
    let flags = crate::config::Flags {
        listen: Some(listen.to_owned()),
        admin: Some(admin.to_owned()),
        origin: Some("http://origin.invalid".to_owned()),
        ..Default::default()
    };
    match (Source { file: None, flags }).load() {
        Ok(config) => Command::Demo { listen: config.listen, admin: config.admin.listen },
        Err(faults) => Command::Done(refuse(&faults)),
    }
}

/// The address alone is enough to ask; else it is that of the configuration, or the default.
fn ask(
    config: Option<PathBuf>,
    admin: Option<String>,
    question: impl FnOnce(Option<SocketAddr>) -> Exit,
) -> Exit {
    let file = config.or_else(default_file).filter(|_| admin.is_none());
    let origin = file.is_none().then(|| "http://origin.invalid".to_owned());
    let flags = crate::config::Flags { origin, admin, ..Default::default() };
    match (Source { file, flags }).load() {
        Ok(config) => question(config.admin.listen),
        Err(faults) => refuse(&faults),
    }
}

fn refuse(faults: &crate::config::Faults) -> Exit {
    let count = match faults.len() {
        1 => "1 fault".to_owned(),
        n => format!("{n} faults"),
    };
    complain(format_args!("{count} in the configuration\n{faults}"));
    Exit::Refused
}

/// A file that the configuration names is at fault. Looked into here, since reading the
/// configuration reads no other file.
fn refuse_files(fault: &TlsFault) -> Exit {
    complain(format_args!("1 fault in the configuration\n{fault}"));
    Exit::Refused
}

fn usage(error: &clap::Error) -> Exit {
    let text = error.render().to_string();
    if error.use_stderr() {
        complain(text.strip_prefix("error: ").unwrap_or(&text).trim_end());
        return Exit::Refused;
    }
    say(&text)
}

/// Writes to standard output. A reader that has seen enough (`| head`) is no failure.
fn say(text: &str) -> Exit {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            complain(format_args!("can't write: {error}"));
            Exit::Failed
        }
        _ => Exit::Fine,
    }
}

/// The file that counts if none is named: `proxy.toml` in the working directory, if it is there.
fn default_file() -> Option<PathBuf> {
    let path = Path::new("proxy.toml");
    path.exists().then(|| path.to_owned())
}
