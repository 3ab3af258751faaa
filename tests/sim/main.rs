//! The simulator: hub, poller and event stream as they are, on a scripted origin and a paused
//! clock, with clients that know nothing but the protocol.
//!
//! Weighted random actions come from a seed; after each, what must always be true is checked
//! against everything the origin ever said. `SIM_SEED=7` replays one seed with its trace,
//! `SIM_SEEDS=5000` tries more of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panicking, too")]
#![allow(clippy::print_stdout, reason = "a replayed seed shows its trace")]

mod actions;
mod checks;
mod client;
mod events;
mod origin;
mod proxy;
mod rights;
mod saving;
mod sessions;
mod trace;
mod world;

use trace::Trace;
use world::World;

/// Seeds of an ordinary run.
const SEEDS: u64 = 1000;

fn simulate(seed: u64) -> (Result<(), String>, Trace) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut world = World::new(seed);
        let result = world.live().await;
        (result, world.trace.clone())
    })
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

#[test]
fn whatever_happens_the_invariants_hold() {
    if let Some(seed) = from_environment("SIM_SEED") {
        let (result, trace) = simulate(seed);
        println!("{}", trace.lines().join("\n"));
        assert_eq!(result, Ok(()), "seed {seed}");
        return;
    }
    for seed in 0..from_environment("SIM_SEEDS").unwrap_or(SEEDS) {
        let (result, trace) = simulate(seed);
        if let Err(fault) = result {
            panic!("seed {seed}\n{}\n{fault}\nreplay with SIM_SEED={seed}", trace.last());
        }
    }
}

#[test]
fn a_seed_says_it_all() {
    for seed in [1, 2, 3] {
        let (one, two) = (simulate(seed).1.lines(), simulate(seed).1.lines());
        let differs = one.iter().zip(&two).find(|(one, two)| one != two);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(one.len(), two.len(), "seed {seed}");
    }
}
