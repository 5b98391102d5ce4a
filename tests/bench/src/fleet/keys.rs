//! What hosts leave in the store: their records, the blocks that they hold addresses of, their hints, and what runs.
//! Values are made by the production code.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::{Context, Result};
use ipam::{
    Block, BlockCommand, BlockId, BootId, ClusterRecord, EndpointId, Epoch, Generation, Holder, HostId,
    HostRecord, Incarnation, InstanceId, SignOfLife, Subnet, Surplus, Zone,
};
use ledger::{Interval, Moment, Segment};
use store::layout::{Item, decode, encode};
use store::{Key, Store, Transaction, Write};

use crate::agents::{pool, subnet};

/// A zone: one VLAN of the cloud.
const HOSTS_PER_ZONE: usize = 50;
const SUBNETS_PER_ZONE: usize = 40;

/// Addresses of each host, all in use, and how many it took at once.
const ADDRESSES: usize = 200;
const TAKE: usize = 32;

/// Bytes that are written at once.
const BATCH_BYTES: usize = 512 * 1024;
const BATCH_KEYS: usize = 100;

/// The cluster whose keys these are.
pub(super) struct Fleet {
    generation: Generation,
}

/// One zone, filled.
struct ZoneKeys {
    hosts: Vec<Holder>,
    blocks: BTreeMap<BlockId, Block>,
    /// Who has which addresses of a block.
    running: BTreeMap<(usize, BlockId), Vec<(IpAddr, u64)>>,
}

impl Fleet {
    /// The cluster that `berth cluster init` founded.
    pub(super) async fn read(store: &impl Store) -> Result<Fleet> {
        let key = Item::Cluster.key();
        let found = store.get(&key).await?.entry.context("no cluster was founded")?;
        let cluster: ClusterRecord = decode(&key, &found.value)?;
        Ok(Fleet { generation: cluster.generation })
    }

    /// Everything that hosts from number `from` to below `to` leave there.
    pub(super) fn keys(&self, from: usize, to: usize) -> Result<Vec<Transaction>> {
        let mut writes = Vec::new();
        for number in from / HOSTS_PER_ZONE..to.div_ceil(HOSTS_PER_ZONE) {
            let zone = ZoneKeys::fill(number)?;
            writes.extend(zone.openings(number)?);
            for (host, holder) in zone.hosts.iter().enumerate() {
                writes.extend(records(number, host, holder)?);
            }
            for block in zone.blocks.values() {
                writes.push(put(block_key(number, block.id()), block)?);
            }
            for ((host, id), addresses) in &zone.running {
                writes.push(self.running(&zone.hosts[*host].host, *id, addresses)?);
            }
        }
        Ok(batches(writes))
    }

    /// A host gives back or takes, says how much it could give, and publishes what runs.
    pub(super) fn turn(&self, zones: &mut Zones, host: usize, turns: u64) -> Result<Transaction> {
        let (number, within) = (host / HOSTS_PER_ZONE, host % HOSTS_PER_ZONE);
        let zone = zones.zone(number)?;
        let holder = zone.hosts[within].clone();
        let (id, addresses) = zone
            .running
            .range((within, first_block())..)
            .next()
            .map(|((_, id), addresses)| (*id, addresses.clone()))
            .context("every host has addresses")?;
        let block = zone.blocks.get_mut(&id).context("the block of an address")?;
        let settle = BlockCommand::Settle { host: holder.host.clone(), operation: 1_000 + turns };
        *block = block.apply(settle).map_err(|refusal| anyhow::anyhow!("{refusal}"))?.block;
        let hint = Item::Surplus { zone: zone_name(number).0, host: holder.host.0.clone() }.key();
        let free = 1 + u32::try_from(turns % 3)?;
        let writes = vec![
            put(block_key(number, id), &*block)?,
            put(hint, &Surplus { free: BTreeMap::from([(pool(), free)]) })?,
            self.running(&holder.host, id, &addresses)?,
        ];
        Ok(Transaction { compares: Vec::new(), writes })
    }

    /// What runs on a host in a block, as the ledger packs it.
    fn running(&self, host: &HostId, block: BlockId, addresses: &[(IpAddr, u64)]) -> Result<Write> {
        let interval = |(nth, (address, take)): (usize, &(IpAddr, u64))| Interval {
            address: *address,
            epoch: Epoch { generation: self.generation, take: *take, counter: nth as u64 + 1 },
            host: host.clone(),
            endpoint: Some(EndpointId(format!("{:064x}", u128::from(*take) << 64 | nth as u128))),
            container: None,
            from: Moment(1_760_000_000_000 + 1_000 * nth as u64),
            from_offset: 0,
            earlier: false,
            unknown: false,
            end: None,
        };
        let intervals = addresses.iter().enumerate().map(interval).collect();
        let (_, value) = Segment::pack(block, 0, host, intervals)?;
        let (subnet, index) = (block.subnet, block.index);
        Ok(Write::Put { key: Item::Running { subnet, index, host: host.0.clone() }.key(), value })
    }
}

/// Zones as they change, made when they are first needed.
#[derive(Default)]
pub(super) struct Zones(BTreeMap<usize, ZoneKeys>);

impl Zones {
    fn zone(&mut self, number: usize) -> Result<&mut ZoneKeys> {
        if let std::collections::btree_map::Entry::Vacant(place) = self.0.entry(number) {
            place.insert(ZoneKeys::fill(number)?);
        }
        self.0.get_mut(&number).context("it was just made")
    }
}

impl ZoneKeys {
    /// Every host takes in turn, until it has what it uses.
    fn fill(number: usize) -> Result<ZoneKeys> {
        let first = number * SUBNETS_PER_ZONE;
        let mut blocks = BTreeMap::new();
        for nth in first..first + SUBNETS_PER_ZONE {
            for id in BlockId::all_of(subnet(nth)?) {
                blocks.insert(id, Block::open(id, 0, &BTreeMap::new()));
            }
        }
        let holder = |host: usize| Holder {
            host: HostId(format!("host-{:05}", number * HOSTS_PER_ZONE + host)),
            incarnation: Incarnation(1),
        };
        let hosts: Vec<Holder> = (0..HOSTS_PER_ZONE).map(holder).collect();
        let mut zone = ZoneKeys { hosts, blocks, running: BTreeMap::new() };
        for done in (0..ADDRESSES).step_by(TAKE) {
            for host in 0..HOSTS_PER_ZONE {
                zone.take(host, TAKE.min(ADDRESSES - done), done as u64 + 1)?;
            }
        }
        Ok(zone)
    }

    fn take(&mut self, host: usize, mut count: usize, operation: u64) -> Result<()> {
        while count > 0 {
            let free = self.blocks.values().find_map(|block| {
                let free: BTreeSet<IpAddr> = block.free().take(count).collect();
                (!free.is_empty()).then(|| (block.id(), free))
            });
            let (id, addresses) = free.context("a zone has more addresses than it uses")?;
            count -= addresses.len();
            let holder = self.hosts[host].clone();
            let block = self.blocks.get_mut(&id).context("it was just found")?;
            let take = BlockCommand::Take { holder, addresses: addresses.clone(), operation };
            *block = block.apply(take).map_err(|refusal| anyhow::anyhow!("{refusal}"))?.block;
            let number = block.take_number();
            let running = self.running.entry((host, id)).or_default();
            running.extend(addresses.into_iter().map(|address| (address, number)));
        }
        Ok(())
    }

    /// The subnets' own records.
    fn openings(&self, number: usize) -> Result<Vec<Write>> {
        let subnets: BTreeSet<_> = self.blocks.keys().map(|id| id.subnet).collect();
        let record = |cidr: ipnetwork::IpNetwork| {
            let zone = zone_name(number);
            let opened = Subnet { cidr, pool: pool(), zone, gateway: cidr.iter().nth(1) };
            put(Item::Subnet(cidr).key(), &opened)
        };
        subnets.into_iter().map(record).collect()
    }
}

fn records(zone: usize, host: usize, holder: &Holder) -> Result<Vec<Write>> {
    let nth = zone * HOSTS_PER_ZONE + host;
    let boot = BootId(format!("00000000-0000-4000-8000-{nth:012}"));
    let record = HostRecord {
        instance: InstanceId(format!("virtual:{}", 10_000_000 + nth)),
        incarnation: holder.incarnation,
        boot: boot.clone(),
        zones: BTreeSet::from([zone_name(zone)]),
        left: BTreeSet::new(),
        answered: None,
    };
    let name = &holder.host.0;
    let hint = Item::Surplus { zone: zone_name(zone).0, host: name.clone() }.key();
    Ok(vec![
        put(Item::Host(name.clone()).key(), &record)?,
        put(Item::Session(name.clone()).key(), &SignOfLife { boot })?,
        put(hint, &Surplus { free: BTreeMap::from([(pool(), 1)]) })?,
    ])
}

pub(super) fn zone_name(number: usize) -> Zone {
    Zone(format!("zone-{number:04}"))
}

fn block_key(zone: usize, id: BlockId) -> Key {
    Item::Block { zone: zone_name(zone).0, subnet: id.subnet, index: id.index }.key()
}

fn first_block() -> BlockId {
    BlockId { subnet: ipnetwork::IpNetwork::V4(std::net::Ipv4Addr::UNSPECIFIED.into()), index: 0 }
}

fn put<T: serde::Serialize>(key: Key, value: &T) -> Result<Write> {
    Ok(Write::Put { value: encode(&key, value)?, key })
}

/// As much at once as a store takes with ease.
fn batches(writes: Vec<Write>) -> Vec<Transaction> {
    let mut batches = vec![Transaction::new()];
    let mut bytes = 0;
    for write in writes {
        let Write::Put { value, .. } = &write else { continue };
        bytes += value.len();
        let full = |batch: &Transaction| bytes > BATCH_BYTES || batch.writes.len() >= BATCH_KEYS;
        if batches.last().is_none_or(full) {
            bytes = value.len();
            batches.push(Transaction::new());
        }
        if let Some(batch) = batches.last_mut() {
            batch.writes.push(write);
        }
    }
    batches
}
