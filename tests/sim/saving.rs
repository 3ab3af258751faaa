//! What sharing saves: requests at the origin in a minute, for thirty users of one endpoint.

use crate::world::World;
use pollcast::config::{Audience, Config, Glob, Mode, Proof, Watch};
use std::time::Duration;

const USERS: usize = 30;
const EVERY: Duration = Duration::from_secs(2);

/// Requests at the origin in a minute while the endpoint changes every ten seconds: all, and those
/// of them that the pages made.
fn minute(mode: Mode, audience: Audience, proof: Proof) -> (usize, usize) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let mut config = Config::new(http::Uri::from_static("http://origin"));
        let mut watch = Watch::new(Glob::new("/**").unwrap());
        (watch.audience, watch.proof) = (audience, proof);
        config.watches = vec![watch.clone(), watch];
        config.mode = mode;
        let mut world = World::with(fastrand::Rng::with_seed(7), config, USERS);
        for at in 0..USERS {
            world.log_in_anew(at);
            world.clients[at].wants = vec![(0, EVERY)];
            world.open(at, None).unwrap();
        }
        let mut before = (0, 0);
        for second in 0..90 {
            if second % 10 == 0 {
                world.origin.state().change(0);
            }
            if second == 30 {
                before = world.requests();
            }
            for _ in 0..5 {
                world.run(Duration::from_millis(200)).await.unwrap();
                world.tick().unwrap();
            }
        }
        let after = world.requests();
        (after.0 - before.0, after.1 - before.1)
    })
}

#[test]
fn one_poll_for_thirty_users() {
    let rows = [
        ("plain polling", Mode::Off, Audience::Credential, Proof::Two),
        ("credential", Mode::Push, Audience::Credential, Proof::Two),
        ("shared, proof \"each\"", Mode::Push, Audience::Shared, Proof::Each),
        ("shared, proof \"two\"", Mode::Push, Audience::Shared, Proof::Two),
    ];
    let minutes = rows.map(|(name, mode, audience, proof)| {
        let (all, pages) = minute(mode, audience, proof);
        println!("{name:<24} {all:>4} requests at the origin in a minute, {pages} by pages");
        all
    });
    let [plain, credential, each, two] = minutes;
    assert_eq!(plain, USERS * 30);
    assert!(credential <= plain + USERS, "{credential}");
    // The polls, a lease for each user, and with each change one for each, or one.
    assert!(each <= 30 + 2 * USERS + 6 * USERS, "{each}");
    assert!(two <= 30 + 2 * USERS + 12, "{two}");
}
