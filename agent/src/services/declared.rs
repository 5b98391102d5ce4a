//! What operators declared, as it stands in the store.

use std::collections::BTreeMap;

use api::Service;
use store::layout::{self, Item, Under};
use store::{Snapshot, Store};

use super::{ServicesError, in_time};
use crate::troubles::with_causes;

/// What is declared, by name.
pub(crate) type Declared = BTreeMap<String, Service>;

/// Everything declared.
pub(super) async fn read(store: &dyn Store) -> Result<Declared, ServicesError> {
    Ok(understood(&in_time(store.range(&Under::Services.prefix())).await?))
}

/// What these values declare. One that cannot be understood is left out, and said.
pub(super) fn understood(snapshot: &Snapshot) -> Declared {
    let mut declared = Declared::new();
    for entry in &snapshot.entries {
        let Some(Item::Service(name)) = Item::of(&entry.key) else { continue };
        match layout::decode::<Service>(&entry.key, &entry.value) {
            Ok(service) => {
                declared.insert(name, service);
            }
            Err(error) => tracing::warn!(name, error = with_causes(&error), "a service is left out"),
        }
    }
    declared
}
