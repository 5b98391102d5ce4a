//! Subnets that were open before the store was lost.

use std::collections::{BTreeMap, BTreeSet};

use ipam::{Generation, Incarnation, PoolName, Rebuild, Zone};
use store::layout::Item;

use super::world::{World, default_pool, zone};

const OPENED: &[&str] = &["berth:demo", "berth:demo:opened"];

fn rebuild(zones: BTreeSet<Zone>) -> Rebuild {
    Rebuild {
        generation: Generation { number: 1, id: 1 },
        by: "h1".into(),
        at: "2026-11-22T18:00:00Z".into(),
        awaited: [("h2".into(), None)].into(),
        no_others: Some("root".into()),
        zones,
    }
}

#[tokio::test]
async fn what_bears_the_cluster_s_tag_is_opened_anew_and_nothing_of_it_is_free() {
    let world = World::new().await;
    world.cloud.lock().add_subnet("10.61.0.0/28", OPENED);
    world.cloud.lock().add_subnet("10.62.0.0/28", &["berth:demo"]);
    world.cloud.lock().add_subnet("10.63.0.0/28", &["berth:another"]);
    let known: BTreeMap<_, _> = [
        ("10.61.0.0/28".parse().unwrap(), PoolName::from("known")),
        ("10.69.0.0/28".parse().unwrap(), default_pool()),
    ]
    .into();
    let anew = world.role().zone_anew(&known).await.unwrap();
    let subnets: Vec<_> = anew.subnets.iter().map(|it| (it.cidr.to_string(), it.pool.0.as_str())).collect();
    assert_eq!(subnets, [("10.61.0.0/28".into(), "known"), ("10.62.0.0/28".into(), "default")]);
    assert_eq!(anew.left_out.len(), 1, "{:?}", anew.left_out);
    let tagged = world.cloud.lock().subnets.iter().filter(|it| it.tags.len() == 2).count();
    assert_eq!(tagged, 2, "what is handed out of is marked as opened");
}

#[tokio::test]
async fn the_role_of_another_zone_opens_its_subnets_anew_before_it_adopts_or_orders() {
    let world = World::new().await;
    world.cloud.lock().add_subnet("10.61.0.0/28", OPENED);
    // A tag file that knows less: it must not be adopted as if it never was open.
    world.cloud.lock().add_subnet("10.62.0.0/28", &["berth:demo"]);
    world.put(Item::Rebuild, &rebuild(BTreeSet::new())).await;
    let mut role = world.role();
    world.drive(&mut role, 6).await;
    for subnet in ["10.61.0.0/28", "10.62.0.0/28"] {
        let block = world.block(subnet).await.expect("it is open");
        assert_eq!(block.counts().free, 0, "{subnet}");
    }
    assert_eq!(world.states().await, ["open", "open"]);
    assert!(world.cloud.lock().orders.is_empty());
}

#[tokio::test]
async fn what_nobody_claimed_is_freed_once_the_last_host_is_accounted_for() {
    let world = World::new().await;
    world.cloud.lock().add_subnet("10.61.0.0/28", OPENED);
    world.put(Item::Rebuild, &rebuild(BTreeSet::new())).await;
    let (mut role, status) = world.role_of("h1");
    world.drive(&mut role, 200).await;
    assert_eq!(world.block("10.61.0.0/28").await.unwrap().counts().free, 0);
    let kept = status.borrow().quarantine.first().cloned().expect("addresses wait");
    assert!(kept.is_kept && kept.was.is_none() && kept.state.contains("berth store rebuild"), "{kept:?}");

    world.add_host("h2", 1).await;
    let evicted = ipam::Eviction {
        incarnation: Incarnation(2),
        by: "h1".into(),
        at: String::new(),
        word: ipam::EvictionWord::Provider { said: "off".into() },
    };
    world.put(Item::Eviction("h2".into()), &evicted).await;
    world.drive(&mut role, 60).await;
    let counts = world.block("10.61.0.0/28").await.unwrap().counts();
    assert_eq!((counts.quarantined, counts.free + counts.set_aside), (0, counts.total));
    assert_eq!(zone().to_string(), "1234");
}
