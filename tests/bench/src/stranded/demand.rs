//! Which host asks next: by Zipf's law, the nth busiest asks for 1/n^skew of what the busiest asks for.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

/// Requests of a fleet.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    pub(super) hosts: usize,
    /// 0: all alike.
    pub(super) skew: f64,
    pub(super) seed: u64,
}

impl Demand {
    /// The hosts that ask, one after the other, without end.
    pub(super) fn requests(&self) -> impl Iterator<Item = usize> + use<> {
        let mut random = StdRng::seed_from_u64(self.seed);
        // Which host is the busiest is left to chance.
        let mut ranked: Vec<usize> = (0..self.hosts).collect();
        ranked.shuffle(&mut random);
        let mut sum = 0.0;
        let weights = (1..=self.hosts).map(|rank| {
            sum += (rank as f64).powf(-self.skew);
            sum
        });
        let sums: Vec<f64> = weights.collect();
        std::iter::repeat_with(move || {
            let at = random.random_range(0.0..sum);
            ranked[sums.partition_point(|upto| *upto <= at).min(ranked.len() - 1)]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_host_asks_twice_as_often_as_the_next() {
        let demand = Demand { hosts: 10, skew: 1.0, seed: 1 };
        let mut asked = [0; 10];
        demand.requests().take(100_000).for_each(|host| asked[host] += 1);
        asked.sort_unstable();
        let ratio = f64::from(asked[9]) / f64::from(asked[8]);
        assert!((1.9..2.1).contains(&ratio), "{asked:?}");
    }
}
