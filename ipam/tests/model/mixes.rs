//! The mixes that are searched to their end, each with what must have happened in it: a promise that
//! holds because nothing happened is worth nothing.

use crate::searched::Event::{self, *};
use crate::searched::{Mix, search};

fn holds(words: &str, sometimes: &[Event]) {
    let searched = search(Mix::parse(words).unwrap(), None);
    println!("{searched}");
    assert!(searched.broken.is_none(), "a promise is broken");
    assert_eq!(searched.never(sometimes), Vec::<&Event>::new(), "these never happened");
}

#[test]
fn two_hosts_share_one_address() {
    holds("hosts=2 addresses=1", &[Assigned, Taken, WantPlaced, Granted, GivenBack, Cooled]);
}

#[test]
fn agents_die_and_start_again() {
    holds("hosts=2 addresses=1 kills=1", &[Assigned, Granted, Settled, Reaped]);
}

#[test]
fn a_release_is_repeated_late() {
    holds("hosts=2 addresses=1 late-releases=1", &[Assigned, Granted, Cooled, LateRelease]);
}

#[test]
fn the_power_is_cut_and_the_agent_dies_between_two_blocks() {
    holds("hosts=1 blocks=2 power-cuts=1 kills=1", &[Assigned, RetakenAfterBoot, Reaped]);
}

#[test]
fn a_host_is_evicted_whose_addresses_services_know() {
    let sometimes = [Opened, Closed, Named, Evicted, Swept, QuarantineEnded, RetakenAfterBoot];
    holds("hosts=2 addresses=1 asking=1 services power-cuts=1 evictions=1", &sometimes);
}
