//! Asks on the wire which addresses of a zone somebody uses already.

use crate::capacity::{Probe, ProbeError};
use futures::FutureExt;
use futures::future::BoxFuture;
use hostnet::{IfName, neighbour};
use ipam::Zone;
use ipnetwork::IpNetwork;
use provider::ZoneId;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

/// How long answers are waited for: a host under load answers within tens of milliseconds.
const PATIENCE: Duration = Duration::from_millis(800);

/// Asks with ARP, and for IPv6 with neighbour solicitations, on this host's interface in the zone.
#[derive(Clone, Debug)]
pub struct ArpProbe {
    interfaces: BTreeMap<Zone, IfName>,
}

/// This host has no interface in the zone.
#[derive(Debug, thiserror::Error)]
#[error("no interface of this host is in zone {0}")]
struct NoInterface(ZoneId);

impl ArpProbe {
    /// Asks on these interfaces.
    pub fn on(interfaces: BTreeMap<Zone, IfName>) -> Self {
        Self { interfaces }
    }
}

impl Probe for ArpProbe {
    fn occupied<'a>(
        &'a self,
        zone: &'a ZoneId,
        subnet: IpNetwork,
        candidates: Vec<IpAddr>,
    ) -> BoxFuture<'a, Result<BTreeSet<IpAddr>, ProbeError>> {
        async move {
            let interface = self.interfaces.get(&Zone(zone.to_string()));
            let interface =
                interface.ok_or_else(|| ProbeError { subnet, source: NoInterface(zone.clone()).into() })?;
            let found = neighbour::probe(interface, &candidates, PATIENCE).await;
            let found = found.map_err(|error| ProbeError { subnet, source: error.into() })?;
            Ok(found.into_keys().collect())
        }
        .boxed()
    }
}
