//! The baselines do what they say: no address twice, and every one that they can reach.

use std::collections::BTreeSet;

use anyhow::Result;
use futures::executor::block_on;

use super::*;

const ROOM: usize = 40;

/// Two hosts that have one address each, and then ask for everything, one after the other: how many each got.
fn asked_for_everything<S: Strategy<Memory>>() -> Result<(Vec<S>, Vec<usize>)> {
    let keys = Memory::default();
    let mut hosts: Vec<S> = (0..2).map(|host| S::new(keys.clone(), host, 2, ROOM)).collect();
    let (mut all, mut counts) = (BTreeSet::new(), vec![0; 2]);
    for everything in [false, true] {
        for (host, count) in hosts.iter_mut().zip(&mut counts) {
            while let Some(address) = block_on(host.assign())? {
                assert!(address < ROOM && all.insert(address), "{address} twice");
                *count += 1;
                if !everything {
                    break;
                }
            }
        }
    }
    Ok((hosts, counts))
}

#[test]
fn one_per_address_reaches_every_address_from_one_host() -> Result<()> {
    let (_, counts) = asked_for_everything::<OnePerAddress<_>>()?;
    assert_eq!(counts, [39, 1]);
    Ok(())
}

#[test]
fn blocks_are_claimed_and_then_borrowed_from() -> Result<()> {
    let (hosts, counts) = asked_for_everything::<Blocks<_>>()?;
    // Three blocks, of 16, 16 and 8: the first host claims two, and borrows what is left of the other's.
    assert_eq!(counts, [39, 1]);
    assert_eq!((hosts[0].borrowed(), hosts[1].borrowed()), (15, 0));
    Ok(())
}

#[test]
fn a_block_that_somebody_borrows_from_is_not_given_twice() -> Result<()> {
    let keys = Memory::default();
    let mut hosts: Vec<Blocks<_>> =
        (0..2).map(|host| Blocks::new(keys.clone(), host, 2, BLOCK_ROOM)).collect();
    let mut all = BTreeSet::new();
    for turn in 0..BLOCK_ROOM {
        let address = block_on(hosts[turn % 2].assign())?.expect("there is room");
        assert!(all.insert(address), "{address} twice");
    }
    assert_eq!(block_on(hosts[0].assign())?, None);
    Ok(())
}

/// One block.
const BLOCK_ROOM: usize = 16;

#[test]
fn a_subnet_per_host_ends_where_its_slice_ends() -> Result<()> {
    let (hosts, counts) = asked_for_everything::<SubnetPerHost<_>>()?;
    assert_eq!(counts, [20, 20]);
    assert_eq!(hosts[0].keys().asked(), 1);
    Ok(())
}
