//! A host to be: a store with one small subnet, a clock that stands still, a directory for the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use ipam::{
    AddressState, Block, BlockId, BootId, Family, HostId, InstanceId, Key, Pool, Record, SetAside, Subnet,
    Value, Zone,
};
use ipnetwork::IpNetwork;
use store::MemoryStore;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::super::words;
use super::super::*;
use crate::capacity::{SubnetAnew, ZoneAnew};
use crate::clock::{Clock, ManualClock};
use crate::journal::JournalError;
use crate::lost_store::{Memory, make_anew};

/// The addresses of the rig's subnet that may be assigned.
pub(super) const USABLE: std::ops::RangeInclusive<u8> = 2..=6;

/// How long a released address of the rig's pool cools.
pub(super) const COOLING: Duration = Duration::from_secs(30);

/// Longer than anything takes here; only a broken promise waits for it.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Rig {
    pub(super) store: MemoryStore,
    pub(super) clock: ManualClock,
    directory: TempDir,
    boot: u32,
}

/// One life of the agent: from a start to a stop, or to a kill.
pub(super) struct Agent {
    pub(super) allocator: Allocator,
    clock: ManualClock,
    stop: CancellationToken,
    runtime: Option<Runtime>,
}

pub(super) fn pool() -> PoolName {
    PoolName::from("default")
}

pub(super) fn zone() -> Zone {
    Zone::from("vlan-1234")
}

pub(super) fn subnet() -> IpNetwork {
    "10.0.0.0/29".parse().unwrap()
}

/// An address of the rig's subnet.
pub(super) fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

pub(super) fn any() -> Wish {
    Wish::Any(Family::V4)
}

impl Rig {
    /// A store with a cluster, a pool and a subnet of five usable addresses, and a host that never was.
    pub(super) async fn new() -> Rig {
        let rig = Rig::without_subnet().await;
        rig.open_subnet().await;
        rig
    }

    pub(super) async fn without_subnet() -> Rig {
        let rig = Rig {
            store: MemoryStore::new(),
            clock: ManualClock::new(),
            directory: TempDir::new().unwrap(),
            boot: 1,
        };
        found_cluster(&rig.store, &[], &rig.clock).await.unwrap();
        let cooling_millis = COOLING.as_millis() as u64;
        write_pool(&rig.store, &Pool { name: pool(), cooling_millis }).await.unwrap();
        rig
    }

    pub(super) async fn open_subnet(&self) {
        open_subnet(&self.store, subnet()).await;
    }

    /// Does what an operator does when the store is lost for good.
    pub(super) async fn make_anew(&self, life: (String, ipam::Generation)) {
        open_subnet(&self.store, subnet()).await;
        let all = self.store.range(&store::layout::Under::Everything.prefix()).await.unwrap();
        let id = BlockId { subnet: subnet(), index: 0 };
        let aside = BTreeMap::from([(address(1), SetAside::Gateway)]);
        let entries = all.entries.into_iter().map(|entry| match store::layout::Item::of(&entry.key) {
            Some(store::layout::Item::Block { .. }) => {
                let block = Block::rebuilt(id, 0, &aside, "lost");
                (entry.key.clone(), store::layout::encode(&entry.key, &block).unwrap())
            }
            _ => (entry.key, entry.value),
        });
        let anew = SubnetAnew { cidr: subnet(), pool: pool(), entries: entries.collect() };
        let zone = provider::ZoneId::new(zone().0);
        let zones = vec![ZoneAnew { zone, subnets: vec![anew], left_out: Vec::new() }];
        let memory = Memory {
            name: "demo".into(),
            life,
            host: HostId::from("h1"),
            hosts: BTreeSet::new(),
            pools: vec![Pool { name: pool(), cooling_millis: COOLING.as_millis() as u64 }],
            alone: true,
            now: self.clock.wall(),
        };
        make_anew(&self.store, &memory, zones).await.unwrap();
    }

    /// Starts the agent, as systemd does after a stop or a crash.
    pub(super) async fn start(&self) -> Agent {
        let (journal, records) = self.journal().await;
        let parts = Parts {
            identity: identity(self.boot),
            store: Arc::new(self.store.clone()),
            journal,
            records,
            clock: Arc::new(self.clock.clone()),
        };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let stop = CancellationToken::new();
        let inside = runtime.enter();
        let allocator = start(parts, stop.clone());
        drop(inside);
        Agent { allocator, clock: self.clock.clone(), stop, runtime: Some(runtime) }
    }

    /// The host boots: whatever ran on it is gone, and its boot id is another.
    pub(super) fn reboot(&mut self) {
        self.boot += 1;
    }

    pub(super) fn journal_file(&self) -> PathBuf {
        self.directory.path().join("allocator.journal")
    }

    /// What the journal says right now, whoever has it open.
    pub(super) async fn journalled(&self) -> Vec<Record> {
        let copy = self.directory.path().join("copy.journal");
        std::fs::copy(self.journal_file(), &copy).unwrap();
        records(&open(copy).await.1)
    }

    async fn journal(&self) -> (Journal<Line>, Vec<Line>) {
        open(self.journal_file()).await
    }
}

/// The rig's host in one of its boots.
pub(super) fn identity(boot: u32) -> Identity {
    Identity {
        host: HostId::from("h1"),
        instance: InstanceId::from("instance-1"),
        boot: BootId(format!("boot-{boot}")),
        zones: BTreeSet::from([zone()]),
    }
}

/// Does what the capacity role does when a subnet of at most 256 addresses is there.
pub(super) async fn open_subnet(store: &dyn Store, cidr: IpNetwork) {
    let id = BlockId { subnet: cidr, index: 0 };
    let addresses: Vec<IpAddr> = id.addresses().collect();
    let (first, gateway, last) = (addresses[0], addresses[1], addresses[addresses.len() - 1]);
    let set_aside = BTreeMap::from([
        (first, SetAside::Network),
        (gateway, SetAside::Gateway),
        (last, SetAside::Broadcast),
    ]);
    let block = Block::open(id, 0, &set_aside);
    let opened = Subnet { cidr, pool: pool(), zone: zone(), gateway: Some(gateway) };
    let put = |key, value| ipam::Write::Put { key, value };
    let writes = vec![
        put(Key::Subnet(cidr), Value::Subnet(opened)),
        put(Key::Block { zone: zone(), block: id }, Value::Block(block)),
    ];
    let transaction = ipam::Transaction { compares: vec![], writes };
    store.commit(words::transaction(&transaction).unwrap()).await.unwrap();
}

/// Opens a journal that was let go of: the agent that was killed may still be dying.
pub(super) async fn open(path: PathBuf) -> (Journal<Line>, Vec<Line>) {
    loop {
        match Journal::open(&path) {
            Err(JournalError::InUse { .. }) => tokio::task::yield_now().await,
            opened => return opened.unwrap(),
        }
    }
}

impl Agent {
    pub(super) async fn assign_any(&self) -> Result<Assignment, AllocateError> {
        self.allocator.assign(&pool(), any()).await
    }

    /// Assigns, with the endpoint that uses it.
    pub(super) async fn run_container(&self, endpoint: &str) -> Assignment {
        let assignment = self.assign_any().await.unwrap();
        self.allocator.bind(assignment.address, EndpointId::from(endpoint)).await.unwrap()
    }

    /// Asks for an address while time goes on: it is refused.
    pub(super) async fn refused(&self) -> AllocateError {
        self.asked_in_time().await.expect_err("it should be refused")
    }

    /// Asks for an address while time goes on: there is one.
    pub(super) async fn assigned_in_time(&self) -> Assignment {
        self.asked_in_time().await.expect("there should be one")
    }

    async fn asked_in_time(&self) -> Result<Assignment, AllocateError> {
        let asked = self.assign_any();
        tokio::pin!(asked);
        loop {
            // A request may wait for as long as the host has patience.
            match tokio::time::timeout(Duration::from_millis(5), &mut asked).await {
                Ok(answer) => return answer,
                Err(_) => self.clock.advance(Duration::from_millis(500)),
            }
        }
    }

    /// How many free addresses this agent holds, once nothing is under way.
    pub(super) async fn settled_free(&self) -> u32 {
        let settled = |view: &View| blocks(view).all(|block| block.operation.is_none());
        blocks(&self.until(settled).await).map(|block| block.here.free).sum()
    }

    /// Waits until this agent shows what is expected. Time stands still.
    pub(super) async fn until(&self, expected: impl Fn(&View) -> bool) -> View {
        self.look_until(expected, Duration::ZERO).await
    }

    /// Waits until this agent shows what is expected, while time goes on.
    pub(super) async fn until_in_time(&self, expected: impl Fn(&View) -> bool) -> View {
        self.look_until(expected, Duration::from_millis(500)).await
    }

    async fn look_until(&self, expected: impl Fn(&View) -> bool, pass: Duration) -> View {
        let mut changes = self.allocator.changes();
        let mut shown = None;
        let look = async {
            loop {
                changes.mark_unchanged();
                let view = self.allocator.view().await.unwrap();
                if expected(&view) {
                    return view;
                }
                shown = Some(view);
                if pass > Duration::ZERO {
                    self.clock.advance(pass);
                    // The agent may have nothing to do at the new time: then there is more time to pass.
                    let _ = tokio::time::timeout(Duration::from_millis(5), changes.changed()).await;
                } else {
                    changes.changed().await.unwrap();
                }
            }
        };
        match tokio::time::timeout(PATIENCE, look).await {
            Ok(view) => view,
            Err(_) => panic!("the agent never showed what is expected, but {shown:#?}"),
        }
    }

    /// Waits until this boot may take and give addresses.
    pub(super) async fn ready(&self) {
        self.until(ready).await;
    }

    pub(super) async fn state_of(&self, address: IpAddr) -> AddressState {
        state_in(&self.allocator.view().await.unwrap(), address)
    }

    /// SIGTERM, and the end of what was under way.
    pub(super) async fn stop(mut self) {
        self.stop.cancel();
        self.allocator.ended().await;
        self.end();
    }

    /// kill -9.
    pub(super) fn kill(mut self) {
        self.end();
    }

    pub(super) fn begin_to_stop(&self) {
        self.stop.cancel();
    }

    fn end(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.end();
    }
}

/// Whether this boot may take and give addresses, and has seen where.
pub(super) fn ready(view: &View) -> bool {
    view.not_ready.is_none() && blocks(view).next().is_some()
}

pub(super) fn blocks(view: &View) -> impl Iterator<Item = &ipam::BlockView> {
    view.subnets.iter().flat_map(|subnet| &subnet.blocks)
}

pub(super) fn state_in(view: &View, address: IpAddr) -> AddressState {
    let mut addresses = blocks(view).flat_map(|block| &block.addresses);
    addresses.find(|shown| shown.address == address).expect("it is in the subnet").state.clone()
}
