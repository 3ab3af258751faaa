//! A deploy under load: the process is replaced again and again while it serves requests and
//! streams, and nobody may notice. `scripts/deploy-under-load` runs it.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "what it finds is its output")]

mod course;

use anyhow::Context as _;
use course::{Course, Plan};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Longer than this, something hangs.
const AT_MOST: Duration = Duration::from_secs(85);

fn main() -> anyhow::Result<ExitCode> {
    let program = std::env::args_os().nth(1);
    let program = program.context("usage: deploy <the pollcast binary>")?;
    let plan = Plan { replacements: 5, streams: 200, requests_per_second: 100 };
    println!(
        "{} replacements under {} requests/s and {} streams",
        plan.replacements, plan.requests_per_second, plan.streams
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let course = Course::run(PathBuf::from(program), plan, |line| println!("{line}"));
    let tally = runtime.block_on(async { tokio::time::timeout(AT_MOST, course).await })??;
    println!("{tally}");
    for fault in &tally.faults {
        eprintln!("{fault}");
    }
    Ok(if tally.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
