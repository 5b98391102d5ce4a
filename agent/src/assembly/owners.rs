//! Owners of the provider's load balancers and firewalls, where it has some.

use std::sync::Arc;

use provider::Network;
use tokio::sync::watch;

use super::standing::Standing;
use crate::identity::Known;
use crate::owners::{self, Timing};
use crate::services::{Declared, abilities};

/// Begins as soon as the provider could be opened: its credentials may come late.
pub(super) fn keep(standing: &Standing, known: &Known, declared: watch::Receiver<Option<Declared>>) {
    let Some(mut limits) = abilities::limits(&standing.config.provider) else { return };
    let attachments = &known.identity.attachments;
    limits.zone = attachments.iter().find(|it| it.network == Network::Private).map(|it| it.zone.clone());
    let identity = known.host(standing.boot.clone());
    let cluster = standing.config.cluster.clone();
    let mut opened = standing.cloud.subscribe();
    let (store, clock) = (Arc::clone(&standing.store), Arc::clone(&standing.clock));
    let (vigil, stop) = (standing.vigil.clone(), standing.stop.clone());
    standing.tasks.spawn(async move {
        let provider = tokio::select! {
            () = stop.cancelled() => return,
            opened = opened.wait_for(Option::is_some) => opened.ok().and_then(|cloud| cloud.clone()),
        };
        let Some(provider) = provider else { return };
        let (host, instance, boot) = (identity.host, identity.instance, identity.boot);
        let timing = Timing::default();
        let parts = owners::Parts {
            store,
            provider,
            cluster,
            clock,
            vigil,
            declared,
            host,
            instance,
            boot,
            limits,
            timing,
        };
        owners::keep(parts, stop).await;
    });
}
