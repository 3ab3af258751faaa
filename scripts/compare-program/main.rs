//! What `scripts/compare` needs beside the programs it compares: a bare forwarder, a load at a
//! fixed rate, free ports.

#![allow(clippy::disallowed_methods, reason = "a program that measures, with nothing to drain")]
#![allow(clippy::print_stdout, reason = "the figures are its output")]

mod bare;
mod steady;

use anyhow::Context as _;
use std::net::TcpListener;

/// The same as Pollcast's own, so that the bare forwarder is compared like with like.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const USAGE: &str = "usage: compare ports <how many>
       compare bare <listen> <origin>
       compare steady <address> <path> <connections> <requests per second> <seconds>";

fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["ports", many] => ports(many.parse()?),
        ["bare", listen, origin] => bare::run(listen.parse()?, origin.parse()?),
        ["steady", addr, path, connections, rate, seconds] => {
            let plan = steady::Plan {
                addr: addr.parse()?,
                path: path.to_owned(),
                connections: connections.parse()?,
                per_second: rate.parse()?,
                seconds: seconds.parse()?,
            };
            println!("{}", plan.run()?);
            Ok(())
        }
        _ => anyhow::bail!(USAGE),
    }
}

/// Ports that were free a moment ago: nginx and `HAProxy` can't choose one themselves. All are held
/// until the last is found, so that they differ.
fn ports(many: usize) -> anyhow::Result<()> {
    let held: Result<Vec<_>, _> = (0..many).map(|_| TcpListener::bind("127.0.0.1:0")).collect();
    for listener in held.context("no port")? {
        println!("{}", listener.local_addr()?.port());
    }
    Ok(())
}
