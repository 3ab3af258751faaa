//! Where a configuration comes from, so that it can be loaded again.

use super::fault::{Fault, Faults, Place};
use super::file::{Flags, build};
use super::{Config, Mode};
use std::path::{Path, PathBuf};

/// A file, the flags over it, or both.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// The file, if there is one.
    pub file: Option<PathBuf>,
    /// What the command line says over it.
    pub flags: Flags,
}

impl Source {
    /// Reads and checks the whole. Does nothing else: no port is bound, no name is looked up.
    ///
    /// Without any watch the mode is `observe` at most: there is nothing to push, and the operator
    /// learns what could be.
    ///
    /// # Errors
    /// All faults together.
    pub fn load(&self) -> Result<Config, Faults> {
        let mut config = match &self.file {
            None => build(None, &self.flags)?,
            Some(path) => {
                let name = path.display().to_string();
                let text = std::fs::read_to_string(path).map_err(|error| {
                    let text = format!(
                        "can't be read: {error}; name a file that is there, or begin with \
                         `pollcast example > proxy.toml`"
                    );
                    let fault = Fault { place: Place::Nowhere, key: String::new(), text };
                    Faults::new(Some(&name), vec![fault])
                })?;
                build(Some((&name, &text)), &self.flags)?
            }
        };
        if config.watches.is_empty() {
            config.mode = config.mode.min(Mode::Observe);
        }
        Ok(config)
    }
}

/// Reads and checks one file: [`Source::load`] without flags.
///
/// # Errors
/// All faults together.
pub fn load(path: &Path) -> Result<Config, Faults> {
    Source { file: Some(path.to_owned()), flags: Flags::default() }.load()
}
