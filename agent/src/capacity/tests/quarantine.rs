//! When a quarantine ends, with a store, a wire and what hosts use.

use std::{net::IpAddr, time::Duration};

use ipam::{BlockCommand, EndpointRecord, Epoch, Generation, Incarnation};
use store::layout::{Item, Under};
use tokio::sync::watch;

use super::FIRST;
use super::fake_cloud::FakeCloud;
use super::world::{World, zone};
use crate::capacity::{CapacityStatus, QUARANTINE_DEFAULT, Role};

fn ip(last: u8) -> IpAddr {
    [10, 60, 0, last].into()
}

/// An open subnet, of which `h1` held addresses and gave them up by itself, as after it lost its journals.
async fn self_evicted() -> (World, Role<FakeCloud>, watch::Receiver<CapacityStatus>) {
    let world = World::new().await;
    let (mut role, status) = world.role_of("h1");
    world.sign("h1").await;
    while world.block(FIRST).await.is_none() {
        world.drive(&mut role, 1).await;
    }
    world.take("h1", 1, FIRST, &[ip(4), ip(5)]).await;
    world.add_host("h1", 2).await;
    let sweep =
        BlockCommand::Sweep { host: "h1".into(), below: Incarnation(2), why: "it lost its journals".into() };
    world.put_block(&world.block(FIRST).await.unwrap().apply(sweep).unwrap().block).await;
    world.drive(&mut role, 1).await;
    (world, role, status)
}

async fn pass_for(world: &World, role: &mut Role<FakeCloud>, time: Duration) {
    let end = crate::clock::Clock::now(&world.clock).after(u64::try_from(time.as_millis()).unwrap());
    while crate::clock::Clock::now(&world.clock) < end {
        world.drive(role, 1).await;
    }
}

async fn quarantined(world: &World) -> Vec<IpAddr> {
    world.block(FIRST).await.unwrap().quarantined().keys().copied().collect()
}

#[tokio::test]
async fn a_quarantine_that_nobody_uses_ends_after_its_time_and_not_before() {
    let (world, mut role, status) = self_evicted().await;
    assert_eq!(quarantined(&world).await, [ip(4), ip(5)]);
    let line = status.borrow().quarantine[0].clone();
    assert_eq!((line.address, line.state.as_str(), line.is_kept), (ip(4), "rests", false));
    pass_for(&world, &mut role, QUARANTINE_DEFAULT - Duration::from_secs(60)).await;
    assert_eq!(quarantined(&world).await, [ip(4), ip(5)]);
    pass_for(&world, &mut role, Duration::from_secs(60)).await;
    assert!(quarantined(&world).await.is_empty());
    assert!(world.block(FIRST).await.unwrap().is_free(ip(4)));
    assert_eq!(status.borrow().quarantine, []);
}

/// S1: the host that lost its journals still runs containers. It does not answer its own probe.
#[tokio::test]
async fn what_this_host_still_uses_stays_in_quarantine_and_is_told() {
    let (world, mut role, status) = self_evicted().await;
    let docker = "Docker shows a container with it on network cloud".to_owned();
    *world.used.0.lock().unwrap() = Some([(ip(4), docker)].into());
    pass_for(&world, &mut role, 3 * QUARANTINE_DEFAULT).await;
    assert_eq!(quarantined(&world).await, [ip(4)]);
    let line = status.borrow().quarantine[0].clone();
    assert_eq!(
        (line.state.as_str(), line.is_kept),
        ("still used, says this host: Docker shows a container with it on network cloud", true)
    );
    *world.used.0.lock().unwrap() = Some([].into());
    pass_for(&world, &mut role, QUARANTINE_DEFAULT + Duration::from_secs(60)).await;
    assert!(quarantined(&world).await.is_empty());
}

#[tokio::test]
async fn what_somebody_on_the_wire_still_uses_stays_in_quarantine_and_is_told() {
    let (world, mut role, status) = self_evicted().await;
    *world.wire.0.lock().unwrap() = Some([ip(5)].into());
    pass_for(&world, &mut role, 3 * QUARANTINE_DEFAULT).await;
    assert_eq!(quarantined(&world).await, [ip(5)]);
    let state = status.borrow().quarantine[0].state.clone();
    assert_eq!(state, "still used, says the wire: somebody answers for it");
}

#[tokio::test]
async fn where_a_witness_is_silent_nothing_is_freed() {
    for silent in ["the wire", "Docker"] {
        let (world, mut role, status) = self_evicted().await;
        match silent {
            "the wire" => *world.wire.0.lock().unwrap() = None,
            _ => *world.used.0.lock().unwrap() = None,
        }
        pass_for(&world, &mut role, 2 * QUARANTINE_DEFAULT).await;
        assert_eq!(quarantined(&world).await, [ip(4), ip(5)], "{silent}");
        assert!(status.borrow().quarantine.iter().all(|line| line.is_kept), "{silent}");
    }
}

#[tokio::test]
async fn an_open_endpoint_keeps_one_address_and_not_its_neighbours() {
    let (world, mut role, status) = self_evicted().await;
    let epoch = Epoch { generation: Generation { number: 1, id: 1 }, take: 2, counter: 1 };
    let record = EndpointRecord { epoch, endpoint: "e".into(), host: "h1".into() };
    world.put(Item::Endpoint(ip(4)), &record).await;
    pass_for(&world, &mut role, QUARANTINE_DEFAULT + Duration::from_secs(60)).await;
    assert_eq!(quarantined(&world).await, [ip(4)]);
    assert_eq!(status.borrow().quarantine[0].state, "its endpoint is still open in the store");
}

#[tokio::test]
async fn what_the_cloud_still_names_stays_in_quarantine() {
    let (world, mut role, status) = self_evicted().await;
    let named = Item::Dependent { address: ip(5), epoch: [1, 1, 2, 1], object: "lb/7".into() };
    world.put(named.clone(), &ipam::Dependent { writers: ["h1".into()].into() }).await;
    pass_for(&world, &mut role, QUARANTINE_DEFAULT + Duration::from_secs(60)).await;
    assert_eq!(quarantined(&world).await, [ip(5)]);
    assert_eq!(status.borrow().quarantine[0].state, "the cloud still names it");
    store::Store::commit(&world.store, store::Transaction::new().delete(named.key())).await.unwrap();
    pass_for(&world, &mut role, Duration::from_secs(60)).await;
    assert!(quarantined(&world).await.is_empty());
}

/// An evicted host cannot remove its members, and nobody else's word may be removed with them.
#[tokio::test]
async fn what_an_evicted_host_left_of_an_address_in_services_is_removed_and_what_others_wrote_is_not() {
    let (world, mut role, status) = self_evicted().await;
    let dependent = |last, object: &str| Item::Dependent {
        address: ip(last),
        epoch: [1, 1, 2, 1],
        object: object.to_owned(),
    };
    let balanced = dependent(5, "balancer-web");
    for named in [dependent(4, "member-web"), dependent(5, "member-web"), balanced.clone()] {
        world.put(named, &ipam::Dependent { writers: ["h1".into()].into() }).await;
    }
    for last in [4, 5] {
        world.put(Item::Member { service: "web".into(), address: ip(last) }, &"as h1 wrote it").await;
    }
    pass_for(&world, &mut role, QUARANTINE_DEFAULT + Duration::from_secs(120)).await;
    assert_eq!(quarantined(&world).await, [ip(5)]);
    assert_eq!(status.borrow().quarantine[0].state, "the cloud still names it");
    let left = store::Store::range(&world.store, &Under::Members.prefix()).await.unwrap().entries;
    assert_eq!(left, []);
    let left = store::Store::range(&world.store, &Under::DependentsOf(ip(5)).prefix()).await.unwrap().entries;
    assert_eq!(left.into_iter().map(|entry| entry.key).collect::<Vec<_>>(), [balanced.key()]);
}

/// Two agents, one store: the timer is the role's own, so the next owner starts it again.
#[tokio::test]
async fn a_new_owner_of_the_role_starts_the_rest_again() {
    let (world, mut role, _) = self_evicted().await;
    pass_for(&world, &mut role, QUARANTINE_DEFAULT - Duration::from_secs(60)).await;
    drop(role);
    world.add_host("h2", 1).await;
    world.sign("h2").await;
    // h1's agent is gone for good; its machine is not.
    world.lapse("h1").await;
    let (mut next, status) = world.role_of("h2");
    while status.borrow().role != "here" {
        world.drive(&mut next, 1).await;
    }
    world.sign("h1").await;
    pass_for(&world, &mut next, QUARANTINE_DEFAULT - Duration::from_secs(60)).await;
    assert_eq!(quarantined(&world).await, [ip(4), ip(5)]);
    pass_for(&world, &mut next, Duration::from_secs(120)).await;
    assert!(quarantined(&world).await.is_empty());
}

#[tokio::test]
async fn a_former_owner_can_end_no_quarantine() {
    let (world, mut former, _) = self_evicted().await;
    let (term, view) = former.store_look().await.unwrap().unwrap();
    let blocks = view.blocks_seen(&zone());
    let mut quarantines = ipam::role::Quarantines::new(0);
    for address in quarantines.look(view.now, &blocks, &view.hosts).into_values().flatten() {
        quarantines.heard(view.now, address, ipam::role::UseWord::Nobody);
    }
    let ending = quarantines.endings(view.now, &blocks).remove(0);
    let mut present = world.role();
    present.pass().await;
    let outcome = former.send(&term, &ending.transaction).await.unwrap();
    assert!(matches!(outcome, ipam::Sent::Conflict { .. }), "{outcome:?}");
    assert_eq!(quarantined(&world).await, [ip(4), ip(5)]);
}
