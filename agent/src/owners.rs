//! Owners: of all agents one at a time brings to each of the provider's load balancers and firewalls what services ask
//! of them.
//!
//! ```text
//!  services/  members/  who lives      what the store has of it      the provider
//!          ╲     │     ╱                           │                      │
//!           what is wanted                   what is known           what is seen
//!                 ╰────────────────────────────────┼──────────────────────╯
//!             services::balancing::next, services::firewalling::next: one step
//!                                     ╱                      ╲
//!                            a change at the provider     a write to the store
//! ```
//!
//! - `balancer`, `firewall` look after one of them: look, decide, do, look again; each with what the store has of it,
//! - `rounds` is what makes them do so, over and over, and rest after failures,
//! - `post` is what they have in common,
//! - `office` says whose the object is, and since when no other's call can still land,
//! - `turn` who tries first,
//! - `members` follows who is in the services that name it,
//! - `book` is what their writes to the store have in common.
//!
//! The decisions are those of the crate `services`. What is safe about it is in docs/decisions, 16 and 17.

pub(crate) mod balancer;
mod book;
mod error;
pub(crate) mod firewall;
mod members;
mod office;
mod post;
mod rounds;
#[cfg(test)]
mod tests;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ipam::{BootId, HostId, InstanceId};
use provider::{Balancers, Firewall, Firewalls};
use services::{Limits, Vigil};
use store::Store;
use store::layout::{self, Item, Under};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::services::{Declared, Stands, follow, living_in};
use crate::tenure::OwnerRecord;
use balancer::BalancerKeeper;
use firewall::FirewallKeeper;

/// What owners are made of.
pub struct Parts<B> {
    /// Where shared state lives.
    pub store: Arc<dyn Store>,
    /// Whose load balancers and firewalls they are.
    pub provider: Arc<B>,
    /// What marks rules as ours, where rules are marked.
    pub cluster: String,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Which hosts are taken for silent.
    pub vigil: watch::Receiver<Vigil>,
    /// What is declared.
    pub declared: watch::Receiver<Option<Declared>>,
    /// This host, this very machine, and this boot of it: the host's record must name all three.
    pub host: HostId,
    /// See there.
    pub instance: InstanceId,
    /// See there.
    pub boot: BootId,
    /// What the provider's load balancers take.
    pub limits: Limits,
    /// How long things take and how often to look.
    pub timing: Timing,
}

/// Named assumptions about time, and how often to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// D: the longest that a call to the provider may take until it has its effect or never will.
    pub call_max: Duration,
    /// How much longer a firewall may take to apply what it accepted.
    pub apply_max: Duration,
    /// How long a change that a load balancer accepted may not be in force, where it does not say so.
    pub unsaid_max: Duration,
    /// L: how long after the store confirmed the role a change may be sent to the provider.
    pub term_confirmed_for: Duration,
    /// How much longer than the host before it a host waits until it takes a load balancer that is nobody's.
    pub turn: Duration,
    /// Between looks when all is well: somebody may have edited it by hand.
    pub idle: Duration,
    /// Between looks at a change that is under way: at first, and at most.
    pub poll: (Duration, Duration),
    /// Between tries after a failure: at first, and at most.
    pub retry: (Duration, Duration),
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            call_max: crate::cloud::CALL_TIME_MAX,
            // "Within two minutes" (ibm-cloud-docs/hardware-firewall-shared), and one more.
            apply_max: Duration::from_secs(180),
            // No source says. An edit of a local load balancer seems to be answered once it is saved there: the texts
            // of its failures are about that.
            unsaid_max: Duration::from_secs(30),
            term_confirmed_for: Duration::from_secs(60),
            turn: Duration::from_secs(1),
            idle: Duration::from_secs(30),
            poll: (Duration::from_millis(500), Duration::from_secs(5)),
            retry: (Duration::from_secs(1), Duration::from_secs(60)),
        }
    }
}

/// Whose each object is, by its name among owners.
type Owners = BTreeMap<String, OwnerRecord>;

/// What every keeper follows, once for all.
#[derive(Clone)]
struct Followed {
    declared: watch::Receiver<Option<Declared>>,
    vigil: watch::Receiver<Vigil>,
    owners: watch::Receiver<Option<Owners>>,
    living: watch::Receiver<Option<BTreeSet<HostId>>>,
}

/// An object of the provider that is looked after.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Object {
    Balancer(String),
    Firewall(Firewall),
}

/// Looks after every load balancer and firewall that is this host's, until `stop`.
pub async fn keep<P: Balancers + Firewalls>(parts: Parts<P>, stop: CancellationToken) {
    let parts = Arc::new(parts);
    let (owners_told, owners) = watch::channel(None);
    let (living_told, living) = watch::channel(None);
    let (balancers_told, mut balancers) = watch::channel(None);
    let (firewalls_told, mut firewalls) = watch::channel(None);
    let mut declared = parts.declared.clone();
    let vigil = parts.vigil.clone();
    let followed = Followed { declared: declared.clone(), vigil, owners, living };
    let store = || Arc::clone(&parts.store);
    let following = async {
        tokio::join!(
            follow(store(), Under::Owners.prefix(), owners_in, owners_told),
            follow(store(), Under::Sessions.prefix(), living_in, living_told),
            follow(store(), Under::Balancers.prefix(), objects_in, balancers_told),
            follow(store(), Under::Firewalls.prefix(), objects_in, firewalls_told),
        )
    };
    let mut keepers = JoinSet::new();
    let mut kept: BTreeSet<Object> = BTreeSet::new();
    let keeping = async {
        loop {
            let mut objects = named(declared.borrow_and_update().as_ref());
            objects.extend(balancers.borrow_and_update().iter().flatten().cloned());
            objects.extend(firewalls.borrow_and_update().iter().flatten().cloned());
            // One that is looked after once is until the end: it costs nothing while nobody names it.
            for object in objects.difference(&kept) {
                let (parts, followed) = (Arc::clone(&parts), followed.clone());
                match object {
                    Object::Balancer(name) => {
                        keepers.spawn(rounds::run(BalancerKeeper::new(name, parts, followed), stop.clone()))
                    }
                    Object::Firewall(firewall) => {
                        let keeper = FirewallKeeper::new(firewall.clone(), parts, followed);
                        keepers.spawn(rounds::run(keeper, stop.clone()))
                    }
                };
            }
            kept.extend(objects);
            tokio::select! {
                Ok(()) = declared.changed() => {}
                Ok(()) = balancers.changed() => {}
                Ok(()) = firewalls.changed() => {}
                // Whoever is followed is gone.
                else => return,
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        _ = following => {}
        () = keeping => {}
    }
    // Each ends the call that it has under way, and says that none follows.
    while keepers.join_next().await.is_some() {}
}

/// What services name.
fn named(declared: Option<&Declared>) -> BTreeSet<Object> {
    let services = || declared.into_iter().flatten().map(|(_, service)| service);
    let balancers = services().filter_map(|service| service.load_balancer.as_ref());
    let balancers = balancers.map(|it| Object::Balancer(balancer::key_of(&it.name)));
    balancers.chain(services().flat_map(firewall::names).map(Object::Firewall)).collect()
}

/// What services named once, and of which something may be left.
fn objects_in(stands: &Stands) -> BTreeSet<Object> {
    let object = |key| match Item::of(key)? {
        Item::Balancer(name) => Some(Object::Balancer(name)),
        Item::Firewall(name) => Some(Object::Firewall(Firewall::of_key(&name)?)),
        _ => None,
    };
    stands.keys().filter_map(object).collect()
}

fn owners_in(stands: &Stands) -> Owners {
    let mut owners = Owners::new();
    for (key, value) in stands {
        let Some(Item::Owner(object)) = Item::of(key) else { continue };
        // One of another version is somebody's, and is asked for again by whoever wants it.
        if let Ok(record) = layout::decode::<OwnerRecord>(key, value) {
            owners.insert(object, record);
        }
    }
    owners
}
