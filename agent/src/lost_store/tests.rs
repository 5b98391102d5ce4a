//! Stores that are lost and made anew, cut short anywhere and by two at once.

use futures::FutureExt;
use futures::future::BoxFuture;
use ipam::{Block, BlockId, HostRecord, Incarnation, SignOfLife, Subnet};
use provider::ZoneId;
use store::{Key, MemoryStore};

use super::*;
use crate::allocator::find_cluster;
use crate::capacity::SubnetAnew;
use crate::migrate::tests::counted::Counted;

const NAME: &str = "demo";

fn memory() -> Memory {
    Memory {
        name: NAME.into(),
        life: ("c".into(), Generation { number: 7, id: 7 }),
        host: "h1".into(),
        hosts: ["h1", "h2"].map(HostId::from).into(),
        pools: vec![Pool { name: "default".into(), cooling_millis: 1_000 }],
        alone: false,
        now: Timestamp::UNIX_EPOCH,
    }
}

fn id() -> BlockId {
    BlockId { subnet: "10.0.0.0/29".parse().unwrap(), index: 0 }
}

fn zones() -> Vec<ZoneAnew> {
    let (cidr, pool) = (id().subnet, PoolName::from("default"));
    let (at, block_at) = (Item::Subnet(cidr).key(), block_key());
    let subnet = Subnet { cidr, pool: pool.clone(), zone: "z".into(), gateway: None };
    let block = Block::rebuilt(id(), 0, &BTreeMap::new(), "lost");
    let entries = vec![
        (at.clone(), layout::encode(&at, &subnet).unwrap()),
        (block_at.clone(), layout::encode(&block_at, &block).unwrap()),
    ];
    let subnets = vec![SubnetAnew { cidr, pool, entries }];
    vec![ZoneAnew { zone: ZoneId::new("z"), subnets, left_out: Vec::new() }]
}

fn block_key() -> Key {
    Item::Block { zone: "z".into(), subnet: id().subnet, index: 0 }.key()
}

async fn put(store: &dyn Store, item: Item, value: &impl serde::Serialize) {
    let key = item.key();
    let value = layout::encode(&key, value).unwrap();
    store.commit(Transaction::new().put(key, value)).await.unwrap();
}

async fn with_cluster(name: &str, state: ClusterState) -> MemoryStore {
    let store = MemoryStore::new();
    let generation = Generation { number: 7, id: 7 };
    put(&store, Item::Cluster, &ClusterRecord { id: name.into(), generation, state }).await;
    let stale = Block::open(id(), 0, &BTreeMap::new());
    put(&store, Item::Block { zone: "z".into(), subnet: id().subnet, index: 0 }, &stale).await;
    store
}

async fn rebuilt(store: &MemoryStore) -> Rebuild {
    let key = Item::Rebuild.key();
    let entry = store.get(&key).await.unwrap().entry.expect("it was made anew");
    layout::decode(&key, &entry.value).unwrap()
}

/// Whole, in one life, with every address waiting.
async fn is_anew(store: &MemoryStore) {
    let cluster = find_cluster(store, NAME).await.unwrap().expect("it has a cluster").cluster;
    assert!(cluster.generation > memory().life.1 && cluster.state == ClusterState::Open);
    assert_eq!(rebuilt(store).await.generation, cluster.generation);
    let entry = store.get(&block_key()).await.unwrap().entry.expect("its blocks are there");
    let block: Block = layout::decode(&entry.key, &entry.value).unwrap();
    assert_eq!(block.counts().free, 0);
    assert!(store.get(&Item::Copying.key()).await.unwrap().entry.is_none());
}

#[tokio::test]
async fn an_empty_store_is_made_anew_and_a_whole_one_left_alone() {
    let store = MemoryStore::new();
    assert_eq!(look(&store, &memory()).await.unwrap(), Standing::Lost);
    make_anew(&store, &memory(), zones()).await.unwrap();
    is_anew(&store).await;
    assert_eq!(look(&store, &memory()).await.unwrap(), Standing::Anew);
    let again = make_anew(&store, &memory(), zones()).await.unwrap_err();
    assert!(matches!(again, LostStoreError::Overtaken), "{again}");

    let whole = with_cluster("c", ClusterState::Open).await;
    assert!(matches!(look(&whole, &memory()).await, Err(LostStoreError::Whole { .. })));
    assert!(make_anew(&whole, &memory(), zones()).await.is_err());
}

#[tokio::test]
async fn a_frozen_store_is_made_anew_unless_it_was_left_or_is_another_s() {
    let frozen = with_cluster("c", ClusterState::Frozen).await;
    put(&frozen, Item::Host("h9".into()), &"a stale record").await;
    put(&frozen, Item::Reservation("db".into()), &"a stale reservation").await;
    let begun = make_anew(&frozen, &memory(), zones()).await.unwrap();
    is_anew(&frozen).await;
    assert!(frozen.get(&Item::Host("h9".into()).key()).await.unwrap().entry.is_none());
    assert_eq!(begun.left_out, ["reservation db: reserve it again"]);

    let left = with_cluster("c", ClusterState::Frozen).await;
    put(&left, Item::Moved, &Timestamp::UNIX_EPOCH).await;
    assert!(matches!(look(&left, &memory()).await, Err(LostStoreError::Moved)));
    let another = with_cluster("d", ClusterState::Frozen).await;
    assert!(matches!(look(&another, &memory()).await, Err(LostStoreError::Another { .. })));
}

#[tokio::test(start_paused = true)]
async fn one_that_is_cut_short_anywhere_is_ended_by_another_try_on_any_host() {
    for cut in 0.. {
        let store = with_cluster("c", ClusterState::Frozen).await;
        let first = make_anew(&Counted::new(store.clone(), cut), &memory(), zones()).await;
        if first.is_ok() {
            assert!(cut > 2, "it takes several commits");
            return;
        }
        if cut > 0 {
            assert_eq!(find_cluster(&store, NAME).await.unwrap(), None, "after {cut} commits");
        }
        let elsewhere = Memory { host: "h2".into(), ..memory() };
        make_anew(&store, &elsewhere, zones()).await.unwrap();
        is_anew(&store).await;
        assert_eq!(rebuilt(&store).await.by, "h2".into());
    }
}

/// Lets others in before each commit.
struct Polite(MemoryStore);

impl Store for Polite {
    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<store::Commit, store::StoreError>> {
        async move {
            tokio::task::yield_now().await;
            self.0.commit(transaction).await
        }
        .boxed()
    }

    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<store::Read, store::StoreError>> {
        self.0.get(key)
    }

    fn range<'a>(&'a self, prefix: &'a store::Prefix) -> BoxFuture<'a, Result<Snapshot, store::StoreError>> {
        self.0.range(prefix)
    }

    fn watch<'a>(
        &'a self,
        prefix: &'a store::Prefix,
        after: store::Revision,
    ) -> BoxFuture<'a, Result<store::Watch, store::StoreError>> {
        self.0.watch(prefix, after)
    }

    fn begin_session<'a>(
        &'a self,
        key: &'a Key,
        value: Vec<u8>,
        ttl: std::time::Duration,
    ) -> BoxFuture<'a, Result<store::Session, store::StoreError>> {
        self.0.begin_session(key, value, ttl)
    }

    fn keep_alive<'a>(&'a self, session: &'a store::Session) -> BoxFuture<'a, Result<(), store::StoreError>> {
        self.0.keep_alive(session)
    }

    fn end_session<'a>(
        &'a self,
        session: &'a store::Session,
    ) -> BoxFuture<'a, Result<(), store::StoreError>> {
        self.0.end_session(session)
    }
}

#[tokio::test]
async fn of_two_hosts_that_do_it_at_once_exactly_one_wins() {
    for begun_before in [0, 1, 2, 3, 5] {
        let store = Polite(MemoryStore::new());
        let (one, two) = (memory(), Memory { host: "h2".into(), ..memory() });
        let late = async {
            for _ in 0..begun_before {
                tokio::task::yield_now().await;
            }
            make_anew(&store, &two, zones()).await
        };
        let ended = tokio::join!(make_anew(&store, &one, zones()), late);
        assert!(ended.0.is_ok() != ended.1.is_ok(), "{ended:?}");
        is_anew(&store.0).await;
        let by = if ended.0.is_ok() { "h1" } else { "h2" };
        assert_eq!(rebuilt(&store.0).await.by, by.into());
    }
}

struct Said(BTreeMap<HostId, Word>);

impl Witness for Said {
    fn word<'a>(&'a self, host: &'a HostId) -> BoxFuture<'a, Word> {
        let word = self.0.get(host).cloned().unwrap_or(Word::Silent("no answer".into()));
        async move { word }.boxed()
    }
}

fn said(host: &str, word: Word) -> Said {
    Said([(host.into(), word)].into())
}

fn plea(gone: &[&str]) -> Plea {
    Plea { who: "root".into(), no_others: true, gone: gone.iter().map(|host| HostId::from(*host)).collect() }
}

#[tokio::test]
async fn a_host_is_gone_on_an_operator_s_word_that_nobody_contradicts() {
    let store = MemoryStore::new();
    make_anew(&store, &memory(), zones()).await.unwrap();
    let generation = rebuilt(&store).await.generation;
    let record = HostRecord {
        instance: "h1".into(),
        incarnation: Incarnation(1),
        boot: "b".into(),
        zones: BTreeSet::new(),
        left: BTreeSet::new(),
        answered: Some(generation),
    };
    put(&store, Item::Host("h1".into()), &record).await;

    let nobody = Said(BTreeMap::new());
    let stranger = take_words(&store, &plea(&["h3"]), &nobody).await.unwrap_err();
    assert!(matches!(stranger, LostStoreError::NotAwaited(_)), "{stranger}");
    let runs = said("h2", Word::MayRun("running".into()));
    let refused = take_words(&store, &plea(&["h2"]), &runs).await.unwrap_err();
    assert!(matches!(refused, LostStoreError::NotGone(..)), "{refused}");
    assert_eq!(rebuilt(&store).await.no_others, None, "of a refused word nothing is taken");

    let (rebuild, hosts) = take_words(&store, &plea(&[]), &nobody).await.unwrap();
    assert_eq!(rebuild.silent(&hosts).collect::<Vec<_>>(), [&HostId::from("h2")]);
    assert!(!rebuild.is_over(&hosts) && rebuild.no_others.is_some());

    let live = HostRecord { instance: "h2".into(), left: BTreeSet::new(), answered: None, ..record };
    put(&store, Item::Host("h2".into()), &live).await;
    put(&store, Item::Session("h2".into()), &SignOfLife { boot: "b".into() }).await;
    let refused = take_words(&store, &plea(&["h2"]), &nobody).await.unwrap_err();
    assert!(matches!(refused, LostStoreError::NotGone(..)), "{refused}");
    store.commit(Transaction::new().delete(Item::Session("h2".into()).key())).await.unwrap();

    let off = said("h2", Word::Gone("off".into()));
    let (rebuild, hosts) = take_words(&store, &plea(&[]), &off).await.unwrap();
    assert!(!rebuild.is_over(&hosts), "the provider's answer may be older than what the host did last");
    let (rebuild, hosts) = take_words(&store, &plea(&["h2"]), &off).await.unwrap();
    assert!(rebuild.is_over(&hosts), "{rebuild:?}");
}

#[tokio::test]
async fn a_host_alone_with_its_store_waits_for_nobody_but_itself() {
    let store = MemoryStore::new();
    let alone = Memory { alone: true, hosts: BTreeSet::new(), ..memory() };
    make_anew(&store, &alone, zones()).await.unwrap();
    let rebuild = rebuilt(&store).await;
    assert!(rebuild.no_others.is_some());
    assert_eq!(rebuild.awaited.keys().collect::<Vec<_>>(), [&HostId::from("h1")]);
}
