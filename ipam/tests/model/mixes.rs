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
    let sometimes = [Assigned, Taken, WantPlaced, Granted, GivenBack, Cooled, Settled, Reaped];
    holds("hosts=2 addresses=1 kills=1", &sometimes);
}

#[test]
fn a_release_is_repeated_late() {
    let sometimes = [Assigned, Taken, WantPlaced, Granted, GivenBack, Cooled, LateRelease];
    holds("hosts=2 addresses=1 late-releases=1", &sometimes);
}

#[test]
fn a_transaction_of_unknown_outcome_lands_late_or_never() {
    let sometimes =
        [Assigned, Taken, WantPlaced, Granted, GivenBack, Cooled, LandedLate, MadeToFail, Settled];
    holds("hosts=2 addresses=1 unknown=1", &sometimes);
}

#[test]
fn watches_lag_behind() {
    let sometimes = [Assigned, Taken, WantPlaced, Granted, GivenBack, Cooled, MadeToFail];
    holds("hosts=2 addresses=1 lagging=2", &sometimes);
}

#[test]
fn the_power_is_cut_and_the_agent_dies_between_two_blocks() {
    let sometimes = [Assigned, Taken, Cooled, RetakenAfterBoot, Reaped];
    holds("hosts=1 blocks=2 power-cuts=1 kills=1", &sometimes);
}

#[test]
fn a_host_is_evicted_whose_addresses_services_know() {
    let sometimes = [
        Assigned,
        Taken,
        WantPlaced,
        Granted,
        Cooled,
        Opened,
        Closed,
        Named,
        Evicted,
        Swept,
        QuarantineEnded,
        RetakenAfterBoot,
    ];
    holds("hosts=2 addresses=1 asking=1 services power-cuts=1 evictions=1", &sometimes);
}

#[test]
fn two_hosts_share_two_addresses_and_agents_die() {
    let sometimes = [Assigned, Taken, WantPlaced, Granted, GivenBack, Cooled, Settled, Reaped];
    holds("hosts=2 addresses=2 asking=1 kills=1", &sometimes);
}

#[test]
fn two_hosts_share_two_addresses_and_outcomes_are_unknown() {
    let sometimes =
        [Assigned, Taken, WantPlaced, Granted, GivenBack, Cooled, LandedLate, MadeToFail, Settled];
    holds("hosts=2 addresses=2 asking=1 unknown=1", &sometimes);
}

#[test]
fn two_hosts_share_two_addresses_and_watches_lag() {
    let sometimes = [Assigned, Taken, WantPlaced, Granted, GivenBack, Cooled, MadeToFail];
    holds("hosts=2 addresses=2 asking=1 lagging=1", &sometimes);
}

#[test]
fn two_hosts_share_two_blocks_and_outcomes_are_unknown() {
    let sometimes =
        [Assigned, Taken, WantPlaced, Granted, GivenBack, Cooled, LandedLate, MadeToFail, Settled];
    holds("hosts=2 blocks=2 asking=1 unknown=1", &sometimes);
}

#[test]
fn three_hosts_share_two_addresses() {
    let sometimes = [Assigned, Taken, WantPlaced, Granted, GivenBack, Cooled, MadeToFail];
    holds("hosts=3 addresses=2 asking=1 containers=1", &sometimes);
}
