//! Pollcast under load: what an idle stream keeps in memory, what a delivery costs, how many of
//! them one core makes, how long they take, and that none is lost. `scripts/load` runs it.
//!
//! Beside Pollcast, in the same run and with the same clients: a bare broadcaster of server-sent
//! events made of hyper and a broadcast channel, and plain polling.

#![allow(clippy::disallowed_methods, reason = "a program that measures, with nothing to drain")]
#![allow(clippy::print_stdout, reason = "the tables are its output")]
#![allow(clippy::cast_precision_loss, reason = "the figures are rounded to three digits anyway")]

mod broadcaster;
mod case;
mod child;
mod event;
mod http;
mod origin;
mod polling;
mod reader;
mod report;
mod tally;

use anyhow::Context as _;
use case::{Case, Kind};
use origin::{Change, Origin};
use std::path::{Path, PathBuf};

/// The same as Pollcast's own, so that the broadcaster is compared like with like.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args_os().skip(1);
    let first =
        args.next().context("usage: load <the pollcast binary> [quick] (see scripts/load)")?;
    if first == "broadcaster" {
        return tokio::runtime::Runtime::new()?.block_on(broadcaster::run());
    }
    let quick = args.next().is_some_and(|word| word == "quick");
    let origin = Origin::start()?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build()?;
    runtime.block_on(all(&PathBuf::from(first), &origin, quick))
}

/// The cases of a run: streams, bytes of a body, what changes of it.
const SHARED: [(usize, usize, Change); 5] = [
    (1_000, 200, Change::Field),
    (1_000, 10_000, Change::Field),
    (1_000, 10_000, Change::All),
    (5_000, 200, Change::Field),
    (5_000, 10_000, Change::Field),
];

async fn all(pollcast: &Path, origin: &Origin, quick: bool) -> anyhow::Result<()> {
    let case = |streams, bytes, change, kind| Case { streams, bytes, change, kind };
    let mut cases = Vec::new();
    for (streams, bytes, change) in SHARED {
        cases.push(case(streams, bytes, change, Kind::Shared));
    }
    cases.push(case(1_000, 200, Change::Field, Kind::Identities));
    cases.push(case(1_000, 200, Change::Field, Kind::Broadcaster));
    cases.push(case(5_000, 200, Change::Field, Kind::Broadcaster));
    if quick {
        cases.retain(|case| case.streams == 1_000 && case.bytes == 200);
    }
    let mut rows = Vec::new();
    for case in cases {
        say(&case);
        rows.push(case.run(pollcast, origin).await?);
    }
    println!("{}\n{}", report::idle(&rows), report::changes(&rows));
    let polled = polling::run(pollcast, origin, 1_000).await?;
    println!("{}", report::ratios(&rows, &polled));
    Ok(())
}

#[allow(clippy::print_stderr, reason = "the run takes minutes")]
fn say(case: &Case) {
    eprintln!("{} streams, {} B, {} …", case.streams, case.bytes, case.kind.name());
}
