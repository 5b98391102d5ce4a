//! What the store has of a load balancer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipam::{Dependent, Epoch, HostId, Timestamp};
use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};
use services::{Edit, Known, Placed};
use store::layout::{self, Item, Under};
use store::{Commit, Key, OPERATIONS_MAX, Revision, Store, Transaction};

use super::error::OwnerError;
use super::members::Written;
use crate::services::{ServicesError, in_time};
use crate::tenure::OwnerRecord;

/// How owners of load balancers, and what depends on an address because of one, are called; the name follows.
pub(crate) const OBJECT: &str = "balancer-";

/// `balancers/<name>`: what of a load balancer is ours, and what its owner says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BalancerRecord {
    /// The ports of the listeners that this cluster made.
    pub(crate) listeners: BTreeSet<u16>,
    /// Where users connect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reached_at: Option<String>,
    /// What is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pending: Option<String>,
    /// What is not as it should be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) troubles: Vec<String>,
}

/// How a load balancer is called in the store: the provider tells none from another by case.
pub(crate) fn key_of(name: &str) -> String {
    name.to_ascii_lowercase()
}

/// What the store has of a load balancer, if anything.
pub(crate) async fn record(store: &dyn Store, name: &str) -> Result<Option<BalancerRecord>, ServicesError> {
    let entry = in_time(store.get(&Item::Balancer(key_of(name)).key())).await?.entry;
    Ok(entry.map(|entry| layout::decode(&entry.key, &entry.value)).transpose()?)
}

/// The host whose agent looks after a load balancer, if one does.
pub(crate) async fn owner(store: &dyn Store, name: &str) -> Result<Option<String>, ServicesError> {
    let key = Item::Owner(format!("{OBJECT}{}", key_of(name))).key();
    let entry = in_time(store.get(&key)).await?.entry;
    let record = entry.map(|entry| layout::decode::<OwnerRecord>(&key, &entry.value)).transpose()?;
    Ok(record.filter(|record| !record.resigned).map(|record| record.owner.host.0))
}

/// Our members at a load balancer.
pub(crate) async fn known(store: &dyn Store, name: &str) -> Result<BTreeMap<IpAddr, Placed>, ServicesError> {
    let mut placed = BTreeMap::new();
    for entry in in_time(store.range(&Under::BalancedBy { name: key_of(name) }.prefix())).await?.entries {
        if let Some(Item::Balanced { address, .. }) = Item::of(&entry.key) {
            placed.insert(address, layout::decode(&entry.key, &entry.value)?);
        }
    }
    Ok(placed)
}

/// Reads and writes it for the owner.
pub(super) struct Book {
    pub(super) store: Arc<dyn Store>,
    pub(super) name: String,
    pub(super) host: HostId,
}

/// What every write of an owner compares.
#[derive(Clone, Debug)]
pub(super) struct Term {
    /// When it became the owner.
    pub(super) owner: Revision,
    /// The cluster's record, as it stood when the pass began.
    pub(super) cluster: Vec<u8>,
    /// When the store was asked whether this process is the owner.
    pub(super) confirmed: Timestamp,
}

impl Book {
    /// What the store has, and what is ours by it.
    pub(super) async fn read(&self) -> Result<(Option<BalancerRecord>, Known), OwnerError> {
        let record = record(&*self.store, &self.name).await?;
        let placed = known(&*self.store, &self.name).await?;
        let listeners = record.as_ref().map(|record| record.listeners.clone()).unwrap_or_default();
        Ok((record, Known { listeners, placed }))
    }

    /// The subnets of the cluster: whose addresses only its containers have.
    pub(super) async fn subnets(&self) -> Result<Vec<IpNetwork>, OwnerError> {
        let entries = in_time(self.store.range(&Under::Subnets.prefix())).await?.entries;
        let cidr = |key| match Item::of(key) {
            Some(Item::Subnet(cidr)) => Some(cidr),
            _ => None,
        };
        Ok(entries.iter().filter_map(|entry| cidr(&entry.key)).collect())
    }

    /// Writes these edits, as many together as the store takes.
    pub(super) async fn write(
        &self,
        term: &Term,
        edits: &[Edit],
        record: Option<BalancerRecord>,
        members: &BTreeMap<IpAddr, Written>,
    ) -> Result<(), OwnerError> {
        let mut transaction = self.begun(term);
        for edit in edits {
            if transaction.compares.len() + transaction.writes.len() + EDIT_OPERATIONS_MAX > OPERATIONS_MAX {
                self.commit(std::mem::replace(&mut transaction, self.begun(term))).await?;
            }
            transaction = self.spell(transaction, edit, members)?;
        }
        let mut now = record.unwrap_or_default();
        let before = now.listeners.clone();
        for edit in edits {
            match edit {
                Edit::Claim(port) => drop(now.listeners.insert(*port)),
                Edit::Disclaim(port) => drop(now.listeners.remove(port)),
                Edit::Place(..) | Edit::Note(..) | Edit::Forget(..) => {}
            }
        }
        if now.listeners != before {
            let key = Item::Balancer(self.name.clone()).key();
            let value = layout::encode(&key, &now)?;
            transaction = transaction.put(key, value);
        }
        self.commit(transaction).await
    }

    /// Writes what the owner says of it; without a record, it is nobody's any more.
    pub(super) async fn tell(&self, term: &Term, record: Option<&BalancerRecord>) -> Result<(), OwnerError> {
        let key = Item::Balancer(self.name.clone()).key();
        let transaction = self.begun(term);
        self.commit(match record {
            Some(record) => transaction.put(key.clone(), layout::encode(&key, record)?),
            None => transaction.delete(key),
        })
        .await
    }

    fn spell(
        &self,
        transaction: Transaction,
        edit: &Edit,
        members: &BTreeMap<IpAddr, Written>,
    ) -> Result<Transaction, OwnerError> {
        Ok(match edit {
            Edit::Place(address, epoch) => {
                // While it is a member under this epoch, its address is used by nobody else.
                let written = members.get(address).filter(|it| it.member.epoch == *epoch);
                let (key, value) = &written.ok_or(OwnerError::Overtaken)?.entry;
                let dependent = self.dependent(*address, epoch);
                let writers = Dependent { writers: BTreeSet::from([self.host.clone()]) };
                let writers = layout::encode(&dependent, &writers)?;
                let transaction = transaction.holds(key.clone(), value.clone()).put(dependent, writers);
                self.placed(transaction, *address, &Placed { epoch: *epoch, weight: None, up: None })?
            }
            Edit::Note(address, placed) => self.placed(transaction, *address, placed)?,
            Edit::Forget(address, epoch) => {
                transaction.delete(self.balanced(*address)).delete(self.dependent(*address, epoch))
            }
            Edit::Claim(_) | Edit::Disclaim(_) => transaction,
        })
    }

    fn placed(
        &self,
        transaction: Transaction,
        address: IpAddr,
        placed: &Placed,
    ) -> Result<Transaction, OwnerError> {
        let key = self.balanced(address);
        let value = layout::encode(&key, placed)?;
        Ok(transaction.put(key, value))
    }

    fn balanced(&self, address: IpAddr) -> Key {
        Item::Balanced { name: self.name.clone(), address }.key()
    }

    fn dependent(&self, address: IpAddr, epoch: &Epoch) -> Key {
        let Epoch { generation, take, counter } = *epoch;
        let epoch = [generation.number, generation.id, take, counter];
        Item::Dependent { address, epoch, object: format!("{OBJECT}{}", self.name) }.key()
    }

    fn begun(&self, term: &Term) -> Transaction {
        let owner = Item::Owner(format!("{OBJECT}{}", self.name)).key();
        Transaction::new().unchanged(owner, term.owner).holds(Item::Cluster.key(), term.cluster.clone())
    }

    async fn commit(&self, transaction: Transaction) -> Result<(), OwnerError> {
        match in_time(self.store.commit(transaction)).await? {
            Commit::Done { .. } => Ok(()),
            Commit::Conflict { .. } => Err(OwnerError::Overtaken),
        }
    }
}

/// The compares and writes of one edit, and the record's.
const EDIT_OPERATIONS_MAX: usize = 4;
