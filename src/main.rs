//! The binary: command line → log lines → runtime → the app. The library's front page has the map.

use pollcast::app::Left;
use pollcast::cli::{self, Command, Exit};
use pollcast::config::{Config, Log, LogFormat, Source};
use pollcast::telemetry::{self, Lines};
use pollcast::{app, config};
use std::future::Future;
use std::net::SocketAddr;
use std::process::ExitCode;

/// After a rush of streams has left, it gives the memory back, which the system's allocator
/// doesn't.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Threads of the demo: one for the app, one for the proxy.
const DEMO_WORKERS: usize = 2;

fn main() -> ExitCode {
    match cli::command(std::env::args_os()) {
        Command::Run { config, source } => run(*config, source),
        Command::Demo { listen, admin } => demo(listen, admin),
        Command::Done(exit) => exit,
    }
    .into()
}

fn run(config: Config, source: Source) -> Exit {
    start_log(&config.log);
    if let Some(path) = &source.file {
        tracing::info!(file = %path.display(), "configuration read");
    }
    if config.watches.is_empty() {
        let mode = config.mode;
        let advice = "name what the pages poll, as in --watch '/api/**'";
        tracing::warn!(%mode, "no watch, so nothing is pushed: {advice}");
    }
    match app::Handed::from_env() {
        Ok(handed) => block_on(config.worker_count(), app::run(config, source, handed)),
        Err(error) => failed(&error),
    }
}

fn demo(listen: SocketAddr, admin: Option<SocketAddr>) -> Exit {
    // The demo speaks for itself: only what is wrong should stand between its lines.
    start_log(&Log { level: "warn".to_owned(), format: config::LogFormat::Text });
    block_on(DEMO_WORKERS, app::demo(listen, admin))
}

fn start_log(log: &Log) {
    let lines = match log.format {
        LogFormat::Text => Lines::Text,
        LogFormat::Json => Lines::Json,
    };
    telemetry::init(&log.level, lines);
}

fn block_on(workers: usize, task: impl Future<Output = anyhow::Result<Left>>) -> Exit {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = match builder.worker_threads(workers).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error.into()),
    };
    let result = runtime.block_on(task);
    // What is left has had its time: a name that is still being looked up would hold us up.
    runtime.shutdown_background();
    match result {
        Ok(Left::InOrder) => Exit::Fine,
        Ok(Left::Cut) => Exit::Cut,
        Err(error) => failed(&error),
    }
}

fn failed(error: &anyhow::Error) -> Exit {
    cli::complain_of_run(error);
    Exit::Failed
}
