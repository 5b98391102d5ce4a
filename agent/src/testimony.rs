//! What journal, store, kernel, Docker and cloud each say about an address, and who of them differs.
//!
//! Asking is at the top; what follows from the answers is pure. One that is silent differs from nobody.

use crate::api::{Desk, silence};
use crate::docker::events::Sight;
use crate::reconciler::{Announcement, Announcements};
use crate::troubles::with_causes;
use ::api::{Silence, Source, Word};
use futures::future::try_join_all;
use hostnet::{HostNet, Kernel, Observed, Table};
use ipam::{AddressState, AddressView, Block, BlockId, HostId, SubnetView, Usage, View, Zone};
use provider::CloudSubnet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use store::layout::{self, Item};

/// Everybody's word at one moment, or their silence.
pub struct Testimony {
    host: HostId,
    blocks: Result<Blocks, Silence>,
    kernel: Result<(HostNet, Observed), Silence>,
    announcements: Announcements,
    docker: Result<Arc<Sight>, Silence>,
    cloud: Result<Vec<CloudSubnet>, Silence>,
}

/// Blocks that were asked for, as the store shows them now; `None`: it has no such block.
pub type Blocks = BTreeMap<BlockId, Option<Block>>;

impl Testimony {
    /// Asks everybody but the allocator, whose `view` is the journal's word. The store is asked for these blocks
    /// alone: of the others it has no word here.
    pub async fn gather(desk: &Desk, view: &View, asked: &BTreeSet<BlockId>) -> Self {
        let (blocks, kernel, (subnets, mut silent)) =
            tokio::join!(blocks(desk, view, asked), kernel(desk), desk.in_the_cloud());
        Self {
            host: view.host.clone(),
            blocks,
            kernel,
            announcements: desk.announcements.clone(),
            docker: desk.sight(),
            cloud: silent.pop().map_or(Ok(subnets), Err),
        }
    }

    /// Those who did not answer.
    pub fn silent(&self) -> Vec<Silence> {
        let Self { blocks, kernel, docker, cloud, .. } = self;
        let silences =
            [blocks.as_ref().err(), kernel.as_ref().err(), docker.as_ref().err(), cloud.as_ref().err()];
        silences.into_iter().flatten().cloned().collect()
    }

    /// What Docker showed last, if it answers.
    pub fn sight(&self) -> Option<&Sight> {
        self.docker.as_deref().ok()
    }

    /// The blocks that the store was asked for, if it answers.
    pub fn blocks(&self) -> Option<&Blocks> {
        self.blocks.as_ref().ok()
    }

    /// What the kernel should have and what it has, if it answers.
    pub fn kernel(&self) -> Option<(&HostNet, &Observed)> {
        self.kernel.as_ref().ok().map(|(wanted, observed)| (wanted, observed))
    }

    /// The provider's subnets, if it answers.
    pub fn cloud(&self) -> Option<&[CloudSubnet]> {
        self.cloud.as_deref().ok()
    }

    /// What each says about an address.
    pub fn about(&self, subnet: &SubnetView, address: &AddressView) -> Vec<Word> {
        let mut words = vec![Word::of(Source::Journal, journal(&address.state))];
        words.extend(self.blocks().and_then(|blocks| self.store(blocks, subnet, address)));
        let told = self.announcements.of(address.address);
        let kernel = self.kernel.as_ref().ok();
        words.extend(kernel.map(|(wanted, observed)| and_told(in_kernel(wanted, observed, address), told)));
        words.extend(self.docker.as_ref().ok().map(|sight| in_docker(sight, address)));
        words.extend(self.cloud.as_ref().ok().and_then(|subnets| in_cloud(subnets, subnet)));
        words
    }

    /// The store's word; none if it was not asked about this address.
    fn store(&self, blocks: &Blocks, subnet: &SubnetView, view: &AddressView) -> Option<Word> {
        let address = view.address;
        let block = blocks.get(&BlockId::of(subnet.subnet.cidr, address)?)?;
        let Some(block) = block else {
            return Some(Word::of(Source::Store, "has no such block").differing(true));
        };
        if let Some(held) = block.held().get(&address) {
            let says = format!("held by {}, take {}", held.by.host, held.take);
            // What is on its way from here may have arrived before our view shows it.
            let ours = held.by.host == self.host;
            let differs =
                ours != is_held_here(&view.state) && !matches!(view.state, AddressState::Leaving { .. });
            return Some(Word::of(Source::Store, says).differing(differs));
        }
        let says = match (block.set_aside().get(&address), block.quarantined().get(&address)) {
            (Some(why), _) => format!("set aside: {why}"),
            (None, Some(quarantined)) => format!("quarantined: {}", quarantined.why),
            (None, None) => "free".to_owned(),
        };
        let differs = is_held_here(&view.state) && !matches!(view.state, AddressState::Leaving { .. });
        Some(Word::of(Source::Store, says).differing(differs))
    }
}

async fn blocks(desk: &Desk, view: &View, asked: &BTreeSet<BlockId>) -> Result<Blocks, Silence> {
    let silence = |because: String| silence(Source::Store, because);
    let store = desk.store.as_ref().ok_or_else(|| silence("it is not open".into()))?;
    let one = async |(id, zone): (BlockId, Zone)| {
        let key = Item::Block { zone: zone.0, subnet: id.subnet, index: id.index }.key();
        let read = store.get(&key).await.map_err(|error| silence(with_causes(&error)))?;
        let block = read.entry.map(|entry| layout::decode(&key, &entry.value)).transpose();
        Ok((id, block.map_err(|error| silence(with_causes(&error)))?))
    };
    let asked = asked.iter().filter_map(|id| Some((*id, view.zone_of(*id)?.clone())));
    Ok(try_join_all(asked.map(one)).await?.into_iter().collect())
}

async fn kernel(desk: &Desk) -> Result<(HostNet, Observed), Silence> {
    let silence = |because: String| silence(Source::Kernel, because);
    let kernel = desk.kernel.as_ref().ok_or_else(|| silence("it cannot be asked".into()))?;
    let observed = kernel.observe().await.map_err(|error| silence(with_causes(&error)))?;
    Ok((desk.reconciler.report().borrow().wanted.clone(), observed))
}

/// The journal's word is the allocator's: nothing is believed that is not written there.
fn journal(state: &AddressState) -> String {
    match state {
        AddressState::FreeHere => "held here, free".into(),
        AddressState::Reserved(name) => format!("held here, free, kept for {name}"),
        AddressState::Assigned { epoch, usage: Usage::Unbound } => {
            format!("assigned, epoch {epoch}, no endpoint yet")
        }
        AddressState::Assigned { epoch, usage: Usage::Bound(endpoint) } => {
            format!("assigned, epoch {epoch}, endpoint {}", short(&endpoint.0))
        }
        AddressState::Assigned { epoch, usage: Usage::Gone(endpoint) } => {
            format!("assigned, epoch {epoch}, endpoint {} deleted", short(&endpoint.0))
        }
        AddressState::Cooling { epoch, left_millis, .. } => {
            format!("cooling, epoch {epoch}, {} s by timer", left_millis.div_ceil(1000))
        }
        AddressState::Leaving { .. } => "leaving this host".into(),
        AddressState::NotRetaken => "held since an earlier boot, not re-taken".into(),
        AddressState::Free
        | AddressState::Held(_)
        | AddressState::SetAside(_)
        | AddressState::Quarantined { .. }
        | AddressState::Outside => "not held here".into(),
    }
}

fn is_held_here(state: &AddressState) -> bool {
    match state {
        AddressState::FreeHere
        | AddressState::Reserved(_)
        | AddressState::Assigned { .. }
        | AddressState::Cooling { .. }
        | AddressState::Leaving { .. }
        | AddressState::NotRetaken => true,
        AddressState::Free
        | AddressState::Held(_)
        | AddressState::SetAside(_)
        | AddressState::Quarantined { .. }
        | AddressState::Outside => false,
    }
}

/// The kernel should have a route and a neighbour entry for exactly what is wanted.
fn in_kernel(wanted: &HostNet, observed: &Observed, view: &AddressView) -> Word {
    let address = view.address;
    let route = observed.routes.iter().find(|route| route.table == Table::MAIN && is_host(route.to, address));
    let proxy = observed.proxies.iter().find(|proxy| proxy.address == address);
    let says = match (route, proxy) {
        (Some(route), Some(proxy)) => format!("route to {}, answered for on {}", route.through, proxy.on),
        (Some(route), None) => format!("route to {}, answered for nowhere", route.through),
        (None, Some(proxy)) => format!("no route, yet answered for on {}", proxy.on),
        (None, None) => "no route".to_owned(),
    };
    let is_wanted = wanted.addresses.contains_key(&address);
    let differs =
        if is_wanted { route.is_none() || proxy.is_none() } else { route.is_some() || proxy.is_some() };
    Word::of(Source::Kernel, says).differing(differs)
}

/// What the gateway answered belongs to what the kernel shows: without it, packets may go elsewhere.
fn and_told(word: Word, told: Option<Announcement>) -> Word {
    let Some(told) = told else { return word };
    let differs = word.differs || told.is_unconfirmed();
    Word::of(Source::Kernel, format!("{}; {told}", word.says)).differing(differs)
}

fn is_host(to: ipnetwork::IpNetwork, address: IpAddr) -> bool {
    let whole = if address.is_ipv4() { 32 } else { 128 };
    to.prefix() == whole && to.ip() == address
}

/// Docker should show a container with what an endpoint is bound to, and with nothing else.
fn in_docker(sight: &Sight, view: &AddressView) -> Word {
    let attachments = sight.containers.iter().flat_map(|it| it.attachments.iter().map(move |at| (it, at)));
    let shown =
        attachments.filter(|(_, at)| at.address == Some(view.address)).max_by_key(|(it, _)| it.running);
    let assigned = matches!(view.state, AddressState::Assigned { .. });
    // An auxiliary address belongs to its network: no container has it.
    let bound = match &view.state {
        AddressState::Assigned { usage: Usage::Bound(endpoint), .. } => !endpoint.0.starts_with("aux:"),
        _ => false,
    };
    match shown {
        // After a crash Docker goes on showing what a container had that does not run any more.
        Some((it, at)) => {
            let stopped = if it.running { "" } else { ", which does not run," };
            let says = format!("{}{stopped} on network {}", it.name, at.network_name);
            let is_anothers = match (&view.state, &at.endpoint) {
                (AddressState::Assigned { usage: Usage::Bound(bound), .. }, Some(shown)) => bound != shown,
                _ => false,
            };
            Word::of(Source::Docker, says).differing(it.running && (!assigned || is_anothers))
        }
        None => Word::of(Source::Docker, "no container").differing(bound),
    }
}

/// The provider's word; none on a zone that this host has left, of which it was not asked.
fn in_cloud(subnets: &[CloudSubnet], view: &SubnetView) -> Option<Word> {
    let cidr = view.subnet.cidr;
    match subnets.iter().find(|subnet| subnet.cidr == cidr) {
        Some(subnet) => {
            let says = format!("{cidr} portable in zone {}, id {}", subnet.zone, subnet.id);
            Some(Word::of(Source::Cloud, says))
        }
        None if !view.in_reach => None,
        None => Some(Word::of(Source::Cloud, format!("does not show {cidr}")).differing(true)),
    }
}

fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

#[cfg(test)]
mod tests;
