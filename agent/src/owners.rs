//! Owners: of all agents one at a time brings to the provider's load balancers what services ask of them.
//!
//! ```text
//!  services/  members/  who lives        balancers/  balanced/         the provider
//!          ╲     │     ╱                        │   ╱                       │
//!           what is wanted                what is known                what is seen
//!                 ╰──────────────────────────────┼──────────────────────────╯
//!                                   services::next: one step
//!                                   ╱                      ╲
//!                          a change at the provider     a write to the store
//! ```
//!
//! - `keeper` looks after one load balancer: look, decide, do, look again,
//! - `office` says whose it is, and since when no other's call can still land,
//! - `turn` who tries first,
//! - `members` follows who is in the services behind it,
//! - `book` reads and writes what the store has of it.
//!
//! The decisions are those of the crate `services`. What is safe about it is in docs/decisions, 16.

mod book;
mod error;
mod keeper;
mod members;
mod office;
#[cfg(test)]
mod tests;
mod turn;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ipam::{BootId, HostId, InstanceId};
use provider::Balancers;
use services::{Limits, Vigil};
use store::Store;
use store::layout::{self, Item, Under};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::services::{Declared, Stands, follow, living_in};
use crate::tenure::OwnerRecord;
use book::OBJECT;
pub(crate) use book::{BalancerRecord, key_of, known, owner, record};
use keeper::Keeper;

/// What owners are made of.
pub struct Parts<B> {
    /// Where shared state lives.
    pub store: Arc<dyn Store>,
    /// Whose load balancers they are.
    pub provider: Arc<B>,
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
            term_confirmed_for: Duration::from_secs(60),
            turn: Duration::from_secs(1),
            idle: Duration::from_secs(30),
            poll: (Duration::from_millis(500), Duration::from_secs(5)),
            retry: (Duration::from_secs(1), Duration::from_secs(60)),
        }
    }
}

/// Whose each load balancer is.
type Owners = BTreeMap<String, OwnerRecord>;

/// What every keeper follows, once for all.
#[derive(Clone)]
struct Followed {
    declared: watch::Receiver<Option<Declared>>,
    vigil: watch::Receiver<Vigil>,
    owners: watch::Receiver<Option<Owners>>,
    living: watch::Receiver<Option<BTreeSet<HostId>>>,
}

/// Looks after every load balancer that is this host's, until `stop`.
pub async fn keep<B: Balancers>(parts: Parts<B>, stop: CancellationToken) {
    let parts = Arc::new(parts);
    let (owners_told, owners) = watch::channel(None);
    let (living_told, living) = watch::channel(None);
    let (known_told, mut known) = watch::channel(None);
    let (declared, vigil) = (parts.declared.clone(), parts.vigil.clone());
    let followed = Followed { declared: declared.clone(), vigil, owners, living };
    let store = || Arc::clone(&parts.store);
    let following = async {
        tokio::join!(
            follow(store(), Under::Owners.prefix(), owners_in, owners_told),
            follow(store(), Under::Sessions.prefix(), living_in, living_told),
            follow(store(), Under::Balancers.prefix(), balancers_in, known_told),
        )
    };
    let mut keepers = JoinSet::new();
    let mut kept: BTreeSet<String> = BTreeSet::new();
    let mut declared = declared;
    let keeping = async {
        loop {
            let names = {
                let (declared, known) = (declared.borrow_and_update(), known.borrow_and_update());
                named(declared.as_ref(), known.as_ref())
            };
            // One that is looked after once is until the end: it costs nothing while nobody names it.
            for name in names.difference(&kept) {
                let keeper = Keeper::new(name, Arc::clone(&parts), followed.clone());
                keepers.spawn(keeper.run(stop.clone()));
            }
            kept.extend(names);
            tokio::select! {
                Ok(()) = declared.changed() => {}
                Ok(()) = known.changed() => {}
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

/// The load balancers that a service is behind, or was.
fn named(declared: Option<&Declared>, known: Option<&BTreeSet<String>>) -> BTreeSet<String> {
    let behind = declared.into_iter().flatten().filter_map(|(_, service)| service.load_balancer.as_ref());
    behind.map(|it| key_of(&it.name)).chain(known.into_iter().flatten().cloned()).collect()
}

fn balancers_in(stands: &Stands) -> BTreeSet<String> {
    let name = |key| match Item::of(key) {
        Some(Item::Balancer(name)) => Some(name),
        _ => None,
    };
    stands.keys().filter_map(name).collect()
}

fn owners_in(stands: &Stands) -> Owners {
    let mut owners = Owners::new();
    for (key, value) in stands {
        let Some(Item::Owner(object)) = Item::of(key) else { continue };
        let Some(name) = object.strip_prefix(OBJECT) else { continue };
        // One of another version is somebody's, and is asked for again by whoever wants it.
        if let Ok(record) = layout::decode::<OwnerRecord>(key, value) {
            owners.insert(name.to_owned(), record);
        }
    }
    owners
}
