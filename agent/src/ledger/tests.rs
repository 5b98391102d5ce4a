//! Ledgers of several hosts over one store.

mod elsewhere;
mod spilling;

use super::*;
use crate::clock::ManualClock;
use ::ledger::{Container, End, Entry, Query, Why, check};
use ipam::{
    AddressState, AddressView, Block, BlockCommand, BlockView, ClusterState, EndpointId, Epoch, Generation,
    Holder, Incarnation, SetAside, Zone,
};
use std::collections::BTreeSet;
use std::net::IpAddr;
use store::layout::{self, Item, Under};
use store::{Fault, MemoryStore, Transaction};
use tempfile::TempDir;

const HOUR: Duration = Duration::from_secs(3_600);

/// One store, one clock, and a disk for each host.
struct Fleet {
    store: MemoryStore,
    clock: ManualClock,
    disks: TempDir,
    disk_bytes_max: u64,
}

impl Fleet {
    async fn of(hosts: &[&str]) -> Self {
        let clock = ManualClock::new();
        clock.advance(1_000_000 * HOUR / 3);
        let disks = tempfile::tempdir().unwrap();
        let fleet = Self { store: MemoryStore::new(), clock, disks, disk_bytes_max: 1 << 30 };
        for host in hosts {
            fleet.put(Item::Host((*host).into())).await;
            fleet.put(Item::Session((*host).into())).await;
        }
        fleet
    }

    async fn put(&self, item: Item) {
        self.store.commit(Transaction::new().put(item.key(), b"here".to_vec())).await.unwrap();
    }

    async fn dies(&self, host: &str) {
        self.store.commit(Transaction::new().delete(Item::Session(host.into()).key())).await.unwrap();
    }

    /// The ledger of a host, as its agent starts. It answers others until the test is over.
    fn start(&self, host: &str) -> (Ledger, Keeper) {
        let (ledger, keeper) = self.start_deaf(host, self.clock.clone());
        tokio::spawn(ledger.clone().answer_others());
        (ledger, keeper)
    }

    /// The same, with this clock, and it answers nobody.
    fn start_deaf(&self, host: &str, clock: ManualClock) -> (Ledger, Keeper) {
        let (shelf, _) = Shelf::open(self.disks.path().join(host)).unwrap();
        new(Parts {
            store: Arc::new(self.store.clone()),
            clock: Arc::new(clock),
            host: host.into(),
            shelf,
            limits: Limits {
                window: 24 * HOUR,
                store_bytes_max: 1 << 26,
                keep: 400 * 24 * HOUR,
                disk_bytes_max: self.disk_bytes_max,
            },
        })
    }

    fn now(&self) -> Moment {
        Moment(self.clock.wall().as_millisecond() as u64)
    }

    /// An assignment of `length` that ended now.
    fn ended(&self, host: &str, last: u8, counter: u64, length: Duration) -> Entry {
        let mut entry = self.running(host, last, counter);
        entry.interval.from = Moment(self.now().0 - length.as_millis() as u64);
        entry.interval.end = Some(End { at: self.now(), offset: 0, why: Why::Released });
        entry
    }

    /// An assignment that begins now.
    fn running(&self, host: &str, last: u8, counter: u64) -> Entry {
        let id = format!("{counter:064x}");
        let interval = Interval {
            address: address(last),
            epoch: epoch(counter),
            host: host.into(),
            endpoint: Some(EndpointId(id.clone())),
            container: Some(Container { id, name: format!("web-{counter}"), network: "cloud".into() }),
            from: self.now(),
            from_offset: 0,
            earlier: false,
            unknown: false,
            end: None,
        };
        Entry { block: block(), interval, gone: false }
    }

    async fn values(&self, host: &str) -> usize {
        let under = Under::LedgerOf { writer: host.into() };
        self.store.range(&under.prefix()).await.unwrap().entries.len()
    }
}

fn block() -> BlockId {
    BlockId { subnet: "10.50.0.0/28".parse().unwrap(), index: 0 }
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 50, 0, last])
}

fn generation() -> Generation {
    Generation { number: 1, id: 7 }
}

fn epoch(counter: u64) -> Epoch {
    // The first take of a block that was opened above 0.
    Epoch { generation: generation(), take: 2, counter }
}

fn of(last: u8) -> Query {
    Query { address: Some(address(last)), ..Query::default() }
}

async fn look(ledger: &Ledger, query: &Query) -> Found {
    ledger.look(query, &[block()], None).await
}

fn counters(found: &Found) -> Vec<u64> {
    assert_eq!(check::broken(&found.intervals, 0), Vec::<String>::new());
    found.intervals.iter().map(|interval| interval.epoch.counter).collect()
}

#[tokio::test]
async fn what_ended_is_found_on_every_host_and_what_runs_too() {
    let fleet = Fleet::of(&["h1", "h2"]).await;
    let (_, mut first) = fleet.start("h1");
    let (second, _) = fleet.start("h2");
    let entries = vec![fleet.ended("h1", 2, 1, HOUR), fleet.running("h1", 2, 2)];
    let (written, done) = first.write(entries).await;
    done.unwrap();
    assert_eq!(written, [(address(2), epoch(1))]);
    let found = look(&second, &of(2)).await;
    assert_eq!(counters(&found), [1, 2]);
    assert!(found.intervals[0].end.is_some() && found.intervals[1].end.is_none());
    let then = Moment(fleet.now().0 - 1_000);
    let asked = Query { during: Some((then, then)), ..of(2) };
    assert_eq!(counters(&look(&second, &asked).await), [1]);
}

#[tokio::test]
async fn a_batch_whose_outcome_nobody_knows_is_told_once() {
    for fault in [Fault::LosesAnswer, Fault::Vanishes, Fault::Fails] {
        let fleet = Fleet::of(&["h1"]).await;
        let (ledger, mut keeper) = fleet.start("h1");
        fleet.store.fault_next(Under::Running.prefix(), fault);
        let entries = || vec![fleet.ended("h1", 2, 1, HOUR), fleet.running("h1", 3, 2)];
        let (written, done) = keeper.write(entries()).await;
        assert!(written.is_empty() && done.is_err());
        // The journal still has it, and so it comes again; perhaps from an agent that was started anew.
        let (_, mut keeper) = fleet.start("h1");
        let (written, done) = keeper.write(entries()).await;
        done.unwrap();
        assert_eq!(written.len(), 1);
        assert_eq!(counters(&look(&ledger, &Query::default()).await), [1, 2]);
    }
}

#[tokio::test]
async fn a_sealed_segment_has_two_copies_before_it_leaves_the_store() {
    let fleet = Fleet::of(&["h1", "h2"]).await;
    let ((first, mut one), (second, mut two)) = (fleet.start("h1"), fleet.start("h2"));
    one.write(vec![fleet.ended("h1", 2, 1, HOUR)]).await.1.unwrap();
    fleet.clock.advance(25 * HOUR);
    one.keep_house().await.unwrap();
    assert_eq!(fleet.values("h1").await, 1, "one copy is not enough");
    assert_eq!(first.report().alone, 1);
    two.keep_house().await.unwrap();
    one.keep_house().await.unwrap();
    assert_eq!(fleet.values("h1").await, 0);
    assert_eq!(first.report().alone, 0);
    for ledger in [&first, &second] {
        let found = look(ledger, &of(2)).await;
        assert_eq!((counters(&found), found.unseen.len()), (vec![1], 0));
    }
    // A third host has it told by one of them.
    let (third, _) = fleet.start("h3");
    let found = look(&third, &of(2)).await;
    assert_eq!((counters(&found), found.unseen.len(), found.trouble.len()), (vec![1], 0, 0));
}

#[tokio::test]
async fn one_host_alone_keeps_one_copy_and_goes_on_in_a_new_segment() {
    let fleet = Fleet::of(&["h1"]).await;
    let (ledger, mut keeper) = fleet.start("h1");
    keeper.write(vec![fleet.ended("h1", 2, 1, HOUR)]).await.1.unwrap();
    fleet.clock.advance(25 * HOUR);
    keeper.keep_house().await.unwrap();
    assert_eq!(fleet.values("h1").await, 0);
    assert!(ledger.report().only_host && ledger.report().segments == 1);
    keeper.write(vec![fleet.ended("h1", 2, 2, HOUR)]).await.1.unwrap();
    assert_eq!(counters(&look(&ledger, &of(2)).await), [1, 2]);
    // Also for an agent that was started anew.
    let (ledger, _) = fleet.start("h1");
    assert_eq!(counters(&look(&ledger, &of(2)).await), [1, 2]);
}

#[tokio::test]
async fn where_the_host_that_was_asked_dies_another_keeps_the_copy() {
    let fleet = Fleet::of(&["h1", "h2", "h3"]).await;
    let (_, mut one) = fleet.start("h1");
    one.write(vec![fleet.ended("h1", 2, 1, HOUR)]).await.1.unwrap();
    fleet.clock.advance(2 * HOUR);
    one.keep_house().await.unwrap();
    let asked = one.mine.clone().unwrap().values().next().unwrap().asked.clone().unwrap();
    fleet.dies(&asked.0).await;
    one.keep_house().await.unwrap();
    let other = if asked.0 == "h2" { "h3" } else { "h2" };
    let (ledger, mut keeper) = fleet.start(other);
    keeper.keep_house().await.unwrap();
    assert_eq!(ledger.report().segments, 1);
}

#[tokio::test]
async fn the_oldest_leave_a_full_disk_and_the_index() {
    let mut fleet = Fleet::of(&["h1"]).await;
    fleet.disk_bytes_max = 1;
    let (ledger, mut keeper) = fleet.start("h1");
    keeper.write(vec![fleet.ended("h1", 2, 1, HOUR)]).await.1.unwrap();
    fleet.clock.advance(25 * HOUR);
    keeper.keep_house().await.unwrap();
    let found = look(&ledger, &of(2)).await;
    assert!(found.intervals.is_empty() && found.unseen.is_empty() && found.trouble.is_empty());
    assert_eq!(ledger.report().disk_bytes, 0);
}

#[tokio::test]
async fn a_segment_that_is_full_is_followed_by_another() {
    let fleet = Fleet::of(&["h1"]).await;
    let (ledger, mut keeper) = fleet.start("h1");
    // Ids as random as Docker's.
    let entry = |counter: u64| {
        let mut entry = fleet.ended("h1", (counter % 12) as u8 + 2, counter, HOUR);
        let id: String = (0..64).map(|_| char::from_digit(rand::random_range(0..16), 16).unwrap()).collect();
        entry.interval.endpoint = Some(EndpointId(id.clone()));
        entry.interval.container = Some(Container { id, name: "web".into(), network: "cloud".into() });
        let begin = fleet.now().0 - 100_000;
        entry.interval.from = Moment(begin + counter * 10);
        let at = Moment(begin + counter * 10 + 5);
        entry.interval.end = Some(End { at, offset: 0, why: Why::Released });
        entry
    };
    let (written, done) = keeper.write((0..2_000).map(entry).collect()).await;
    done.unwrap();
    assert_eq!(written.len(), 2_000);
    assert!(fleet.values("h1").await > 1);
    keeper.keep_house().await.unwrap();
    assert!(ledger.report().segments >= 1);
    assert_eq!(look(&ledger, &Query::default()).await.intervals.len(), 2_000);
}

#[tokio::test]
async fn what_a_lost_memory_left_as_running_is_closed_and_says_so() {
    let fleet = Fleet::of(&["h1"]).await;
    let (_, mut before) = fleet.start("h1");
    before.write(vec![fleet.running("h1", 2, 1)]).await.1.unwrap();
    let (ledger, mut after) = fleet.start("h1");
    after.look_for_remains(vec![block()]).await.unwrap();
    after.write(vec![fleet.running("h1", 2, 9)]).await.1.unwrap();
    let found = look(&ledger, &of(2)).await;
    assert_eq!(counters(&found), [1, 9]);
    assert_eq!(found.intervals[0].end.unwrap().why, Why::MemoryLost);
}

#[tokio::test]
async fn what_an_evicted_host_had_is_closed_once_and_what_it_never_told_is_unknown() {
    let fleet = Fleet::of(&["h1", "h2"]).await;
    let (_, mut lost) = fleet.start("h1");
    lost.write(vec![fleet.running("h1", 2, 1), fleet.ended("h1", 3, 2, HOUR)]).await.1.unwrap();
    fleet.dies("h1").await;
    fleet.clock.advance(HOUR);
    let view = evict(&fleet, "h1", &[2, 3, 4]).await;
    let (ledger, mut keeper) = fleet.start("h2");
    for _ in 0..2 {
        keeper.close_lost(&view).await.unwrap();
    }
    let found = look(&ledger, &Query::default()).await;
    assert_eq!(check::broken(&found.intervals, 0), Vec::<String>::new());
    let told: Vec<_> =
        found.intervals.iter().map(|it| (it.address, it.unknown, it.end.unwrap().why)).collect();
    let expected = [
        (address(2), false, Why::Evicted),
        (address(3), false, Why::Released),
        (address(3), true, Why::Evicted),
        (address(4), true, Why::Evicted),
    ];
    assert_eq!(told, expected);
}

/// Puts what `host` held into quarantine, in the store and in the view of a host that sees it.
async fn evict(fleet: &Fleet, host: &str, held: &[u8]) -> View {
    let holder = Holder { host: host.into(), incarnation: Incarnation(1) };
    let addresses: BTreeSet<IpAddr> = held.iter().map(|last| address(*last)).collect();
    let stored = Block::open(block(), 0, &BTreeMap::from([(address(0), SetAside::Network)]));
    let taken = stored.apply(BlockCommand::Take { holder, addresses: addresses.clone(), operation: 1 });
    let sweep = BlockCommand::Sweep { host: host.into(), below: Incarnation(2), why: "evicted".into() };
    let swept = taken.unwrap().block.apply(sweep).unwrap().block;
    let key = Item::Block { zone: "z".into(), subnet: block().subnet, index: 0 }.key();
    let value = layout::encode(&key, &swept).unwrap();
    fleet.store.commit(Transaction::new().put(key, value)).await.unwrap();
    let shown = |address| AddressView {
        address,
        state: AddressState::Quarantined { was: Some(host.into()), why: "evicted".into() },
        reservation: None,
    };
    let pool = ipam::PoolName::from("default");
    View {
        host: "h2".into(),
        incarnation: Some(Incarnation(1)),
        not_ready: None,
        cluster: Some((generation(), ClusterState::Open)),
        journalled: None,
        hosts: BTreeMap::new(),
        lost: BTreeMap::new(),
        pools: BTreeMap::new(),
        subnets: vec![ipam::SubnetView {
            in_reach: true,
            subnet: ipam::Subnet { cidr: block().subnet, pool, zone: Zone::from("z"), gateway: None },
            blocks: vec![BlockView {
                id: block(),
                state: ipam::BlockState::Open,
                revision: ipam::Revision(1),
                take: 1,
                counts: swept.counts(),
                holders: BTreeMap::new(),
                here: ipam::HoldingCounts::default(),
                operation: None,
                addresses: addresses.into_iter().map(shown).collect(),
            }],
        }],
        reservations: Vec::new(),
        waiting: Vec::new(),
        revoked: Vec::new(),
    }
}
