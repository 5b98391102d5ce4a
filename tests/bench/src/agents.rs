//! Agents in this one process: each is the production allocator with a journal of its own on the disk and an
//! own connection to etcd, as a host has it. What is missing is Docker and the kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use agent::allocator::{self, Allocator, init_cluster, write_pool};
use agent::clock::SystemClock;
use agent::docker::events::Watched;
use agent::journal::Journal;
use agent::ledger::Limits;
use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use futures::{StreamExt, TryStreamExt, stream};
use ipam::{
    Assignment, Block, BlockId, BootId, Explanation, Family, HostId, Identity, InstanceId, Pool, PoolName,
    SetAside, Subnet, Wish, Zone,
};
use ipnetwork::IpNetwork;
use ledger::Shelf;
use store::layout::{Item, encode};
use store::{EtcdOptions, EtcdStore, Store, Transaction};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::count::{Counted, Counts};
use crate::etcd::Etcd;
use crate::machine;

/// Only something broken waits for so long.
const PATIENCE: Duration = Duration::from_secs(300);

/// How many agents start at the same time: an operator starts no fleet in one moment.
const STARTS: usize = 50;

/// The addresses of a /24 that containers can have: all but its own, the gateway's and the last.
pub(crate) const ROOM: usize = 253;

/// What requests ask for.
pub(crate) const ANY: Wish = Wish::Any(Family::V4);

/// The one pool.
pub(crate) fn pool() -> PoolName {
    PoolName::from("default")
}

/// The one zone.
pub(crate) fn zone() -> Zone {
    Zone::from("vlan-1234")
}

/// The nth /24.
pub(crate) fn subnet(nth: usize) -> Result<IpNetwork> {
    Ok(format!("10.{}.{}.0/24", 64 + nth / 256, nth % 256).parse()?)
}

/// A cluster in an etcd, and what its agents are made of.
pub(crate) struct World {
    options: EtcdOptions,
    founder: EtcdStore,
    counts: Arc<Counts>,
    folder: TempDir,
    /// Whether agents write the ledger too.
    ledger: bool,
}

/// An agent; it ends with the value, without a word.
pub(crate) struct Agent {
    pub(crate) allocator: Allocator,
    _stop: tokio_util::sync::DropGuard,
}

impl World {
    /// A cluster whose keys begin with `prefix`. Released addresses do not cool: it is not the timer that is
    /// measured.
    pub(crate) async fn found(etcd: &Etcd, prefix: &str) -> Result<World> {
        let options = etcd.options(prefix);
        let founder = EtcdStore::new(options.clone());
        init_cluster(&founder, "bench", &SystemClock).await?;
        write_pool(&founder, &Pool { name: pool(), cooling_millis: 0 }).await?;
        Ok(World { options, founder, counts: Arc::default(), folder: machine::folder()?, ledger: false })
    }

    /// The same with agents that publish what runs in the ledger.
    pub(crate) fn with_ledger(self) -> World {
        World { ledger: true, ..self }
    }

    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    pub(crate) fn store(&self) -> &EtcdStore {
        &self.founder
    }

    /// Opens a subnet, as the capacity role does.
    pub(crate) async fn open(&self, cidr: IpNetwork, excluded: &[IpAddr]) -> Result<()> {
        self.founder.commit(opening(cidr, &zone(), excluded)?).await?;
        Ok(())
    }

    /// Opens this many /24.
    pub(crate) async fn open_many(&self, count: usize) -> Result<()> {
        for nth in 0..count {
            self.open(subnet(nth)?, &[]).await?;
        }
        Ok(())
    }

    /// Starts this many agents and waits until each holds an address, where there is a subnet, and until
    /// nothing more is asked of the store.
    pub(crate) async fn agents(&self, count: usize) -> Result<Vec<Agent>> {
        let started: Vec<Agent> =
            stream::iter(0..count).map(|number| self.agent(number)).buffered(STARTS).try_collect().await?;
        self.quiet().await?;
        Ok(started)
    }

    async fn agent(&self, number: usize) -> Result<Agent> {
        let agent = self.start(number)?;
        let warm = async {
            while !matches!(agent.allocator.explain(&pool(), ANY).await, Ok(Explanation::Here(_))) {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, warm).await.with_context(|| format!("agent {number} never holds an address"))?;
        Ok(agent)
    }

    /// Starts an agent and does not wait.
    pub(crate) fn start(&self, number: usize) -> Result<Agent> {
        let name = format!("host-{number:04}");
        let (journal, records) = Journal::open(self.folder.path().join(format!("{name}.journal")))?;
        let identity = Identity {
            host: HostId(name.clone()),
            instance: InstanceId(format!("instance-{number}")),
            boot: BootId(format!("boot-{number}")),
            zones: BTreeSet::from([zone()]),
        };
        let store: Arc<dyn Store> = Arc::new(Counted {
            store: EtcdStore::new(self.options.clone()),
            counts: Arc::clone(&self.counts),
        });
        let stop = CancellationToken::new();
        let (clock, host) = (Arc::new(SystemClock), identity.host.clone());
        let parts =
            allocator::Parts { identity, store: Arc::clone(&store), journal, records, clock: clock.clone() };
        let allocator = allocator::start(parts, stop.clone());
        if self.ledger {
            let (shelf, _) = Shelf::open(self.folder.path().join(format!("{name}.ledger")))?;
            let day = Duration::from_secs(86_400);
            let limits =
                Limits { window: day, store_bytes_max: 1 << 26, keep: 30 * day, disk_bytes_max: 1 << 30 };
            let (_, keeper) = agent::ledger::new(agent::ledger::Parts { store, clock, host, shelf, limits });
            let (docker, watched) = watch::channel(Watched::default());
            let (allocator, stop) = (allocator.clone(), stop.clone());
            tokio::spawn(async move {
                keeper.run(allocator, watched, stop).await;
                drop(docker);
            });
        }
        Ok(Agent { allocator, _stop: stop.drop_guard() })
    }

    /// Returns once nothing has been written for a second and a half: agents gather hints for one. Reads do not
    /// count: each ledger looks every ten seconds for what it is to keep for others.
    pub(crate) async fn quiet(&self) -> Result<()> {
        let quiet = async {
            loop {
                let before = self.counts.commits();
                sleep(Duration::from_millis(1500)).await;
                if self.counts.commits() == before {
                    return;
                }
            }
        };
        timeout(PATIENCE, quiet).await.context("the agents never come to rest")
    }
}

impl Agent {
    /// Any address.
    pub(crate) async fn assign(&self) -> Result<Assignment> {
        Ok(self.allocator.assign(&pool(), ANY).await?)
    }

    /// This many at once.
    pub(crate) async fn assign_many(&self, count: usize) -> Result<Vec<IpAddr>> {
        let all = try_join_all((0..count).map(|_| self.assign())).await?;
        Ok(all.into_iter().map(|assignment| assignment.address).collect())
    }

    /// Lets go of an address.
    pub(crate) async fn release(&self, address: IpAddr) -> Result<()> {
        let released = self.allocator.release(address).await?;
        ensure!(matches!(released, ipam::Released::Closed(_)), "{address} was not released: {released:?}");
        Ok(())
    }

    /// Fills its holdings to this many free addresses, by having used them.
    pub(crate) async fn hold(&self, count: usize) -> Result<()> {
        for address in self.assign_many(count).await? {
            self.release(address).await?;
        }
        Ok(())
    }
}

/// The transaction that opens a subnet in a zone.
pub(crate) fn opening(cidr: IpNetwork, zone: &Zone, excluded: &[IpAddr]) -> Result<Transaction> {
    let gateway = cidr.iter().nth(1).context("a subnet without room")?;
    let mut set_aside: BTreeMap<IpAddr, SetAside> =
        excluded.iter().map(|address| (*address, SetAside::Excluded)).collect();
    set_aside.insert(gateway, SetAside::Gateway);
    let opened = Subnet { cidr, pool: pool(), zone: zone.clone(), gateway: Some(gateway) };
    let key = Item::Subnet(cidr).key();
    let mut transaction = Transaction::new().put(key.clone(), encode(&key, &opened)?);
    for id in BlockId::all_of(cidr) {
        let key = Item::Block { zone: zone.0.clone(), subnet: id.subnet, index: id.index }.key();
        let value = encode(&key, &Block::open(id, 0, &set_aside))?;
        transaction = transaction.put(key, value);
    }
    Ok(transaction)
}

/// Runs a cell on a runtime of its own: nothing of it is left when it ends.
pub(crate) fn on_runtime<T>(cell: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let done = runtime.block_on(cell);
    runtime.shutdown_timeout(Duration::from_secs(5));
    done
}

/// The same on one core, where that is what is measured.
pub(crate) fn on_one_core<T>(cell: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let done = runtime.block_on(cell);
    runtime.shutdown_timeout(Duration::from_secs(5));
    done
}
