//! Follows values that every host wants to know, and that change seldom.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use store::{Change, Event, Key, Prefix, Store};
use tokio::sync::watch;
use tokio::time::timeout;

use super::{ServicesError, in_time};
use crate::troubles::with_causes;

/// The first pause after the store did not answer; doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// What stands under a prefix.
pub(crate) type Stands = BTreeMap<Key, Vec<u8>>;

/// Tells what stands under the prefix, as `understood`, at first and whenever that changes, until nobody listens.
/// While the store is away, what it showed last counts.
pub(crate) async fn follow<T: PartialEq>(
    store: Arc<dyn Store>,
    prefix: Prefix,
    understood: impl Fn(&Stands) -> T,
    told: watch::Sender<Option<T>>,
) {
    let mut pause = PAUSE_MIN;
    while !told.is_closed() {
        let tell = |stands: &Stands| {
            let now = Some(understood(stands));
            told.send_if_modified(|known| {
                let changed = *known != now;
                *known = now;
                changed
            });
        };
        tokio::select! {
            () = told.closed() => return,
            ended = list_and_watch(&*store, &prefix, tell) => match ended {
                // Forgotten changes, or a store that went away: all is read again.
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

/// Returns when the watch is over.
async fn list_and_watch(
    store: &dyn Store,
    prefix: &Prefix,
    tell: impl Fn(&Stands),
) -> Result<(), ServicesError> {
    let snapshot = in_time(store.range(prefix)).await?;
    let mut stands: Stands = snapshot.entries.into_iter().map(|entry| (entry.key, entry.value)).collect();
    let mut watch = in_time(store.watch(prefix, snapshot.revision)).await?;
    loop {
        tell(&stands);
        let Ok(change) = watch.next().await else { return Ok(()) };
        apply(&mut stands, change);
        // What has come already is told as one.
        while let Ok(next) = timeout(Duration::ZERO, watch.next()).await {
            let Ok(change) = next else { return Ok(()) };
            apply(&mut stands, change);
        }
    }
}

fn apply(stands: &mut Stands, change: Change) {
    for event in change.events {
        match event {
            Event::Put { key, value } => {
                stands.insert(key, value);
            }
            Event::Deleted(key) => {
                stands.remove(&key);
            }
        }
    }
}
