//! Tells when the file has new content.
//!
//! The directory is watched and not the file: editors and Kubernetes replace the file (by rename,
//! or by swapping a symbolic link beside it), and a watch on the old file would never speak again.
//! What counts is the content: noise in the directory wakes, but isn't reported.

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// A replaced file is several events; a reload waits until they are over.
const QUIET: Duration = Duration::from_millis(100);

/// In a directory that is never quiet (a log file beside the configuration) the wait ends all the
/// same.
const ROUNDS: usize = 10;

/// Follows one file until dropped.
#[derive(Debug)]
pub struct Follow {
    /// Ends the watch when dropped.
    _watcher: RecommendedWatcher,
    /// The file as named, symbolic links unresolved.
    path: PathBuf,
    /// One permit at most, so that a thousand events are one wake-up; set by the watcher's own
    /// thread.
    woken: Arc<Notify>,
    /// An event was taken and not yet looked into: a caller that gave up waiting must not lose it.
    pending: bool,
    /// What was last reported, or was there at the start.
    content: Vec<u8>,
}

/// Begins to follow a file. Content that changes after this call is reported by
/// [`Follow::changed`].
///
/// # Errors
/// The system has no watch left, or the directory isn't there.
pub fn watch_file(path: &Path) -> notify::Result<Follow> {
    let woken = Arc::new(Notify::new());
    let waker = Arc::clone(&woken);
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        // Our own reading is an access: taking it for a change would wake us for ever. An error may
        // hide a change.
        if event.map_or(true, |event| !event.kind.is_access()) {
            waker.notify_one();
        }
    })?;
    watcher.watch(directory(path), RecursiveMode::NonRecursive)?;
    if let Ok(real) = path.canonicalize()
        && directory(&real).canonicalize().ok() != directory(path).canonicalize().ok()
    {
        watcher.watch(directory(&real), RecursiveMode::NonRecursive)?;
    }
    let content = std::fs::read(path).unwrap_or_default();
    Ok(Follow { _watcher: watcher, path: path.to_owned(), woken, pending: false, content })
}

impl Follow {
    /// Resolves when the file has content that differs from what was there before. Cancel safe.
    pub async fn changed(&mut self) {
        loop {
            if !self.pending {
                self.woken.notified().await;
                self.pending = true;
            }
            for _ in 0..ROUNDS {
                if tokio::time::timeout(QUIET, self.woken.notified()).await.is_err() {
                    break;
                }
            }
            let content = tokio::fs::read(&self.path).await;
            self.pending = false;
            // Not there for the moment: whoever replaces it makes another event.
            if let Ok(content) = content
                && content != self.content
            {
                self.content = content;
                return;
            }
        }
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}
