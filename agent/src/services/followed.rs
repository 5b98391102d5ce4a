//! Follows a few values that seldom change, read whole each time one does.

use std::sync::Arc;
use std::time::Duration;

use store::{Prefix, Snapshot, Store};
use tokio::sync::watch;

use super::{ServicesError, in_time};
use crate::troubles::with_causes;

/// The first pause after the store did not answer; doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Tells all that stands under the prefix, as `understood`, at first and whenever it changes, until nobody listens.
/// While the store is away, what was read last counts.
pub(super) async fn follow<T: PartialEq>(
    store: Arc<dyn Store>,
    prefix: Prefix,
    understood: impl Fn(&Snapshot) -> T,
    told: watch::Sender<Option<T>>,
) {
    let mut pause = PAUSE_MIN;
    while !told.is_closed() {
        tokio::select! {
            () = told.closed() => return,
            changed = read_and_watch(&*store, &prefix, &understood, &told) => match changed {
                Ok(()) => pause = PAUSE_MIN,
                Err(error) => {
                    tracing::debug!(error = with_causes(&error), %prefix, "trying again to follow services");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
            }
        }
    }
}

/// Returns when something changed, and all is to be read again.
async fn read_and_watch<T: PartialEq>(
    store: &dyn Store,
    prefix: &Prefix,
    understood: &impl Fn(&Snapshot) -> T,
    told: &watch::Sender<Option<T>>,
) -> Result<(), ServicesError> {
    let snapshot = in_time(store.range(prefix)).await?;
    let now = Some(understood(&snapshot));
    told.send_if_modified(|known| {
        let changed = *known != now;
        *known = now;
        changed
    });
    let mut watch = in_time(store.watch(prefix, snapshot.revision)).await?;
    // However it ends, all is read again: a change, a compaction, a store that went away.
    drop(watch.next().await);
    Ok(())
}
