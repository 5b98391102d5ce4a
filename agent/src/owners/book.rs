//! What every write of an owner has in common, whatever it looks after.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use ipam::{Dependent, Epoch, HostId, Timestamp};
use ipnetwork::IpNetwork;
use store::layout::{self, Item, Under};
use store::{Commit, Key, OPERATIONS_MAX, Revision, Store, Transaction};

use super::error::OwnerError;
use super::members::Written;
use crate::services::{ServicesError, dependent, in_time};
use crate::tenure::OwnerRecord;

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

/// Writes to the store for the owner of an object.
pub(super) struct Book {
    pub(super) store: Arc<dyn Store>,
    /// The object, as owners and dependents name it: `balancer-web`.
    pub(super) object: String,
    pub(super) host: HostId,
}

/// The compares and writes of one edit, and the record's.
const EDIT_OPERATIONS_MAX: usize = 4;

impl Book {
    /// The subnets of the cluster: whose addresses only its containers have.
    pub(super) async fn subnets(&self) -> Result<Vec<IpNetwork>, OwnerError> {
        let entries = in_time(self.store.range(&Under::Subnets.prefix())).await?.entries;
        let cidr = |key| match Item::of(key) {
            Some(Item::Subnet(cidr)) => Some(cidr),
            _ => None,
        };
        Ok(entries.iter().filter_map(|entry| cidr(&entry.key)).collect())
    }

    /// A transaction that the owner of this term alone can commit.
    pub(super) fn begun(&self, term: &Term) -> Transaction {
        let owner = Item::Owner(self.object.clone()).key();
        Transaction::new().unchanged(owner, term.owner).holds(Item::Cluster.key(), term.cluster.clone())
    }

    /// Commits this transaction if one more edit may not fit into it, and begins another.
    pub(super) async fn with_room(
        &self,
        term: &Term,
        transaction: Transaction,
    ) -> Result<Transaction, OwnerError> {
        if transaction.compares.len() + transaction.writes.len() + EDIT_OPERATIONS_MAX <= OPERATIONS_MAX {
            return Ok(transaction);
        }
        self.commit(transaction).await?;
        Ok(self.begun(term))
    }

    pub(super) async fn commit(&self, transaction: Transaction) -> Result<(), OwnerError> {
        match in_time(self.store.commit(transaction)).await? {
            Commit::Done { .. } => Ok(()),
            Commit::Conflict { .. } => Err(OwnerError::Overtaken),
        }
    }

    /// From now on the address waits for us, if the container still has it: while it is a member under this epoch, nobody
    /// else uses its address.
    pub(super) fn depend(
        &self,
        transaction: Transaction,
        address: IpAddr,
        epoch: &Epoch,
        members: &BTreeMap<IpAddr, Written>,
    ) -> Result<Transaction, OwnerError> {
        let written = members.get(&address).filter(|it| it.member.epoch == *epoch);
        let (key, value) = &written.ok_or(OwnerError::Overtaken)?.entry;
        let dependent = self.dependent(address, epoch);
        let writers = Dependent { writers: BTreeSet::from([self.host.clone()]) };
        let writers = layout::encode(&dependent, &writers)?;
        Ok(transaction.holds(key.clone(), value.clone()).put(dependent, writers))
    }

    /// The key that says that an address waits for us.
    pub(super) fn dependent(&self, address: IpAddr, epoch: &Epoch) -> Key {
        dependent(address, *epoch, self.object.clone())
    }

    /// Writes what the owner says of the object; without a record, it is nobody's any more.
    pub(super) async fn tell<R: serde::Serialize>(
        &self,
        term: &Term,
        key: Key,
        record: Option<&R>,
    ) -> Result<(), OwnerError> {
        let transaction = self.begun(term);
        self.commit(match record {
            Some(record) => transaction.put(key.clone(), layout::encode(&key, record)?),
            None => transaction.delete(key),
        })
        .await
    }
}

/// The host whose agent looks after an object, if one does.
pub(super) async fn owner(store: &dyn Store, object: &str) -> Result<Option<String>, ServicesError> {
    let key = Item::Owner(object.to_owned()).key();
    let entry = in_time(store.get(&key)).await?.entry;
    let record = entry.map(|entry| layout::decode::<OwnerRecord>(&key, &entry.value)).transpose()?;
    Ok(record.filter(|record| !record.resigned).map(|record| record.owner.host.0))
}
