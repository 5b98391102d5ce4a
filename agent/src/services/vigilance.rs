//! Keeps the vigil: follows which hosts there are and which give signs of life.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ipam::{HostId, HostRecord, Zone};
use services::Vigil;
use store::Store;
use store::layout::{self, Item, Under};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::followed::{Stands, follow};
use crate::clock::Clock;

/// The hosts of each zone.
type Zones = BTreeMap<Zone, BTreeSet<HostId>>;

/// Keeps it until `stop`, and tells each change of it.
pub(crate) async fn keep(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    vigil: watch::Sender<Vigil>,
    stop: CancellationToken,
) {
    let (zones_told, mut zones) = watch::channel(None);
    let (alive_told, mut alive) = watch::channel(None);
    let following = async {
        tokio::join!(
            follow(Arc::clone(&store), Under::Hosts.prefix(), zones_in, zones_told),
            follow(Arc::clone(&store), Under::Sessions.prefix(), living_in, alive_told),
        )
    };
    let keeping = async {
        loop {
            let hosts: Option<Zones> = zones.borrow_and_update().clone();
            let living: Option<BTreeSet<HostId>> = alive.borrow_and_update().clone();
            let now = clock.now();
            if let (Some(hosts), Some(living)) = (hosts, living) {
                vigil.send_if_modified(|vigil| {
                    let before = vigil.clone();
                    vigil.look(now, &hosts, &living);
                    *vigil != before
                });
            }
            let due = vigil.borrow().next_deadline();
            let pause = due.map(|due| Duration::from_millis(due.0.saturating_sub(now.0)));
            tokio::select! {
                Ok(()) = zones.changed() => {}
                Ok(()) = alive.changed() => {}
                () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
                // Whoever follows is gone.
                else => return,
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        _ = following => {}
        () = keeping => {}
    }
}

fn zones_in(stands: &Stands) -> Zones {
    let mut zones = Zones::new();
    for (key, value) in stands {
        let Some(Item::Host(id)) = Item::of(key) else { continue };
        // One of another version is not judged.
        let Ok(record) = layout::decode::<HostRecord>(key, value) else { continue };
        for zone in record.zones {
            zones.entry(zone).or_default().insert(HostId(id.clone()));
        }
    }
    zones
}

/// The hosts that give signs of life.
pub(crate) fn living_in(stands: &Stands) -> BTreeSet<HostId> {
    let ids = stands.keys().filter_map(|key| match Item::of(key) {
        Some(Item::Session(id)) => Some(HostId(id)),
        _ => None,
    });
    ids.collect()
}
