//! A store that is away for long, and hosts that are gone before anybody looked.

use super::super::spill::SPILL_AT;
use super::*;

fn many(fleet: &Fleet) -> Vec<Entry> {
    (0..SPILL_AT as u64).map(|counter| fleet.ended("h1", (counter % 12) as u8 + 2, counter, HOUR)).collect()
}

#[tokio::test]
async fn what_ends_while_the_store_is_away_goes_to_the_disk_before_it_is_too_much() {
    let fleet = Fleet::of(&["h1", "h2"]).await;
    let (ledger, mut keeper) = fleet.start("h1");
    fleet.store.go_away();
    assert_eq!(keeper.spill(&many(&fleet)[1..]).await.unwrap(), [], "a little waits in the journal");
    let spilled = keeper.spill(&many(&fleet)).await.unwrap();
    assert_eq!(spilled.len(), SPILL_AT);
    assert_eq!(ledger.report().spilled, 5);
    // It is told meanwhile, beside the word that the store is away.
    let found = look(&ledger, &of(2)).await;
    assert!(found.intervals.len() > 300 && !found.trouble.is_empty());
    fleet.store.come_back();
    keeper.keep_house().await.unwrap();
    let (other, _) = fleet.start("h2");
    let found = look(&other, &Query::default()).await;
    assert_eq!((found.intervals.len(), found.trouble.len()), (SPILL_AT, 0));
    assert_eq!(ledger.report().spilled, 0);
}

#[tokio::test]
async fn what_was_put_on_the_disk_is_handed_over_by_an_agent_that_was_started_anew() {
    let fleet = Fleet::of(&["h1", "h2"]).await;
    let (_, mut keeper) = fleet.start("h1");
    fleet.store.go_away();
    assert_eq!(keeper.spill(&many(&fleet)).await.unwrap().len(), SPILL_AT);
    fleet.store.come_back();
    // In the same second, and written to the store before the disk is compared.
    let (_, mut keeper) = fleet.start("h1");
    keeper.write(vec![fleet.ended("h1", 2, 9_999_999, HOUR)]).await.1.unwrap();
    for _ in 0..2 {
        keeper.keep_house().await.unwrap();
    }
    let (other, mut second) = fleet.start("h2");
    second.keep_house().await.unwrap();
    let found = look(&other, &Query::default()).await;
    assert_eq!((found.intervals.len(), found.trouble.len()), (SPILL_AT + 1, 0));
}

#[tokio::test]
async fn what_an_evicted_host_left_as_running_is_closed_though_its_quarantine_is_over() {
    let fleet = Fleet::of(&["h1", "h2"]).await;
    let (_, mut lost) = fleet.start("h1");
    lost.write(vec![fleet.running("h1", 2, 1)]).await.1.unwrap();
    fleet.dies("h1").await;
    let mut view = evict(&fleet, "h1", &[2]).await;
    view.subnets[0].blocks[0].addresses.clear();
    view.hosts = BTreeMap::from([("h1".into(), Incarnation(2)), ("h2".into(), Incarnation(1))]);
    let (ledger, mut keeper) = fleet.start("h2");
    keeper.close_lost(&view).await.unwrap();
    assert!(look(&ledger, &of(2)).await.intervals[0].end.is_none(), "nothing is in quarantine any more");
    // Before it is swept, the sweep is waited for.
    view.lost = BTreeMap::from([(address(2), Holder { host: "h1".into(), incarnation: Incarnation(1) })]);
    keeper.close_what_evicted_hosts_left(&view).await.unwrap();
    assert!(look(&ledger, &of(2)).await.intervals[0].end.is_none());
    view.lost.clear();
    keeper.close_what_evicted_hosts_left(&view).await.unwrap();
    assert_eq!(look(&ledger, &of(2)).await.intervals[0].end.unwrap().why, Why::Evicted);
}
