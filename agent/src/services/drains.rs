//! What is to be let go of: containers, and whole hosts, that shall get nothing new.

use std::collections::BTreeSet;

use ipam::HostId;
use store::layout::Item;
use store::{Commit, Store, Transaction};

use super::followed::Stands;
use super::{ServicesError, in_time};

/// What is drained on one host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Drains {
    /// Every container of it.
    pub(crate) host: bool,
    /// These, by Docker's id.
    pub(crate) containers: BTreeSet<String>,
}

impl Drains {
    /// Whether this container is drained.
    pub(crate) fn ask(&self, id: &str) -> bool {
        self.host || self.containers.contains(id)
    }
}

/// What these keys ask of their host.
pub(super) fn understood(stands: &Stands) -> Drains {
    let mut drains = Drains::default();
    for key in stands.keys() {
        match Item::of(key) {
            Some(Item::Drain { container: Some(id), .. }) => drop(drains.containers.insert(id)),
            Some(Item::Drain { container: None, .. }) => drains.host = true,
            _ => (),
        }
    }
    drains
}

/// Asks for a drain of a container, or of a whole host, or takes that back. It can be said twice.
pub(crate) async fn ask(
    store: &dyn Store,
    host: &HostId,
    container: Option<&str>,
    undo: bool,
) -> Result<(), ServicesError> {
    let key = Item::Drain { host: host.to_string(), container: container.map(str::to_owned) }.key();
    loop {
        let found = in_time(store.get(&key)).await?.entry;
        let transaction = match (&found, undo) {
            (None, true) | (Some(_), false) => return Ok(()),
            (Some(entry), true) => {
                Transaction::new().unchanged(key.clone(), entry.revision).delete(key.clone())
            }
            (None, false) => Transaction::new().absent(key.clone()).put(key.clone(), Vec::new()),
        };
        // Somebody else said the same or the contrary at this moment: what stands now is looked at.
        if let Commit::Done { .. } = in_time(store.commit(transaction)).await? {
            return Ok(());
        }
    }
}

/// Forgets drains of containers that Docker does not have any more.
pub(super) async fn forget(
    store: &dyn Store,
    host: &HostId,
    drains: &Drains,
    there: &BTreeSet<&str>,
) -> Result<(), ServicesError> {
    for gone in drains.containers.iter().filter(|id| !there.contains(id.as_str())) {
        ask(store, host, Some(gone), true).await?;
    }
    Ok(())
}
