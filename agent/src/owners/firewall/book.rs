//! What the store has of a firewall of the provider.

use std::collections::BTreeMap;
use std::net::IpAddr;

use provider::Firewall;
use serde::{Deserialize, Serialize};
use services::firewalling::{Edit, Placed};
use store::layout::{self, Item, Under};
use store::{Key, Store};

use crate::owners::book::{self, Book, Term};
use crate::owners::error::OwnerError;
use crate::owners::members::Written;
use crate::services::{ServicesError, in_time};

/// How firewalls are called as objects; the firewall's key follows.
pub(super) const OBJECT: &str = "firewall-";

/// `firewalls/<name>`: what its owner says of a firewall.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FirewallRecord {
    /// How many rules of ours were there at the last look.
    pub(crate) rules: u32,
    /// What is under way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pending: Option<String>,
    /// What is not as it should be.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) troubles: Vec<String>,
}

/// The firewall that is called so as an object; nothing for other objects.
pub(crate) fn named(object: &str) -> Option<Firewall> {
    Firewall::of_key(object.strip_prefix(OBJECT)?)
}

/// What the store has of a firewall, if anything.
pub(crate) async fn record(
    store: &dyn Store,
    firewall: &Firewall,
) -> Result<Option<FirewallRecord>, ServicesError> {
    let entry = in_time(store.get(&Item::Firewall(firewall.key()).key())).await?.entry;
    Ok(entry.map(|entry| layout::decode(&entry.key, &entry.value)).transpose()?)
}

/// The host whose agent looks after a firewall, if one does.
pub(crate) async fn owner(store: &dyn Store, firewall: &Firewall) -> Result<Option<String>, ServicesError> {
    book::owner(store, &format!("{OBJECT}{}", firewall.key())).await
}

/// The addresses that we let in by a firewall.
pub(crate) async fn admitted(store: &dyn Store, firewall: &Firewall) -> Result<Placed, ServicesError> {
    let mut placed = Placed::new();
    for entry in in_time(store.range(&Under::AdmittedBy { name: firewall.key() }.prefix())).await?.entries {
        if let Some(Item::Admitted { address, .. }) = Item::of(&entry.key) {
            placed.insert(address, layout::decode(&entry.key, &entry.value)?);
        }
    }
    Ok(placed)
}

/// Reads and writes it for the owner.
pub(super) struct FirewallBook {
    pub(super) book: Book,
    pub(super) firewall: Firewall,
}

impl FirewallBook {
    /// What the store has, and whom we let in by it.
    pub(super) async fn read(&self) -> Result<(Option<FirewallRecord>, Placed), OwnerError> {
        let store = &*self.book.store;
        Ok((record(store, &self.firewall).await?, admitted(store, &self.firewall).await?))
    }

    /// Writes these edits, as many together as the store takes.
    pub(super) async fn write(
        &self,
        term: &Term,
        edits: &[Edit],
        members: &BTreeMap<IpAddr, Written>,
    ) -> Result<(), OwnerError> {
        let mut transaction = self.book.begun(term);
        for edit in edits {
            transaction = self.book.with_room(term, transaction).await?;
            transaction = match edit {
                Edit::Place(address, epoch) => {
                    let (key, transaction) =
                        (self.admitted(*address), self.book.depend(transaction, *address, epoch, members)?);
                    let value = layout::encode(&key, epoch)?;
                    transaction.put(key, value)
                }
                Edit::Forget(address, epoch) => {
                    transaction.delete(self.admitted(*address)).delete(self.book.dependent(*address, epoch))
                }
            };
        }
        self.book.commit(transaction).await
    }

    /// Writes what the owner says of it; without a record, it is nobody's any more.
    pub(super) async fn tell(&self, term: &Term, record: Option<&FirewallRecord>) -> Result<(), OwnerError> {
        self.book.tell(term, Item::Firewall(self.firewall.key()).key(), record).await
    }

    fn admitted(&self, address: IpAddr) -> Key {
        Item::Admitted { name: self.firewall.key(), address }.key()
    }
}
