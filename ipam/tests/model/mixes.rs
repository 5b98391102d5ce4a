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
