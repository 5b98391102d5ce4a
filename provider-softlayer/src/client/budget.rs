//! How fast this process may call, so that all agents of one API user together stay under SoftLayer's limit.
//!
//! SoftLayer counts 50 requests a second for each *user*, and a cluster has one user and many agents that do not know
//! of each other. So each begins with a tenth of the limit, halves its rate when it is throttled and raises it slowly
//! while it is not: additive increase, multiplicative decrease, by which senders that share a line come to fair
//! shares without talking (Chiu and Jain 1989, as in TCP).
//!
//! Source of the limit: `Rate limit of 50 requests for every 1 second(s) exceeded.` (softlayer-go issue 75).

use std::time::Duration;

use tokio::time::Instant;

/// Calls a second at the start, and the most it grows to: a tenth of the user's limit.
const RATE_MAX: f64 = 5.0;
/// Calls a second that are always allowed.
const RATE_MIN: f64 = 0.2;
/// Calls a second gained by each second without being throttled.
const RECOVERY: f64 = 0.1;
/// Calls that may follow at once after a quiet time: what starting up asks.
const BURST: f64 = 20.0;
/// Being throttled again within this time is one event: answers to calls already on their way.
const ONE_EVENT: Duration = Duration::from_secs(1);

/// A bucket of turns.
#[derive(Debug)]
pub(super) struct Budget {
    rate: f64,
    turns: f64,
    counted: Instant,
    throttled: Option<Instant>,
}

impl Budget {
    pub(super) fn new(now: Instant) -> Self {
        Self { rate: RATE_MAX, turns: BURST, counted: now, throttled: None }
    }

    /// Takes a turn, and says how long to wait for it.
    pub(super) fn reserve(&mut self, now: Instant) -> Duration {
        self.advance(now);
        self.turns -= 1.0;
        Duration::from_secs_f64((-self.turns / self.rate).max(0.0))
    }

    /// Learns from an answer.
    pub(super) fn learn(&mut self, throttled: bool, now: Instant) {
        self.advance(now);
        let again = self.throttled.is_some_and(|before| now.duration_since(before) < ONE_EVENT);
        if throttled && !again {
            self.rate = (self.rate / 2.0).max(RATE_MIN);
            self.turns = self.turns.min(0.0);
            self.throttled = Some(now);
        }
    }

    fn advance(&mut self, now: Instant) {
        let seconds = now.saturating_duration_since(self.counted).as_secs_f64();
        self.counted = self.counted.max(now);
        self.turns = (self.turns + seconds * self.rate).min(BURST);
        self.rate = (self.rate + seconds * RECOVERY).min(RATE_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, seconds: f64) -> Instant {
        start + Duration::from_secs_f64(seconds)
    }

    #[test]
    fn a_burst_is_let_through_and_then_a_tenth_of_the_limit() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        let waits: Vec<Duration> = (0..30).map(|_| budget.reserve(start)).collect();
        assert_eq!(waits[19], Duration::ZERO);
        assert_eq!(waits[29], Duration::from_secs(2));
    }

    #[test]
    fn being_throttled_halves_the_rate_once_and_it_recovers_slowly() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        budget.learn(true, start);
        budget.learn(true, after(start, 0.1));
        assert!((budget.rate - 2.5).abs() < 0.1, "{}", budget.rate);
        budget.learn(false, after(start, 10.0));
        assert!((budget.rate - 3.5).abs() < 0.1, "{}", budget.rate);
    }

    #[test]
    fn ten_agents_of_one_user_stay_under_the_limit_of_fifty() {
        const { assert!(RATE_MAX * 10.0 <= 50.0) }
    }

    #[test]
    fn a_throttled_agent_is_never_silenced_for_good() {
        let start = Instant::now();
        let mut budget = Budget::new(start);
        for second in 0..100 {
            budget.learn(true, after(start, f64::from(second)));
        }
        assert!(budget.reserve(after(start, 100.0)) <= Duration::from_secs(10));
    }
}
