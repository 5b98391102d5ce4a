//! How often the store may be asked because of questions: who asks for names that nobody has must not keep it busy.

use std::collections::HashMap;
use std::net::IpAddr;

use ipam::Timestamp;

/// Questions a second for everybody together, and how many may come at once.
const ALL: Rate = Rate { a_second: 100, at_once: 200 };

/// The same for each that asks.
const EACH: Rate = Rate { a_second: 20, at_once: 60 };

/// So many that ask are told apart. Whoever comes after them begins anew, which `ALL` bounds.
const ASKERS_MAX: usize = 4_096;

#[derive(Clone, Copy)]
struct Rate {
    a_second: u64,
    at_once: u64,
}

/// What may still be spent.
#[derive(Debug, Default)]
pub(super) struct Budget {
    all: Option<Purse>,
    each: HashMap<IpAddr, Purse>,
}

impl Budget {
    /// Takes one question of this asker, if there is one left.
    pub(super) fn spend(&mut self, from: IpAddr, now: Timestamp) -> bool {
        if self.each.len() >= ASKERS_MAX && !self.each.contains_key(&from) {
            self.each.clear();
        }
        let own = self.each.entry(from).or_insert_with(|| Purse::full(EACH, now));
        own.earn(EACH, now);
        let all = self.all.get_or_insert_with(|| Purse::full(ALL, now));
        all.earn(ALL, now);
        let has = own.millis >= PRICE && all.millis >= PRICE;
        if has {
            own.millis -= PRICE;
            all.millis -= PRICE;
        }
        has
    }
}

/// What a question costs.
const PRICE: u64 = 1_000;

/// Thousandths of questions.
#[derive(Debug)]
struct Purse {
    millis: u64,
    at: Timestamp,
}

impl Purse {
    fn full(rate: Rate, at: Timestamp) -> Self {
        Self { millis: rate.at_once * PRICE, at }
    }

    fn earn(&mut self, rate: Rate, now: Timestamp) {
        let earned = now.0.saturating_sub(self.at.0).saturating_mul(rate.a_second);
        self.millis = self.millis.saturating_add(earned).min(rate.at_once * PRICE);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(budget: &mut Budget, from: [u8; 4], now: u64, tries: u64) -> u64 {
        (0..tries).map(|_| u64::from(budget.spend(from.into(), Timestamp(now)))).sum()
    }

    #[test]
    fn who_asks_without_end_leaves_the_others_theirs() {
        let mut budget = Budget::default();
        assert_eq!(spent(&mut budget, [10, 0, 0, 1], 0, 10_000), EACH.at_once);
        assert_eq!(spent(&mut budget, [10, 0, 0, 2], 0, 10), 10);
        assert_eq!(spent(&mut budget, [10, 0, 0, 1], 1_000, 10_000), EACH.a_second);
    }

    #[test]
    fn all_together_do_not_ask_without_end() {
        let mut budget = Budget::default();
        let all: u64 = (0..=255).map(|n| spent(&mut budget, [10, 0, 0, n], 0, 100)).sum();
        assert_eq!(all, ALL.at_once);
    }
}
