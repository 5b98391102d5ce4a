//! Which container has an address: what Docker shows, told to the journal.

use crate::allocator::Allocator;
use crate::docker::events::{Sight, Watched};
use ::ledger::{Container, Entry};
use ipam::Epoch;
use std::net::IpAddr;
use tokio::sync::watch;

/// Tells the journal every name, for as long as both are there. A look at Docker is used at once: the
/// next one may no longer show a container that lives a second.
pub(super) async fn follow(mut docker: watch::Receiver<Watched>, allocator: Allocator) {
    loop {
        let sight = docker.borrow_and_update().sight.clone();
        if let Some(sight) = sight {
            let Ok(entries) = allocator.intervals().await else { return };
            let names = names(&sight, &entries);
            if !names.is_empty() && allocator.named(names).await.is_err() {
                return;
            }
        }
        if docker.changed().await.is_err() {
            // Docker is not followed any more; what is written goes on without names.
            std::future::pending::<()>().await;
        }
    }
}

/// What the sight tells that the entries do not have.
fn names(sight: &Sight, entries: &[Entry]) -> Vec<(IpAddr, Epoch, Container)> {
    let named = entries.iter().filter_map(|entry| {
        let interval = &entry.interval;
        let endpoint = interval.endpoint.as_ref()?;
        let seen = sight.container_of(endpoint)?;
        let at = seen.attachments.iter().find(|at| at.endpoint.as_ref() == Some(endpoint))?;
        let (id, name, network) = (seen.id.clone(), seen.name.clone(), at.network_name.clone());
        let container = Container { id, name, network };
        (interval.container.as_ref() != Some(&container)).then_some((
            interval.address,
            interval.epoch,
            container,
        ))
    });
    named.collect()
}
