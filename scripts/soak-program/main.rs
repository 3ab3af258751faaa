//! Mixed traffic through Pollcast for minutes, every byte checked: does memory stay flat, does
//! every file descriptor come back, does anything get lost? `scripts/soak` runs it.

#![allow(clippy::disallowed_methods, reason = "a program that measures, with nothing to drain")]
#![allow(clippy::print_stdout, reason = "the report is its output")]

mod client;
mod content;
mod events;
mod h2c;
mod origin;
mod polite;
mod proxy;
mod rude;
mod samples;
mod stream;
mod world;

use anyhow::Context as _;
use origin::Versions;
use proxy::{Holds, Proxy};
use samples::Samples;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use world::{Tally, World};

/// Memory settles while caches, pools and the allocator's arenas fill.
const WARM_UP_S: usize = 120;

/// Idle connections to the origin and topics without subscribers are kept for seconds only; the
/// rest is for a machine that does other work too.
const SETTLE: Duration = Duration::from_secs(60);

/// File descriptors beyond those at the start that may stay: one connection of the central poll's
/// pool, and one that is just being closed.
const LEFT_OPEN: u64 = 2;

fn main() -> anyhow::Result<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    let program = args.next().context("usage: soak <the pollcast binary> [minutes]")?;
    let minutes: f64 = match args.next() {
        Some(minutes) => minutes.to_string_lossy().parse().context("minutes")?,
        None => 10.0,
    };
    let versions = Versions::default();
    let origin = origin::start(versions.clone())?;
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).enable_all().build()?;
    let proxy = Proxy::start(&PathBuf::from(program), origin)?;
    runtime.block_on(soak(proxy, versions, Duration::from_secs_f64(minutes * 60.0)))
}

async fn soak(mut proxy: Proxy, versions: Versions, time: Duration) -> anyhow::Result<ExitCode> {
    // The first request makes what every later one uses.
    client::Client::connect(proxy.addr).await?.ask(client::get("/bytes?seed=1&size=1")?).await?;
    let start = settled(&proxy, 0, Duration::from_secs(5)).await?;
    let mut world = World::new(proxy.addr, versions);
    populate(&mut world);
    let mut samples = Samples::default();
    sample(&proxy, &mut samples, time).await?;
    let seconds = usize::try_from(time.as_secs())?;
    let warm_up = WARM_UP_S.min(seconds / 4);
    let tally = world.end().await;
    let end = settled(&proxy, start.files, SETTLE).await?;
    let mut faults = samples.faults(warm_up);
    faults.extend(tally_faults(&tally));
    if end.files > start.files + LEFT_OPEN {
        faults.push(format!("files stay open: {} at the start, {} now", start.files, end.files));
    }
    println!("{}", tally.table());
    println!("{}{}", samples.table(warm_up), samples::row("before the first visitor", start));
    println!("{}\n", samples::row("after the last", end));
    if !proxy.leave(Duration::from_secs(30)).await? {
        faults.push("it doesn't leave in order".to_owned());
    }
    for (message, count) in proxy.said() {
        println!("logged {count} times: {message}");
        if message.contains("panicked") {
            faults.push(message);
        }
    }
    tally.told.iter().for_each(|failure| println!("failed: {failure}"));
    Ok(verdict(&faults))
}

/// Everybody, some eighty connections at a time.
fn populate(world: &mut World) {
    world.visitors("upload", 3, 500, polite::upload);
    world.visitors("echo", 2, 500, polite::echo);
    world.visitors("download", 4, 300, polite::download);
    world.visitors("slow reader", 4, 100, polite::slow_reader);
    world.visitors("dribble", 6, 100, polite::dribble);
    world.visitors("event stream of the origin", 4, 100, polite::origin_sse);
    world.visitors("idle connection", 10, 100, polite::idle);
    world.visitors("page", 4, 200, polite::page);
    world.visitors("download given up", 4, 100, rude::abort_download);
    world.visitors("upload given up", 4, 100, rude::abort_upload);
    world.visitors("origin resets", 3, 100, rude::origin_reset);
    world.visitors("WebSocket", 6, 100, rude::websocket);
    world.visitors("HTTP/2 connection", 2, 500, h2c::visit);
    world.visitors("stream", 10, 300, stream::session);
    world.visitors("writer", 3, 500, stream::writer);
    world.keepers("stream that stays", 8, stream::keeper);
}

/// Looks once a second.
async fn sample(proxy: &Proxy, samples: &mut Samples, time: Duration) -> anyhow::Result<()> {
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    for _ in 0..time.as_secs() {
        tick.tick().await;
        samples.add(proxy.holds().context("pollcast has gone")?);
    }
    Ok(())
}

/// What it holds once no more files are open than this, or the time is over.
async fn settled(proxy: &Proxy, files: u64, within: Duration) -> anyhow::Result<Holds> {
    let settle = async {
        while proxy.holds()?.files > files {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(within, settle).await.unwrap_or(Ok(()))?;
    proxy.holds().context("pollcast has gone")
}

fn tally_faults(tally: &Tally) -> Vec<String> {
    let counts = [
        (tally.mismatches, "bodies with other bytes than were sent"),
        (tally.unexpected, "unexpected statuses"),
        (tally.broken, "visits that failed in another way"),
    ];
    let faults = counts.iter().filter(|(count, _)| *count > 0);
    faults.map(|(count, what)| format!("{count} {what}")).collect()
}

fn verdict(faults: &[String]) -> ExitCode {
    if faults.is_empty() {
        println!("soak: passed: no byte differs, nothing lost, nothing left open, memory flat");
        return ExitCode::SUCCESS;
    }
    println!("soak: FAILED: {}", faults.join("; "));
    ExitCode::FAILURE
}
