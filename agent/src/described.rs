//! What people call this host, told to all others: the key `descriptions/<id>`. No decision looks at it.

use provider::{Identity, InstanceKind};
use serde::{Deserialize, Serialize};
use store::layout::{self, Item, ValueError};
use store::{Store, StoreError, Transaction};

/// A host as people know it. It stays when the host is gone: then its name is asked for most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its host name, as the provider has it.
    pub hostname: String,
    /// What kind of machine it is.
    pub kind: InstanceKind,
    /// The failure domain it is in.
    pub datacenter: String,
}

/// Why it could not be told.
#[derive(Debug, thiserror::Error)]
pub enum DescribeError {
    /// The store did not take it.
    #[error("cannot tell the store what this host is called")]
    Store(#[from] StoreError),
    /// It cannot be written down.
    #[error("cannot write down what this host is called")]
    Value(#[from] ValueError),
}

impl Description {
    /// Of this machine, in the provider's words.
    pub fn of(identity: &Identity) -> Self {
        let Identity { hostname, kind, datacenter, .. } = identity.clone();
        Self { hostname, kind, datacenter }
    }

    /// Tells it in the name of `host`.
    ///
    /// # Errors
    /// As [`DescribeError`] has them. Telling it again does no harm.
    pub async fn tell(&self, store: &dyn Store, host: &str) -> Result<(), DescribeError> {
        let key = Item::Description(host.to_owned()).key();
        let value = layout::encode(&key, self)?;
        store.commit(Transaction::new().put(key, value)).await?;
        Ok(())
    }
}
