//! The store is gone for a long time, within a boot, while containers come and go: the story that `make bench-ipam`
//! tells of an hour.

use ipam::{Family, Wish};

use crate::chance::Chance;
use crate::fault::{Fault, Kind};
use crate::script::{Act, Script, Site, zone};
use crate::{Ended, Moment, Story, tell};

/// When the store goes: every host is up and runs something.
const GOES_MILLIS: Moment = 120_000;

/// Between two acts at most, on all hosts together.
const PAUSE_MAX: u64 = 8_000;

/// The story of `hosts` hosts without a store for `millis`; a seed decides which containers come and go when.
///
/// ```
/// assert_eq!(simulation::outage(1, 3, 60_000).broken, None);
/// ```
pub fn outage(seed: u64, hosts: usize, millis: Moment) -> Ended {
    let mut chance = Chance::new(seed, "outage");
    let gone = Fault { kind: Kind::StoreAway, machine: 0, millis, much: seed };
    let mut acts = vec![(GOES_MILLIS, Some(Act::Fault(gone)))];
    let mut at = 1_000;
    while at < GOES_MILLIS + millis + 60_000 {
        let machine = chance.place(hosts);
        let comes = chance.one_in(2);
        let act = if comes {
            Act::Run { machine, wish: Wish::Any(Family::V4), plain: chance.one_in(4) }
        } else {
            Act::Stop { machine, nth: chance.place(8) }
        };
        acts.push((at, Some(act)));
        at += chance.skewed(PAUSE_MAX);
    }
    let sites = vec![Site { cidr: "10.50.0.0/26".parse().expect("a subnet"), zone: 0 }];
    acts.sort_by_key(|(at, _)| *at);
    let hosts = (0..hosts).map(|_| [zone(0)].into()).collect();
    tell(Script { seed, hosts, zones: 1, sites, cooling: 5_000, acts }, Story::silent())
}
