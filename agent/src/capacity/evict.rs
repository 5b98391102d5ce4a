//! An operator's word that a host is dead: `berth host evict`.
//!
//! It is taken only if nothing speaks against it: the session is absent, the provider says deleted or off, and
//! nobody on the wire answers for the host's addresses. Where the provider cannot say, or there is none, the operator
//! states that the machine is off: one that is paused is as silent on the wire as a dead one. Whatever stands in
//! the way, an operator can force it, on record.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipam::role::{HostSeen, HostsSeen, raise};
use ipam::{Block, ClusterState, Eviction, EvictionWord, HostId, Incarnation, Sent, Subnet, Zone};
use ipnetwork::IpNetwork;
use provider::{Cause, HostState, Provider, ZoneId};
use store::layout::{self, Item, Under};
use tracing::warn;

use super::{eviction::spoken, look, role::Role, trouble::Trouble, view::At};
use crate::allocator::words;

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plea {
    /// Which host.
    pub host: HostId,
    /// Who asks.
    pub who: String,
    /// The operator states that the machine is powered off.
    pub powered_off: bool,
    /// Evict it whatever speaks against it, and why.
    pub force: Option<String>,
}

/// A host that was evicted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evicted {
    /// The record of it.
    pub eviction: Eviction,
    /// Whether that happened before, and nothing was left to do now.
    pub before: bool,
}

/// Why a host was not evicted.
#[derive(Debug, thiserror::Error)]
pub enum EvictError {
    /// No such host.
    #[error("there is no host {0} in the store")]
    Unknown(HostId),
    /// It is the one that was asked.
    #[error("host {0} is this one: a host does not evict itself")]
    Itself(HostId),
    /// Its session stands.
    #[error("host {0} is alive: its session stands in the store")]
    Alive(HostId),
    /// The provider says otherwise.
    #[error("the provider says that host {host} is {said}")]
    NotDead {
        /// Which.
        host: HostId,
        /// What it says.
        said: &'static str,
    },
    /// The provider does not say, and the operator did not.
    #[error("nobody says that host {host} is off: the provider's word is \"{said}\"")]
    Unwitnessed {
        /// Which.
        host: HostId,
        /// What the provider says.
        said: String,
    },
    /// Somebody uses its addresses.
    #[error("addresses of host {host} are still used: {users}")]
    Used {
        /// Which.
        host: HostId,
        /// Which addresses, and who says so.
        users: String,
    },
    /// Nobody could be asked about some of its addresses.
    #[error("it cannot be found out whether addresses of host {host} are still used")]
    OutOfReach {
        /// Which.
        host: HostId,
        /// Why not.
        #[source]
        source: Cause,
    },
    /// It is not as it was when this began.
    #[error("host {0} came back, or was evicted by somebody else, while this was looked at")]
    Changed(HostId),
    /// The cluster is frozen, or there is none.
    #[error("nobody is evicted now: {0}")]
    NotNow(&'static str),
    /// The store did not say what became of it.
    #[error("the store did not say whether host {0} was evicted")]
    NotKnown(HostId),
    /// The store could not be read or written.
    #[error("host {host} could not be evicted")]
    Store {
        /// Which.
        host: HostId,
        /// Why not.
        #[source]
        source: Cause,
    },
    /// The agent is stopping.
    #[error("the agent is stopping")]
    Stopped,
}

impl<P: Provider> Role<P> {
    /// Evicts a host on an operator's word. Any agent can, whoever has the role: what is swept afterwards is the
    /// role's.
    ///
    /// # Errors
    /// When something speaks against it, or it could not be written down.
    pub async fn evict(&mut self, plea: Plea) -> Result<Evicted, EvictError> {
        let broken = |trouble: Trouble| EvictError::Store { host: plea.host.clone(), source: trouble.into() };
        let store = &*self.parts.store;
        let hosts = look::hosts(store).await.map_err(broken)?;
        let Some(seen) = hosts.get(&plea.host) else { return Err(EvictError::Unknown(plea.host.clone())) };
        if plea.host == self.parts.host {
            return Err(EvictError::Itself(plea.host.clone()));
        }
        let Some(cluster) = look::cluster(store).await.map_err(broken)? else {
            return Err(EvictError::NotNow("the cluster has not been founded"));
        };
        if cluster.value.state == ClusterState::Frozen {
            return Err(EvictError::NotNow("the cluster is frozen"));
        }
        if let Some(eviction) = self.evicted_before(&plea.host, seen).await.map_err(broken)? {
            return Ok(Evicted { eviction, before: true });
        }
        let word = match &plea.force {
            Some(because) => EvictionWord::Force { who: plea.who.clone(), because: because.clone() },
            None => EvictionWord::Operator {
                who: plea.who.clone(),
                said: self.nothing_speaks_against(&plea, &hosts, seen).await?,
            },
        };
        let eviction = self.eviction(word);
        let transaction = raise(&plea.host, seen, eviction.clone(), plea.force.is_some());
        let spelled = words::transaction(&transaction).map_err(|error| broken(error.into()))?;
        let at = Item::Cluster.key();
        let stands = layout::encode(&at, &cluster.value).map_err(|error| broken(error.into()))?;
        let spelled = spelled.holds(at, stands);
        match self.send_spelled(&transaction, spelled).await.map_err(broken)? {
            Sent::Committed { .. } => {
                self.look_soon();
                warn!(host = %plea.host, why = %eviction.word, "evicted a host on an operator's word");
                let incarnation = Incarnation(seen.record.incarnation.0 + 1);
                Ok(Evicted { eviction: Eviction { incarnation, ..eviction }, before: false })
            }
            Sent::Conflict { .. } => Err(EvictError::Changed(plea.host)),
            Sent::Failed | Sent::Unknown => Err(EvictError::NotKnown(plea.host)),
        }
    }

    /// The eviction after which the host has not been heard of, if there was one.
    async fn evicted_before(&self, host: &HostId, seen: &HostSeen) -> Result<Option<Eviction>, Trouble> {
        if seen.alive || seen.witnessed != Some(seen.record.incarnation) {
            return Ok(None);
        }
        // It may have come back since, and taken something.
        let held = self.held_by(host, seen.record.incarnation).await?;
        if !held.is_empty() {
            return Ok(None);
        }
        let entry = self.parts.store.get(&Item::Eviction(host.0.clone()).key()).await?.entry;
        let found = entry.as_ref().map(look::read::<Eviction>).transpose()?;
        Ok(found.map(|At { value, .. }| value))
    }

    /// What was found out, if nothing of it speaks against an eviction.
    async fn nothing_speaks_against(
        &self,
        plea: &Plea,
        hosts: &HostsSeen,
        seen: &HostSeen,
    ) -> Result<String, EvictError> {
        let host = || plea.host.clone();
        if seen.alive {
            return Err(EvictError::Alive(host()));
        }
        let said = match self.ask_provider(hosts, &seen.record.instance).await {
            Ok(state @ (HostState::Off | HostState::Gone)) => format!("the provider says {}", spoken(state)),
            Ok(state @ (HostState::Running | HostState::Suspended | HostState::InTransaction)) => {
                return Err(EvictError::NotDead { host: host(), said: spoken(state) });
            }
            Ok(HostState::Unknown) => stated(plea, spoken(HostState::Unknown).to_owned())?,
            Err(why) => stated(plea, why)?,
        };
        self.nobody_uses_its_addresses(plea, seen).await?;
        Ok(format!("{said}, and nobody answers for its addresses"))
    }

    async fn nobody_uses_its_addresses(&self, plea: &Plea, seen: &HostSeen) -> Result<(), EvictError> {
        let host = || plea.host.clone();
        let broken = |trouble: Trouble| EvictError::Store { host: host(), source: trouble.into() };
        let held = self.held_by(&plea.host, seen.record.incarnation).await.map_err(broken)?;
        let all: BTreeSet<IpAddr> = held.values().flat_map(|(_, addresses)| addresses).copied().collect();
        let out_of_reach = |source: Cause| EvictError::OutOfReach { host: host(), source };
        let here = self.parts.used_here.used(&all).await.map_err(|silent| out_of_reach(silent.into()))?;
        let mut users: Vec<String> =
            here.into_iter().map(|(address, by)| format!("{address} (this host: {by})")).collect();
        for (subnet, (zone, addresses)) in held {
            let zone = ZoneId::new(zone.0);
            let answering = self.parts.probe.occupied(&zone, subnet, addresses.into_iter().collect()).await;
            let answering = answering.map_err(|error| out_of_reach(error.into()))?;
            users.extend(answering.iter().map(|address| format!("{address} (the wire)")));
        }
        if users.is_empty() {
            return Ok(());
        }
        Err(EvictError::Used { host: host(), users: users.join(", ") })
    }

    /// What a host holds, in all zones.
    async fn held_by(&self, host: &HostId, incarnation: Incarnation) -> Result<Held, Trouble> {
        let store = &*self.parts.store;
        let mut held = Held::new();
        for entry in store.range(&Under::Subnets.prefix()).await?.entries {
            let subnet = look::read::<Subnet>(&entry)?.value;
            let mut addresses = BTreeSet::new();
            for entry in store
                .range(&Under::BlocksOf { zone: subnet.zone.0.clone(), subnet: subnet.cidr }.prefix())
                .await?
                .entries
            {
                let block = look::read::<Block>(&entry)?.value;
                let is_its = |held: &ipam::Held| held.by.host == *host && held.by.incarnation == incarnation;
                addresses.extend(block.held().iter().filter(|(_, held)| is_its(held)).map(|(a, _)| *a));
            }
            if !addresses.is_empty() {
                held.insert(subnet.cidr, (subnet.zone, addresses));
            }
        }
        Ok(held)
    }
}

/// Addresses by subnet, and the subnet's zone.
type Held = BTreeMap<IpNetwork, (Zone, BTreeSet<IpAddr>)>;

/// The operator's statement in place of the provider's word.
fn stated(plea: &Plea, said: String) -> Result<String, EvictError> {
    if plea.powered_off {
        return Ok(format!("stated to be powered off (the provider's word: {said})"));
    }
    Err(EvictError::Unwitnessed { host: plea.host.clone(), said })
}
