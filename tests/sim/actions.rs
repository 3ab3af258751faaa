//! What may happen, and how often.

use crate::client::Held;
use crate::origin::{Fault, PATHS};
use crate::rights::Form;
use crate::world::World;
use http::StatusCode;
use pollcast::config::Mode;
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// Actions of one run.
const STEPS: usize = 120;

/// What may happen, with its weight.
const ACTIONS: &[(u32, Action)] = &[
    (14, Action::Change),
    (6, Action::ThereAndBack),
    (10, Action::Subscribe),
    (5, Action::Resume),
    (9, Action::Appetite),
    (4, Action::Leave),
    (2, Action::LogIn),
    (2, Action::LogOut),
    (3, Action::Elsewhere),
    (2, Action::SwitchUser),
    (2, Action::SignOut),
    (8, Action::Write),
    (8, Action::Ask),
    (8, Action::Fault),
    (2, Action::Etags),
    (3, Action::HintFlood),
    (2, Action::Off),
    (1, Action::Lifetime),
    (1, Action::Restart),
    (3, Action::Accident),
    (4, Action::Permission),
];

#[derive(Clone, Copy, Debug)]
enum Action {
    Change,
    ThereAndBack,
    Subscribe,
    Resume,
    Appetite,
    Leave,
    LogIn,
    LogOut,
    Elsewhere,
    SwitchUser,
    SignOut,
    Write,
    Ask,
    Fault,
    Etags,
    HintFlood,
    Off,
    Lifetime,
    Restart,
    Accident,
    Permission,
}

impl World {
    /// A whole run: weighted random actions, then peace, then silence.
    pub async fn live(&mut self) -> Result<(), String> {
        for _ in 0..STEPS {
            self.step().await?;
        }
        self.heal()?;
        self.settle().await?;
        self.hurry().await?;
        self.hush().await
    }

    async fn step(&mut self) -> Result<(), String> {
        let total = ACTIONS.iter().map(|(weight, _)| weight).sum();
        let mut at = self.rng.u32(0..total);
        let action = ACTIONS.iter().find(|(weight, _)| {
            let found = at < *weight;
            at = at.saturating_sub(*weight);
            found
        });
        let (client, path) =
            (self.rng.usize(0..self.clients.len()), self.rng.usize(0..PATHS.len()));
        if let Some((_, action)) = action {
            self.act(*action, client, path)?;
        }
        let pause = [0, 1, 15, 60, 250, 700, 1600, 3500][self.rng.usize(0..8)];
        // Small steps, so that what is true only between two events is seen as well.
        let end = Instant::now() + Duration::from_millis(pause);
        while Instant::now() < end {
            let left = end - Instant::now();
            self.run(left.min(Duration::from_millis(200))).await?;
            self.tick()?;
        }
        self.run(Duration::ZERO).await?;
        self.tick()
    }

    /// What apps and browsers do by themselves.
    pub fn tick(&mut self) -> Result<(), String> {
        let now = Instant::now();
        for at in 0..self.clients.len() {
            if self.clients[at].back.is_some_and(|back| back <= now) {
                self.open(at, None)?;
            }
            for (path, every) in self.clients[at].wants.clone() {
                let due = self.clients[at].due.entry(path).or_insert(now);
                if *due > now {
                    continue;
                }
                *due = now + every;
                if self.apps_poll && self.clients[at].local(path, now).is_none() {
                    self.ask(at, path)?;
                }
            }
        }
        self.check()
    }

    fn act(&mut self, action: Action, at: usize, path: usize) -> Result<(), String> {
        self.trace.say(format!("{action:?} (client {at}, {})", PATHS[path]));
        match action {
            Action::Change => drop(self.origin.state().change(path)),
            Action::ThereAndBack => {
                let mut state = self.origin.state();
                let back = state.last(path).clone();
                state.change(path);
                state.history[path].push((Instant::now(), back));
            }
            Action::Subscribe => return self.subscribe(at),
            Action::Resume => return self.resume(at, path),
            Action::Appetite => {
                let appetite = [Some(0), Some(1), Some(3), None, None][self.rng.usize(0..5)];
                self.clients[at].appetite = appetite;
            }
            Action::Leave => {
                self.leave(at);
                self.clients[at].wants.clear();
            }
            Action::LogIn => self.log_in(at),
            Action::LogOut => self.origin.state().door(&self.clients[at].sid, false),
            Action::Elsewhere => return self.refuse(at),
            Action::SwitchUser => return self.switch_user(at, false),
            Action::SignOut => return self.switch_user(at, true),
            Action::Write => {
                let status = [200, 200, 201, 204, 422, 500][self.rng.usize(0..6)];
                self.write(at, path, StatusCode::from_u16(status).unwrap());
            }
            Action::Ask => return self.ask(at, path),
            Action::Fault => {
                let fault = self.fault();
                self.trace.say(format!("{fault:?} at {}", PATHS[path]));
                self.origin.state().faults[path] = fault;
            }
            Action::Etags => {
                let mut state = self.origin.state();
                state.etags = !state.etags;
            }
            Action::HintFlood => {
                (0..self.rng.u8(2..50)).for_each(|_| self.proxy.hint("/rpc"));
            }
            Action::Off => self.switch(),
            Action::Lifetime => self.proxy.bye("lifetime"),
            Action::Restart => self.restart(),
            Action::Accident => self.accident(path),
            Action::Permission => {
                let about = (self.clients[at].sid.clone(), path);
                let open = self.rng.u8(0..3) == 0;
                self.origin.state().room(&about, open);
            }
        }
        Ok(())
    }

    /// What was the same for all differs from session to session, or does so no more.
    fn accident(&mut self, path: usize) {
        if !self.origin.state().shares {
            return;
        }
        let mut sids: BTreeSet<_> = self.clients.iter().map(|client| client.sid.clone()).collect();
        sids.retain(|_| self.rng.bool());
        let form = match self.rng.u8(0..3) {
            0 => Form::Common,
            1 => Form::Personal,
            _ => Form::PersonalFor(sids),
        };
        self.trace.say(format!("{} is {form:?} from now on", PATHS[path]));
        self.origin.state().reform(path, form);
    }

    fn fault(&mut self) -> Fault {
        let faults = [
            Fault::None,
            Fault::None,
            Fault::None,
            Fault::Slow,
            Fault::Slow,
            Fault::Status(500),
            Fault::Status(404),
            Fault::Broken,
            Fault::Hang,
            Fault::TooLong,
            Fault::Cookie,
        ];
        faults[self.rng.usize(0..faults.len())]
    }

    /// Another set of topics, on a new stream.
    fn subscribe(&mut self, at: usize) -> Result<(), String> {
        let mut paths: Vec<_> = (0..PATHS.len()).collect();
        self.rng.shuffle(&mut paths);
        paths.truncate(self.rng.usize(1..5));
        let every = |rng: &mut fastrand::Rng| Duration::from_millis(rng.u64(100..4000));
        let wants = paths.into_iter().map(|path| (path, every(&mut self.rng))).collect();
        self.clients[at].wants = wants;
        self.open(at, None)
    }

    /// Comes back with a state that is old, unknown or somebody else's.
    fn resume(&mut self, at: usize, path: usize) -> Result<(), String> {
        self.leave(at);
        let other = self.rng.usize(0..self.clients.len());
        let held = match self.rng.u8(0..3) {
            0 => self.clients[at].old.get(&path).cloned(),
            1 => self.clients[other].held.get(&path).cloned().filter(|_| {
                // What the same user has is no foreign state.
                self.clients[other].sid != self.clients[at].sid
            }),
            _ => {
                let hash = format!("{:032x}", self.rng.u128(..));
                Some(Held { hash, seq: 0, epoch: String::new(), body: "unknown".to_owned() })
            }
        };
        if let Some(mut held) = held {
            held.epoch = String::new();
            self.clients[at].held.insert(path, held);
        }
        self.open(at, None)
    }

    /// The kill switch, or its release.
    fn switch(&mut self) {
        if self.proxy.config.mode == Mode::Off {
            self.proxy.config.mode = Mode::Push;
            return;
        }
        self.proxy.bye("off");
    }

    /// Everything is well again, and nothing changes any more.
    fn heal(&mut self) -> Result<(), String> {
        self.trace.say("all is well");
        self.proxy.config.mode = Mode::Push;
        self.apps_poll = false;
        for at in 0..self.clients.len() {
            self.clients[at].appetite = None;
            let sid = self.clients[at].sid.clone();
            let mut state = self.origin.state();
            state.faults = [Fault::None; PATHS.len()];
            state.door(&sid, true);
            state.open_all();
            drop(state);
            if self.clients[at].streams.is_empty() {
                self.open(at, None)?;
            }
        }
        Ok(())
    }

    /// The streams alone must bring everyone to the last state: within the longest pause after
    /// failures and the longest that the breaker waits.
    async fn settle(&mut self) -> Result<(), String> {
        const LONGEST: usize = 150;
        // Requests that began while all was not well.
        const UNDER_WAY: usize = 6;
        let mut last = Ok(());
        for second in 0..LONGEST {
            self.run(Duration::from_secs(1)).await?;
            self.tick()?;
            last = self.settled();
            match &last {
                Ok(()) if second > UNDER_WAY => break,
                Ok(()) => {}
                Err(fault) => self.trace.say(fault),
            }
        }
        last
    }

    /// What a write changes is pushed long before the next cadence, even if it comes while a poll
    /// runs, and whatever passes meanwhile.
    async fn hurry(&mut self) -> Result<(), String> {
        const SLICES: usize = 15;
        let (poll, limits) = (self.proxy.config.poll, self.proxy.config.limits);
        // Not where the budget or a cap holds polls back.
        if poll.rate < 100 || poll.concurrency < 2 || limits.snapshots < 10_000 {
            return Ok(());
        }
        for _ in 0..5 {
            let (at, path) =
                (self.rng.usize(0..self.clients.len()), self.rng.usize(0..PATHS.len()));
            for _ in 0..2 {
                self.ask(at, path)?;
                self.write(at, path, StatusCode::OK);
                let pause = Duration::from_millis(self.rng.u64(0..120));
                self.run(pause).await?;
            }
            self.run(Duration::from_millis(250)).await?;
            let mut last = self.settled();
            for _ in 0..SLICES {
                self.tick()?;
                last = self.settled();
                if last.is_ok() {
                    break;
                }
                self.run(Duration::from_millis(100)).await?;
            }
            last.map_err(|fault| format!("a hint was lost; {fault}"))?;
        }
        Ok(())
    }

    /// Nobody subscribes: nobody asks.
    async fn hush(&mut self) -> Result<(), String> {
        self.trace.say("everyone leaves");
        for at in 0..self.clients.len() {
            self.clients[at].wants.clear();
            self.leave(at);
        }
        self.ghosts.clear();
        let before = self.origin.state().polls;
        self.run(Duration::from_secs(60)).await?;
        let after = self.origin.state().polls;
        match (after - before, self.proxy.hub.counts()) {
            (0, (_, 0)) => self.check(),
            (polls, counts) => Err(format!("invariant 10: {polls} polls, {counts:?} topics")),
        }
    }
}
