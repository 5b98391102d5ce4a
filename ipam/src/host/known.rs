//! What others wrote, as this host has seen it.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::journal::AfterPersist;
use super::{Durability, Family, Host};
use crate::cluster::ClusterRecord;
use crate::epoch::Generation;
use crate::names::{BlockId, HostId, PoolName, Revision, Zone};
use crate::pool::{Pool, Subnet};
use crate::record::Record;
use crate::transaction::{Key, Prefix, Seen, Value};

impl Host {
    pub(super) fn listed(&mut self, prefix: Prefix, revision: Revision, entries: Vec<Seen>) {
        if self.acted_beyond(revision) {
            self.freeze(format!(
                "the store stands at revision {revision}, below what this host's journal has seen"
            ));
        } else if let Some(id) = entries.iter().find_map(|entry| self.set_back(entry)) {
            self.freeze(format!(
                "block {id} stands below the revision that this host's journal has acted on"
            ));
        }
        let present: BTreeSet<&Key> = entries.iter().map(|entry| &entry.key).collect();
        let gone: Vec<Seen> = self
            .known_keys()
            .filter(|key| prefix.contains(key) && !present.contains(key))
            .map(|key| Seen { key, value: None, revision })
            .collect();
        if prefix == Prefix::Cluster && entries.is_empty() {
            self.cluster_seen(None, revision);
        }
        self.listed.insert(prefix);
        self.seen(gone);
        self.seen(entries);
    }

    /// Whether the journal knows of newer things than `revision`, in this life of the cluster.
    fn acted_beyond(&self, revision: Revision) -> bool {
        self.same_life() && self.blocks.values().any(|facts| facts.acted > revision)
    }

    /// Whether the store is in the life of the cluster that the journal belongs to.
    fn same_life(&self) -> bool {
        self.cluster.seen.as_ref().is_some_and(|(seen, _)| self.life() == Some(seen.generation))
    }

    /// The life of the cluster that the journal belongs to.
    pub(super) fn life(&self) -> Option<Generation> {
        self.cluster.journalled.as_ref().map(|(_, generation, _)| *generation)
    }

    /// The block that a listing shows at an earlier revision than was acted on: the store was put back and has
    /// moved on since, so that its own revision does not tell.
    fn set_back(&self, listed: &Seen) -> Option<BlockId> {
        let Key::Block { block: id, .. } = listed.key else { return None };
        let facts = self.blocks.get(&id).filter(|_| self.same_life())?;
        (listed.revision < facts.acted).then_some(id)
    }

    pub(super) fn known_keys(&self) -> impl Iterator<Item = Key> + '_ {
        let host = self.identity.host.clone();
        let wants = self.wants.keys().map(move |(zone, asker)| Key::Want {
            zone: zone.clone(),
            holder: host.clone(),
            asker: asker.clone(),
        });
        let surplus =
            self.hints.whose().map(|(zone, host)| Key::Surplus { zone: zone.clone(), host: host.clone() });
        (self.pools.keys().cloned().map(Key::Pool))
            .chain(self.subnets.keys().copied().map(Key::Subnet))
            .chain(self.reservations.keys().cloned().map(Key::Reservation))
            .chain(self.hosts.keys().cloned().map(Key::Host))
            .chain(self.blocks.iter().map(|(id, facts)| facts.key(*id)))
            .chain(wants)
            .chain(surplus)
    }

    /// Takes note of values, each unless it is older than what is known.
    pub(super) fn seen(&mut self, events: Vec<Seen>) {
        for Seen { key, value, revision } in events {
            match (key, value) {
                (Key::Cluster, Some(Value::Cluster(record)))
                    if self.newer_cluster(revision) || self.later_life(&record) =>
                {
                    self.cluster_seen(Some(record), revision);
                }
                (Key::Cluster, None) if self.newer_cluster(revision) => self.cluster_seen(None, revision),
                (Key::Host(host), Some(Value::Host(record))) if self.newer_host(&host, revision) => {
                    self.hosts.insert(host, (record, revision));
                }
                (Key::Host(host), None) if self.newer_host(&host, revision) => {
                    self.hosts.remove(&host);
                }
                (Key::Pool(_), Some(Value::Pool(pool))) => self.pool_seen(pool),
                (Key::Pool(name), None) => {
                    self.pools.remove(&name);
                }
                (Key::Subnet(_), Some(Value::Subnet(subnet))) => self.subnet_seen(subnet),
                (Key::Subnet(cidr), None) => self.subnet_gone(cidr),
                (Key::Block { zone, block: id }, Some(Value::Block(block))) => {
                    self.block_seen(zone, id, Some(block), revision);
                }
                (Key::Block { zone, block: id }, None) => self.block_seen(zone, id, None, revision),
                (Key::Reservation(name), Some(Value::Reservation(reservation))) => {
                    self.reservations.insert(name, reservation);
                }
                (Key::Reservation(name), None) => {
                    self.reservations.remove(&name);
                }
                (Key::Surplus { zone, host }, Some(Value::Surplus(surplus))) => {
                    self.hinted(&zone, &host, &surplus);
                    self.surplus_seen(zone, host, Some(surplus));
                }
                (Key::Surplus { zone, host }, None) => self.surplus_seen(zone, host, None),
                (key @ Key::Want { .. }, value) => self.want_seen(key, value, revision),
                (Key::Published { host, block }, value) if host == self.identity.host => {
                    self.published_seen(block, value, revision);
                }
                // Dependents are asked about, not watched; anything else is not for this host.
                _ => (),
            }
        }
    }

    fn newer_cluster(&self, revision: Revision) -> bool {
        self.cluster.seen.as_ref().is_none_or(|(_, newest)| revision > *newest)
    }

    /// Whether a record is of a later life of this cluster: revisions may have begun again since.
    fn later_life(&self, record: &ClusterRecord) -> bool {
        self.cluster
            .seen
            .as_ref()
            .is_some_and(|(seen, _)| seen.id == record.id && seen.generation < record.generation)
    }

    fn newer_host(&self, host: &HostId, revision: Revision) -> bool {
        self.hosts.get(host).is_none_or(|(_, newest)| revision > *newest)
    }

    fn pool_seen(&mut self, pool: Pool) {
        if self.pools.get(&pool.name) != Some(&pool) {
            self.pools.insert(pool.name.clone(), pool.clone());
            self.note_record(Record::Pool(pool));
        }
    }

    /// As long as something of a subnet is held, its pool and gateway must be known.
    fn subnet_gone(&mut self, cidr: IpNetwork) {
        if self.held.values().all(|held| held.block.subnet != cidr) {
            self.subnets.remove(&cidr);
        }
    }

    fn subnet_seen(&mut self, subnet: Subnet) {
        if self.subnets.get(&subnet.cidr) == Some(&subnet) {
            return;
        }
        let here = self.identity.zones.contains(&subnet.zone);
        if !here && self.held.values().all(|held| held.block.subnet != subnet.cidr) {
            // Nothing of it can ever be used here: in a fleet of many zones that is nearly all there is.
            self.subnets.remove(&subnet.cidr);
            return;
        }
        self.subnets.insert(subnet.cidr, subnet.clone());
        if here {
            self.note_record(Record::Subnet(subnet));
        }
    }

    fn note_record(&mut self, record: Record) {
        self.persist(vec![record], Durability::Written, AfterPersist::Nothing);
    }

    /// Whether the blocks of all zones of this host were read.
    pub(super) fn blocks_listed(&self) -> bool {
        self.identity.zones.iter().all(|zone| self.listed.contains(&Prefix::Blocks(zone.clone())))
    }

    /// The subnets of a pool that this host can use.
    pub(super) fn subnets_of<'a>(
        &'a self,
        pool: &'a PoolName,
        family: Family,
    ) -> impl Iterator<Item = IpNetwork> + 'a {
        self.subnets
            .values()
            .filter(move |subnet| subnet.pool == *pool && Family::of(subnet.cidr.ip()) == family)
            .filter(|subnet| self.identity.zones.contains(&subnet.zone))
            .map(|subnet| subnet.cidr)
    }

    /// The blocks seen of the pool's subnets that this host can use.
    pub(super) fn blocks_of<'a>(
        &'a self,
        pool: &'a PoolName,
        family: Family,
    ) -> impl Iterator<Item = BlockId> + 'a {
        self.subnets_of(pool, family).flat_map(|cidr| {
            let of = |index| BlockId { subnet: cidr, index };
            self.blocks
                .range(of(0)..=of(u32::MAX))
                .filter(|(_, facts)| facts.seen.is_some())
                .map(|(id, _)| *id)
        })
    }

    pub(super) fn subnet_of(&self, address: IpAddr) -> Option<&Subnet> {
        if let Some(held) = self.held.get(&address) {
            return self.subnets.get(&held.block.subnet);
        }
        // They do not overlap: only the last that begins at the address or below can contain it.
        let below = self.subnets.range(..=IpNetwork::from(address)).next_back();
        below.map(|(_, subnet)| subnet).filter(|subnet| subnet.cidr.contains(address))
    }

    pub(super) fn block_of(&self, address: IpAddr) -> Option<BlockId> {
        match self.held.get(&address) {
            Some(held) => Some(held.block),
            None => BlockId::of(self.subnet_of(address)?.cidr, address),
        }
    }

    pub(super) fn zone_of(&self, id: BlockId) -> Option<Zone> {
        self.subnets.get(&id.subnet).map(|subnet| subnet.zone.clone())
    }
}

impl Family {
    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}
