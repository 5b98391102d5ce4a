//! What operators and clouds change under pools that are in use.

use super::fake_cloud::PlaceFault;
use super::world::{World, default_pool, zone};
use super::{FIRST, first_order, until_silence};
use crate::capacity::{PolicyRecord, PoolPolicy, Settlement, Timing};
use ipam::{Ask, BlockState, BootId, Eviction, EvictionWord, Incarnation, Pool, SetAside, Want};
use jiff::SignedDuration;
use provider::{Network, OrderRequest, ZoneId};
use std::net::IpAddr;
use std::time::Duration;
use store::Store;
use store::layout::{self, Item};

fn ip(last: u8) -> IpAddr {
    IpAddr::from([10, 60, 0, last])
}

/// What stands at an item, and since when.
async fn read<T: serde::de::DeserializeOwned>(world: &World, item: Item) -> Option<(T, store::Revision)> {
    let entry = world.store.get(&item.key()).await.unwrap().entry?;
    Some((layout::decode(&entry.key, &entry.value).unwrap(), entry.revision))
}

async fn policy(world: &World) -> (PolicyRecord, store::Revision) {
    read(world, Item::Policy("default".into())).await.expect("no policy is written")
}

/// An adopted subnet, open.
async fn with_a_subnet() -> World {
    let mut world = World::new().await;
    world.pool.free_min = 1;
    world.cloud.lock().add_subnet(FIRST, &["berth:demo"]);
    world.sign("h1").await;
    world.drive(&mut world.role(), 5).await;
    assert_eq!(world.states().await, ["open"]);
    world
}

#[tokio::test]
async fn a_pool_goes_by_the_configuration_of_who_has_the_role_and_hosts_hear_of_it() {
    let mut world = with_a_subnet().await;
    let (written, since) = policy(&world).await;
    assert_eq!((written.by.0.as_str(), &written.policy), ("h1", &world.pool));
    world.drive(&mut world.role(), 3).await;
    assert_eq!(policy(&world).await.1, since, "written again for nothing");

    // h2 is configured otherwise. Without the role that changes nothing.
    world.add_host("h2", 1).await;
    world.sign("h2").await;
    world.pool = PoolPolicy { cooling_millis: 5_000, prefix: 27, ..world.pool };
    let (mut other, status) = world.role_of("h2");
    world.drive(&mut other, 3).await;
    assert_eq!(policy(&world).await.1, since);

    world.lapse("h1").await;
    while status.borrow().role != "here" {
        world.drive(&mut other, 1).await;
    }
    world.drive(&mut other, 1).await;
    assert_eq!((policy(&world).await.0.by.0.as_str(), policy(&world).await.0.policy.prefix), ("h2", 27));
    let pool: Pool = read(&world, Item::Pool("default".into())).await.unwrap().0;
    assert_eq!(pool.cooling_millis, 5_000);
}

#[tokio::test]
async fn two_roles_with_different_configurations_do_not_overwrite_each_other() {
    let mut world = with_a_subnet().await;
    let (_, since) = policy(&world).await;
    let mut here = world.role();
    // The next subnet that is delivered is not the first one's addresses again.
    let request = OrderRequest { zone: zone(), network: Network::Private, prefix: 28 };
    world.cloud.lock().place(&request, crate::clock::Clock::wall(&world.clock));
    world.add_host("h2", 1).await;
    world.sign("h2").await;
    // By its own configuration it would order.
    world.pool = PoolPolicy { free_min: 100, ..world.pool };
    let (mut there, status) = world.role_in(&ZoneId::new("9999"), "h2");
    for _ in 0..10 {
        world.drive(&mut here, 1).await;
        world.drive(&mut there, 1).await;
    }
    assert_eq!(status.borrow().role, "here");
    assert_eq!(policy(&world).await.1, since, "somebody overwrote it");
    // One is ordered, because nothing is free in that zone: by the policy that is written no second one.
    assert_eq!(world.states().await, ["open", "open"]);
}

#[tokio::test]
async fn a_lost_compare_of_a_policy_leaves_what_the_other_wrote() {
    let world = with_a_subnet().await;
    let mut role = world.role();
    let other = PolicyRecord {
        policy: PoolPolicy { free_min: 3, ..world.pool.clone() },
        by: "h1".into(),
        zone: zone(),
    };
    world.put(Item::Policy("default".into()), &other).await;
    world.drive(&mut role, 1).await;
    assert_eq!(policy(&world).await.0.policy, world.pool, "what this host says now counts");
}

#[tokio::test]
async fn an_exclusion_reaches_open_subnets_and_what_is_in_use_stays_until_it_comes_back() {
    let mut world = with_a_subnet().await;
    world.take("h1", 1, FIRST, &[ip(5)]).await;
    world.pool.exclude = vec!["10.60.0.4/30".parse().unwrap()];
    world.drive(&mut world.role(), 2).await;
    let block = world.block(FIRST).await.unwrap();
    for last in [4, 6, 7] {
        assert_eq!(block.set_aside().get(&ip(last)), Some(&SetAside::Excluded), "{last}");
    }
    assert!(block.held().contains_key(&ip(5)) && block.unwanted().contains_key(&ip(5)));
    assert_eq!(block.set_aside().get(&ip(2)), Some(&SetAside::Reserved));

    world.pool.exclude = vec![];
    world.drive(&mut world.role(), 2).await;
    let block = world.block(FIRST).await.unwrap();
    assert!(block.unwanted().is_empty() && [4, 6, 7].iter().all(|last| block.is_free(ip(*last))));
    assert_eq!(block.set_aside().get(&ip(2)), Some(&SetAside::Reserved), "that is the provider's");
}

#[tokio::test]
async fn what_is_excluded_no_more_waits_for_the_provider_who_may_exclude_it_too() {
    let mut world = with_a_subnet().await;
    world.pool.exclude = vec!["10.60.0.4/30".parse().unwrap()];
    let mut role = world.role();
    world.drive(&mut role, 2).await;
    world.pool.exclude = vec!["10.60.0.8/30".parse().unwrap()];
    world.cloud.lock().away = true;
    world.drive(&mut world.role(), 2).await;
    let block = world.block(FIRST).await.unwrap();
    assert!(!block.is_free(ip(4)) && !block.is_free(ip(8)), "what is excluded now needs nobody's word");
    world.cloud.lock().away = false;
    world.clock.advance(Timing::default().retry_max);
    world.drive(&mut world.role(), 2).await;
    assert!(world.block(FIRST).await.unwrap().is_free(ip(4)));
}

#[tokio::test]
async fn another_prefix_counts_for_the_next_order_and_leaves_open_subnets_as_they_are() {
    let mut world = World::new().await;
    world.drive(&mut world.role(), 10).await;
    assert_eq!(world.states().await, ["open"]);
    world.pool = PoolPolicy { prefix: 27, free_min: 30, ..world.pool };
    world.drive(&mut world.role(), 20).await;
    assert_eq!(world.states().await, ["open", "open"]);
    let prefixes: Vec<u8> = world.cloud.lock().subnets.iter().map(|subnet| subnet.cidr.prefix()).collect();
    assert_eq!(prefixes, [28, 27]);
}

#[tokio::test]
async fn a_pool_that_is_removed_or_renamed_keeps_what_is_in_use_and_gets_nothing_more() {
    let mut world = with_a_subnet().await;
    world.take("h1", 1, FIRST, &[ip(5)]).await;
    let before = world.block(FIRST).await;
    world.pool = PoolPolicy { name: "renamed".into(), free_min: 1, subnets_max: 0, ..world.pool };
    let mut role = world.role();
    world.clock.advance(Timing::default().unused_max * 2);
    world.drive(&mut role, 10).await;
    assert_eq!((world.states().await, world.block(FIRST).await), (vec!["open"], before));
    assert!(world.cloud.lock().returned.is_empty());
    // An operator can still return it.
    role.settle(first_order(), Settlement::Drain).await.unwrap();
    assert_eq!(world.states().await, ["draining"]);
}

fn state_of(block: Option<ipam::Block>) -> BlockState {
    block.expect("its block is gone").state()
}

#[tokio::test]
async fn a_subnet_that_the_cloud_shows_no_more_is_withheld_named_and_comes_back_by_itself() {
    let world = with_a_subnet().await;
    world.take("h1", 1, FIRST, &[ip(5)]).await;
    let gone = std::mem::take(&mut world.cloud.lock().subnets);
    let (mut role, status) = world.role_of("h1");
    let begun = crate::clock::Clock::now(&world.clock);
    world.drive(&mut role, 2).await;
    let surprises = status.borrow().surprises.clone();
    assert!(surprises.len() == 1 && surprises[0].problem.contains("does not show it"), "{surprises:?}");
    assert_eq!(state_of(world.block(FIRST).await), BlockState::Open, "one look may be stale");
    while state_of(world.block(FIRST).await) == BlockState::Open {
        world.drive(&mut role, 1).await;
    }
    let waited = Duration::from_millis(crate::clock::Clock::now(&world.clock).0 - begun.0);
    assert!(waited >= Timing::default().staleness_max, "{waited:?}");
    world.drive(&mut role, 20).await;
    let block = world.block(FIRST).await.unwrap();
    assert!(block.held().contains_key(&ip(5)), "its user keeps it");
    assert_eq!(world.states().await[0], "open", "it is not returned for that");

    world.cloud.lock().subnets.extend(gone);
    world.clock.advance(Timing::default().idle);
    world.drive(&mut role, 3).await;
    assert_eq!(state_of(world.block(FIRST).await), BlockState::Open);
    assert!(status.borrow().surprises.is_empty());
    assert!(world.cloud.lock().returned.is_empty());
}

#[tokio::test]
async fn a_withheld_subnet_that_the_operator_drains_is_returned_once_it_is_empty() {
    let world = with_a_subnet().await;
    world.cloud.lock().subnets.clear();
    let mut role = world.role();
    while state_of(world.block(FIRST).await) == BlockState::Open {
        world.drive(&mut role, 1).await;
    }
    role.settle(first_order(), Settlement::Drain).await.unwrap();
    world.drive(&mut role, 10).await;
    assert_eq!(world.states().await[0], "returned");
}

#[tokio::test]
async fn another_gateway_is_named_and_nothing_is_changed() {
    let world = with_a_subnet().await;
    world.cloud.lock().subnets[0].gateway = Some(ip(14));
    let (mut role, status) = world.role_of("h1");
    let before = world.block(FIRST).await;
    world.drive(&mut role, 3).await;
    let surprises = status.borrow().surprises.clone();
    assert!(surprises.len() == 1 && surprises[0].problem.contains("10.60.0.14"), "{surprises:?}");
    assert_eq!(world.block(FIRST).await, before);
}

/// An order whose answer was lost is looked for by its time: by the cloud's, not by this host's.
#[tokio::test]
async fn with_a_clock_hours_off_an_order_whose_answer_was_lost_is_found_and_never_repeated() {
    for hours in [-5, 5] {
        let world = World::new().await;
        world.cloud.lock().ahead = SignedDuration::from_hours(hours);
        world.cloud.lock().place_faults.push_back(PlaceFault::AnswerLost);
        let mut role = world.role();
        world.drive(&mut role, 10).await;
        world.clock.advance(until_silence());
        world.drive(&mut role, 10).await;
        assert_eq!((world.states().await, world.cloud.lock().orders.len()), (vec!["open"], 1), "{hours} h");
    }
}

#[tokio::test]
async fn the_wants_of_hosts_that_are_gone_are_swept_and_those_of_the_living_are_left() {
    let world = with_a_subnet().await;
    for host in ["h1", "h2", "h3"] {
        world.add_host(host, 2).await;
        let mut record = world.host(host).await;
        record.zones = [ipam::Zone(zone().to_string())].into();
        world.put(Item::Host(host.into()), &record).await;
    }
    world.sign("h3").await;
    let eviction = Eviction {
        incarnation: Incarnation(2),
        by: "h1".into(),
        at: "2026-11-22T14:00:00Z".into(),
        word: EvictionWord::Provider { said: "deleted".into() },
    };
    world.put(Item::Eviction("h2".into()), &eviction).await;
    let want = |holder: &str, asker: &str| Item::Want {
        zone: zone().to_string(),
        holder: holder.into(),
        asker: asker.into(),
    };
    let asks = |incarnation| Want {
        incarnation: Incarnation(incarnation),
        boot: BootId::from("b"),
        ask: Ask::Some { pool: default_pool(), count: 1, v6: false },
    };
    world.put(want("h2", "h3"), &asks(2)).await;
    world.put(want("h3", "h2"), &asks(1)).await;
    world.put(want("h1", "h3"), &asks(2)).await;
    world.drive(&mut world.role(), 2).await;
    let mut left = Vec::new();
    for (holder, asker) in [("h2", "h3"), ("h3", "h2"), ("h1", "h3")] {
        if read::<Want>(&world, want(holder, asker)).await.is_some() {
            left.push((holder, asker));
        }
    }
    assert_eq!(left, [("h1", "h3")]);
}
