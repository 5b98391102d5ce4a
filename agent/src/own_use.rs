//! Which addresses this very host still uses, whoever holds them by the book: its journals, its kernel and
//! Docker are asked, each for itself. One of them is enough.
//!
//! A host that lost its journals does not know what its containers use, but the kernel and Docker do. And no
//! probe on the wire would tell: a host does not answer itself.

use crate::allocator::Allocator;
use crate::capacity::{SilentHere, UsedHere};
use crate::docker::events::{Sight, Watched};
use crate::docker::{Book, Pages};
use futures::FutureExt;
use futures::future::BoxFuture;
use hostnet::{Kernel, Netlink, Observed};
use ipam::Epoch;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use tokio::sync::watch;

/// Who on this host is asked.
#[derive(Clone)]
pub struct OwnUse {
    /// What is assigned here.
    pub allocator: Allocator,
    /// What Docker told us.
    pub book: Book,
    /// What Docker shows.
    pub docker: watch::Receiver<Watched>,
    /// What the kernel shows.
    pub kernel: Netlink,
}

impl UsedHere for OwnUse {
    fn used<'a>(
        &'a self,
        candidates: &'a BTreeSet<IpAddr>,
    ) -> BoxFuture<'a, Result<BTreeMap<IpAddr, String>, SilentHere>> {
        async {
            let silent = |who| move |source| SilentHere { who, source };
            let assigned = self.allocator.assigned().await;
            let assigned = assigned.map_err(|error| silent("the allocator")(error.into()))?;
            let observed = self.kernel.observe().await;
            let observed = observed.map_err(|error| silent("the kernel")(error.into()))?;
            let watched = self.docker.borrow().clone();
            let sight = match (watched.silent, watched.sight) {
                (None, Some(sight)) => sight,
                (Some(reason), _) => return Err(silent("Docker")(reason.into())),
                (None, None) => return Err(silent("Docker")("it has not been asked yet".into())),
            };
            let pages = self.book.pages();
            let witnesses =
                Witnesses { assigned: &assigned, pages: &pages, sight: &sight, observed: &observed };
            Ok(candidates.iter().filter_map(|it| Some((*it, witnesses.who_shows(*it)?))).collect())
        }
        .boxed()
    }
}

/// Everybody's word at one moment.
struct Witnesses<'a> {
    assigned: &'a BTreeMap<IpAddr, Epoch>,
    pages: &'a Pages,
    sight: &'a Sight,
    observed: &'a Observed,
}

impl Witnesses<'_> {
    /// Who shows that an address is used here, and as what.
    fn who_shows(&self, address: IpAddr) -> Option<String> {
        let of_docker = |it: &crate::docker::events::Attachment| {
            format!("Docker shows a container with it on network {}", it.network_name)
        };
        let proxy = || self.observed.proxies.iter().find(|proxy| proxy.address == address);
        let route = || self.observed.routes.iter().find(|route| is_for(route.to, address));
        let noted = || {
            let endpoints = self.pages.endpoints.values().any(|it| it.address.ip() == address);
            (endpoints || self.pages.lent.contains_key(&address))
                .then(|| "the journal has an endpoint with it".to_owned())
        };
        self.assigned
            .get(&address)
            .map(|epoch| format!("the journal has it assigned, epoch {epoch}"))
            .or_else(noted)
            .or_else(|| self.sight.attachment_at(address).map(of_docker))
            .or_else(|| route().map(|route| format!("the kernel routes it to {}", route.through)))
            .or_else(|| proxy().map(|proxy| format!("the kernel answers for it on {}", proxy.on)))
    }
}

fn is_for(to: ipnetwork::IpNetwork, address: IpAddr) -> bool {
    to.ip() == address && to.prefix() == if to.is_ipv4() { 32 } else { 128 }
}

#[cfg(test)]
mod tests;
