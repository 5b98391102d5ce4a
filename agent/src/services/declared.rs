//! What operators declared, as it stands in the store.

use std::collections::BTreeMap;
use std::sync::Arc;

use api::Service;
use store::Store;
use store::layout::{self, Item, Under};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::followed::{Stands, follow};
use super::{ServicesError, in_time};
use crate::troubles::with_causes;

/// What is declared, by name.
pub type Declared = BTreeMap<String, Service>;

/// Follows what is declared until `stop`, once for all on this host who go by it.
pub fn declarations(
    store: Arc<dyn Store>,
    tasks: &TaskTracker,
    stop: &CancellationToken,
) -> watch::Receiver<Option<Declared>> {
    let (told, declared) = watch::channel(None);
    let stop = stop.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = follow(store, Under::Services.prefix(), understood, told) => {}
        }
    });
    declared
}

/// Everything declared.
pub(super) async fn read(store: &dyn Store) -> Result<Declared, ServicesError> {
    let entries = in_time(store.range(&Under::Services.prefix())).await?.entries;
    Ok(understood(&entries.into_iter().map(|entry| (entry.key, entry.value)).collect()))
}

/// What these values declare. One that cannot be understood is left out, and said.
fn understood(stands: &Stands) -> Declared {
    let mut declared = Declared::new();
    for (key, value) in stands {
        let Some(Item::Service(name)) = Item::of(key) else { continue };
        match layout::decode::<Service>(key, value) {
            Ok(service) => {
                declared.insert(name, service);
            }
            Err(error) => tracing::warn!(name, error = with_causes(&error), "a service is left out"),
        }
    }
    declared
}
