//! What the store has of a load balancer.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use services::balancing::{Edit, Known, Placed};
use store::layout::{self, Item, Under};
use store::{Key, Store, Transaction};

use crate::owners::book::{self, Book, Term};
use crate::owners::error::OwnerError;
use crate::owners::members::Written;
use crate::services::{ServicesError, in_time};

/// How load balancers are called as objects; the name follows.
pub(super) const OBJECT: &str = "balancer-";

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

/// The load balancer that is called so as an object; nothing for other objects.
pub(crate) fn named(object: &str) -> Option<&str> {
    object.strip_prefix(OBJECT)
}

/// What the store has of a load balancer, if anything.
pub(crate) async fn record(store: &dyn Store, name: &str) -> Result<Option<BalancerRecord>, ServicesError> {
    let entry = in_time(store.get(&Item::Balancer(key_of(name)).key())).await?.entry;
    Ok(entry.map(|entry| layout::decode(&entry.key, &entry.value)).transpose()?)
}

/// The host whose agent looks after a load balancer, if one does.
pub(crate) async fn owner(store: &dyn Store, name: &str) -> Result<Option<String>, ServicesError> {
    book::owner(store, &format!("{OBJECT}{}", key_of(name))).await
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
pub(super) struct BalancerBook {
    pub(super) book: Book,
    pub(super) name: String,
}

impl BalancerBook {
    /// What the store has, and what is ours by it.
    pub(super) async fn read(&self) -> Result<(Option<BalancerRecord>, Known), OwnerError> {
        let store = &*self.book.store;
        let (record, placed) = (record(store, &self.name).await?, known(store, &self.name).await?);
        let listeners = record.as_ref().map(|record| record.listeners.clone()).unwrap_or_default();
        Ok((record, Known { listeners, placed }))
    }

    /// Writes these edits, as many together as the store takes.
    pub(super) async fn write(
        &self,
        term: &Term,
        edits: &[Edit],
        record: Option<BalancerRecord>,
        members: &BTreeMap<IpAddr, Written>,
    ) -> Result<(), OwnerError> {
        let mut transaction = self.book.begun(term);
        for edit in edits {
            transaction = self.book.with_room(term, transaction).await?;
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
            let value = layout::encode(&self.key(), &now)?;
            transaction = transaction.put(self.key(), value);
        }
        self.book.commit(transaction).await
    }

    /// Writes what the owner says of it; without a record, it is nobody's any more.
    pub(super) async fn tell(&self, term: &Term, record: Option<&BalancerRecord>) -> Result<(), OwnerError> {
        self.book.tell(term, self.key(), record).await
    }

    fn key(&self) -> Key {
        Item::Balancer(self.name.clone()).key()
    }

    fn spell(
        &self,
        transaction: Transaction,
        edit: &Edit,
        members: &BTreeMap<IpAddr, Written>,
    ) -> Result<Transaction, OwnerError> {
        Ok(match edit {
            Edit::Place(address, epoch) => {
                let transaction = self.book.depend(transaction, *address, epoch, members)?;
                self.placed(transaction, *address, &Placed { epoch: *epoch, weight: None, up: None })?
            }
            Edit::Note(address, placed) => self.placed(transaction, *address, placed)?,
            Edit::Forget(address, epoch) => {
                transaction.delete(self.balanced(*address)).delete(self.book.dependent(*address, epoch))
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
}
