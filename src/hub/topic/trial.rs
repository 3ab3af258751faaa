//! Two identities were shown different states: has the topic changed, or do they differ?
//!
//! Both are asked again in turn: at once, and twice more after the pauses for replicas that lag.
//! One who says what the other said ends it: the state had changed. If both stay with their own to
//! the end, they differ. If neither says the same twice, nothing can ever be shared.

use crate::watch::{IdentityId, PollRequest, StateHash};
use std::time::Duration;
use tokio::time::Instant;

/// Times that both are asked.
const ROUNDS: usize = 3;

/// One of the two.
#[derive(Debug)]
pub(super) struct Seat {
    /// Who.
    pub id: IdentityId,
    /// What they were shown last.
    pub hash: StateHash,
    /// What to ask in their name.
    pub request: PollRequest,
}

/// A dispute under way.
#[derive(Debug)]
pub(super) struct Trial {
    seats: [Seat; 2],
    /// Whose turn it is.
    turn: usize,
    /// Rounds that are through.
    round: usize,
    /// When to ask.
    due: Instant,
    /// The question is on its way.
    asked: bool,
    /// Both have stayed with what they said.
    steady: bool,
}

/// What an answer means for the dispute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Go on.
    Open,
    /// Both were shown the same.
    Agreed,
    /// Both were shown their own, again and again.
    Differ,
    /// Hardly any two answers were equal.
    Unsteady,
}

impl Trial {
    /// `seats[0]` is asked first, now.
    pub(super) fn new(seats: [Seat; 2], now: Instant) -> Self {
        Self { seats, turn: 0, round: 0, due: now, asked: false, steady: true }
    }

    /// True if this identity is one of the two.
    pub(super) fn involves(&self, id: IdentityId) -> bool {
        self.seats.iter().any(|seat| seat.id == id)
    }

    /// Whose turn it is.
    pub(super) fn turn(&self) -> IdentityId {
        self.seats[self.turn].id
    }

    /// Whom to ask, if it is time; counts as asked then.
    pub(super) fn ask(&mut self, now: Instant) -> Option<(IdentityId, PollRequest)> {
        if self.asked || now < self.due {
            return None;
        }
        self.asked = true;
        let seat = &self.seats[self.turn];
        Some((seat.id, seat.request.clone()))
    }

    /// When there is somebody to ask, unless that is under way.
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.asked).then_some(self.due)
    }

    /// One of the two was shown this.
    pub(super) fn answer(
        &mut self,
        (id, hash): (IdentityId, StateHash),
        now: Instant,
        pauses: [Duration; 2],
    ) -> Verdict {
        let Some(at) = self.seats.iter().position(|seat| seat.id == id) else {
            return Verdict::Open;
        };
        self.steady &= self.seats[at].hash == hash;
        self.seats[at].hash = hash;
        if self.seats[0].hash == self.seats[1].hash {
            return Verdict::Agreed;
        }
        if at != self.turn {
            return Verdict::Open;
        }
        self.asked = false;
        self.due = now;
        self.turn = 1 - self.turn;
        if self.turn == 0 {
            self.round += 1;
            self.due = now + pauses.get(self.round - 1).copied().unwrap_or_default();
        }
        match (self.round >= ROUNDS, self.steady) {
            (false, _) => Verdict::Open,
            (true, true) => Verdict::Differ,
            (true, false) => Verdict::Unsteady,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::watch::{Keyer, Target};
    use http::{HeaderMap, HeaderValue, header};

    const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(1)];

    fn id(cookie: &'static str) -> IdentityId {
        let headers = [(header::COOKIE, HeaderValue::from_static(cookie))].into_iter().collect();
        let identity = Config::new(http::Uri::from_static("http://o")).identity;
        Keyer::new([0; 32], identity).identify(&headers)
    }

    fn hash(digit: char) -> StateHash {
        StateHash::parse(&digit.to_string().repeat(32)).unwrap()
    }

    fn seat(name: &'static str, digit: char) -> Seat {
        let request = PollRequest::new(Target::new("/", &[], 0), &HeaderMap::new(), 0);
        Seat { id: id(name), hash: hash(digit), request }
    }

    #[tokio::test(start_paused = true)]
    async fn who_stays_with_their_own_to_the_end_differs() {
        let start = Instant::now();
        let mut trial = Trial::new([seat("a=1", 'a'), seat("b=1", 'b')], start);
        let mut asked = Vec::new();
        loop {
            let Some((who, _)) = trial.ask(Instant::now()) else {
                tokio::time::sleep_until(trial.due().unwrap()).await;
                continue;
            };
            assert_eq!(trial.due(), None);
            let first = who == id("a=1");
            asked.push((start.elapsed().as_millis(), first));
            let digit = if first { 'a' } else { 'b' };
            match trial.answer((who, hash(digit)), Instant::now(), PAUSES) {
                Verdict::Open => {}
                verdict => break assert_eq!(verdict, Verdict::Differ),
            }
        }
        let want = [(0, true), (0, false), (250, true), (250, false), (1250, true), (1250, false)];
        assert_eq!(asked, want);
    }

    #[tokio::test(start_paused = true)]
    async fn a_change_and_a_lagging_replica_are_no_difference() {
        let now = Instant::now();
        let mut trial = Trial::new([seat("a=1", 'a'), seat("b=1", 'b')], now);
        let mut answer = |who, digit| trial.answer((id(who), hash(digit)), now, PAUSES);
        assert_eq!(answer("a=1", 'a'), Verdict::Open);
        assert_eq!(answer("c=1", 'b'), Verdict::Open);
        assert_eq!(answer("b=1", 'c'), Verdict::Open);
        assert_eq!(answer("a=1", 'c'), Verdict::Agreed);
    }

    #[tokio::test(start_paused = true)]
    async fn never_the_same_twice_is_unsteady() {
        let now = Instant::now();
        let mut trial = Trial::new([seat("a=1", '0'), seat("b=1", '1')], now);
        let digits = ['2', '3', '4', '5', '6', '7'];
        let who = ["a=1", "b=1"].into_iter().cycle();
        let verdicts: Vec<_> = who
            .zip(digits)
            .map(|(who, digit)| trial.answer((id(who), hash(digit)), now, PAUSES))
            .collect();
        assert_eq!(verdicts.last(), Some(&Verdict::Unsteady));
        assert!(verdicts[..5].iter().all(|verdict| *verdict == Verdict::Open));
    }
}
