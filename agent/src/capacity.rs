//! Keeps the pools of one zone between their watermarks: adopts, orders, opens and returns subnets.
//!
//! One agent of a zone has this role at a time (an owner record with a term in the store). It looks, decides, acts,
//! and looks again; nothing is remembered that the store does not say, but for what is only about waiting.
//!
//! - `look` reads store and cloud into a `View`,
//! - `decide` is the pure decision: which `Action`s a view calls for,
//! - `act` carries them out, each written down before it reaches the cloud,
//! - `rest` says how long nothing is tried again after a failure,
//! - `settle` takes an operator's word where nobody else can know,
//! - `term` says who has the role,
//! - `anew` opens the zone's subnets anew where the store was lost,
//! - `eviction` evicts hosts that the provider witnesses to be dead, and `evict` those an operator names,
//! - `quarantine` ends quarantines,
//! - `policy` says whose configuration a pool goes by, and `exclude` brings open subnets in line with it,
//! - `surprise` names what the cloud shows otherwise than the store,
//! - `wants` sweeps up what the dead asked and were asked.
//!
//! At most one subnet is ever ordered for one shortage. The intent is in the store before the order goes out; an
//! intent that is found without an answer is looked for at the provider, never sent again; what cannot be settled is
//! for the operator (`berth order settle`).

mod act;
mod anew;
mod decide;
mod evict;
mod eviction;
mod exclude;
mod look;
mod members;
mod open;
mod policy;
mod quarantine;
mod record;
mod rest;
mod role;
mod settle;
mod status;
mod surprise;
mod term;
#[cfg(test)]
mod tests;
mod trouble;
mod view;
mod wants;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
    time::Duration,
};

use futures::future::BoxFuture;
use ipam::{BootId, HostId, InstanceId, PoolName};
use ipnetwork::IpNetwork;
use provider::{ClusterTags, Network, Provider, ZoneId};
use serde::{Deserialize, Serialize};
use store::Store;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::roll::Roll;
pub use crate::tenure::{OwnerRecord, Writer};

pub use anew::{AnewError, SubnetAnew, ZoneAnew};
pub use evict::{EvictError, Evicted, Plea};
pub use eviction::SilentHost;
pub use policy::{Difference, PolicyRecord};
pub use quarantine::QuarantineLine;
pub use record::{OrderKey, OrderRecord};
pub use role::Role;
pub use settle::{SettleError, Settlement};
pub use status::{CapacityStatus, OrderLine, ProviderTrouble};
pub use surprise::{Surprise, surprises};
pub use trouble::WAIT_FOR_PERSON;

/// The hosts of the cluster, as one look at the store shows them.
pub(crate) async fn hosts_seen(store: &dyn Store) -> Result<ipam::role::HostsSeen, provider::Cause> {
    look::hosts(store).await.map_err(Into::into)
}

/// What the role is made of.
pub struct Parts<P> {
    /// How this cluster knows its subnets at the provider.
    pub tags: ClusterTags,
    /// This host.
    pub host: HostId,
    /// This very machine, and this boot of it: the host's record must name both.
    pub instance: InstanceId,
    /// See there.
    pub boot: BootId,
    /// Where the hosts of the cluster are noted.
    pub roll: Arc<Roll>,
    /// The zone that is cared for.
    pub zone: ZoneId,
    /// Its address space: pools of the other kind get nothing here.
    pub network: Network,
    /// The pools, in the order of the configuration.
    pub pools: Vec<PoolPolicy>,
    /// Where shared state lives.
    pub store: Arc<dyn Store>,
    /// The cloud.
    pub provider: Arc<P>,
    /// Finds addresses that somebody uses already.
    pub probe: Arc<dyn Probe>,
    /// Finds those that this very host uses: it does not answer its own probe.
    pub used_here: Arc<dyn UsedHere>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// How long things take and how often to look.
    pub timing: Timing,
}

/// What the operator decided for a pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolPolicy {
    /// Its name.
    pub name: PoolName,
    /// The provider's network that its subnets are on.
    pub network: Network,
    /// Prefix length of the subnets that are ordered, 24 to 30.
    pub prefix: u8,
    /// The spending limit: subnets of this pool in the zone, ordered and adopted ones together. 0 orders none.
    pub subnets_max: u32,
    /// A subnet is ordered when fewer addresses than this are free.
    pub free_min: u32,
    /// Addresses that are never handed out.
    pub exclude: Vec<IpNetwork>,
    /// How long an address rests after its release, in milliseconds.
    pub cooling_millis: u64,
}

/// Named assumptions about time, and how often to look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// D: the longest that a call to the provider may take until it has its effect or never will.
    pub call_max: Duration,
    /// R: how far behind the truth an answer of the provider may be.
    pub staleness_max: Duration,
    /// L: how long after the store confirmed the role a change may be sent to the provider.
    pub term_confirmed_for: Duration,
    /// Between the two questions to the provider whether a silent host is dead.
    pub witness_pause: Duration,
    /// How long an address rests in quarantine before anybody is asked whether it may be used again.
    pub quarantine: Duration,
    /// Between the two looks that must agree before anything is ordered or returned. Longer than hosts take to say
    /// how many free addresses they hold.
    pub second_look: Duration,
    /// Between looks at an order on its way.
    pub order_poll: Duration,
    /// Between looks when all is well.
    pub idle: Duration,
    /// How long a subnet that was ordered must be unused, and not needed, before it is returned.
    pub unused_max: Duration,
    /// Between tries after a first failure; doubled for each further one, up to `retry_max`.
    pub retry_first: Duration,
    /// The longest between tries. A minute costs the provider little, and whoever mended something waits no longer.
    pub retry_max: Duration,
    /// The longest between tries where it was not the provider that failed.
    pub near_retry_max: Duration,
    /// Between tries while requests are refused that an order could serve, unless the provider asked for more.
    pub demand_pause: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            call_max: crate::cloud::CALL_TIME_MAX,
            staleness_max: STALENESS_DEFAULT,
            term_confirmed_for: Duration::from_secs(60),
            witness_pause: witness_pause(STALENESS_DEFAULT),
            quarantine: QUARANTINE_DEFAULT,
            second_look: Duration::from_secs(3),
            order_poll: Duration::from_secs(3),
            idle: Duration::from_secs(30),
            unused_max: Duration::from_secs(24 * 3600),
            retry_first: Duration::from_secs(2),
            retry_max: Duration::from_secs(60),
            near_retry_max: Duration::from_secs(10),
            demand_pause: Duration::from_secs(5),
        }
    }
}

/// How long an address rests in quarantine, unless the operator says otherwise.
///
/// Longer than a host that was evicted by mistake may be cut off, or stand still in a live migration, in the
/// everyday course of things, so that it is back and found in use; short enough that a small pool does not
/// stay without the addresses of a dead host for long. What neighbours remember does not count: an address is
/// announced to its gateway whenever it arrives somewhere.
pub const QUARANTINE_DEFAULT: Duration = Duration::from_secs(600);

/// R unless the operator says otherwise: SoftLayer's lists were seen to lag by some seconds, and a minute costs a
/// dead host's addresses little.
pub const STALENESS_DEFAULT: Duration = Duration::from_secs(60);

/// Between the two questions about a silent host: they are to be two answers of the provider, and the first was
/// not asked before R.
pub fn witness_pause(staleness: Duration) -> Duration {
    staleness / 4
}

/// Finds out, on the wire, which addresses somebody uses already.
pub trait Probe: Send + Sync + 'static {
    /// Those of `candidates`, addresses of `subnet`, that are answered for in `zone`.
    fn occupied<'a>(
        &'a self,
        zone: &'a ZoneId,
        subnet: IpNetwork,
        candidates: Vec<IpAddr>,
    ) -> BoxFuture<'a, Result<BTreeSet<IpAddr>, ProbeError>>;
}

/// Finds out which addresses this very host still uses, whoever holds them by the book.
pub trait UsedHere: Send + Sync + 'static {
    /// Those of `candidates` that the kernel, Docker or the journals of this host show, and who shows each.
    fn used<'a>(
        &'a self,
        candidates: &'a BTreeSet<IpAddr>,
    ) -> BoxFuture<'a, Result<BTreeMap<IpAddr, String>, SilentHere>>;
}

/// Somebody on this host did not say what it uses.
#[derive(Debug, thiserror::Error)]
#[error("it is not known what this host uses: {who} does not answer")]
pub struct SilentHere {
    /// Who.
    pub who: &'static str,
    /// Why not.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Why nothing could be asked on the wire.
#[derive(Debug, thiserror::Error)]
#[error("cannot probe for occupied addresses of {subnet}")]
pub struct ProbeError {
    /// The subnet.
    pub subnet: IpNetwork,
    /// Why not.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// The handle of a running role. Clones are of the same one.
#[derive(Debug, Clone)]
pub struct Capacity {
    words: mpsc::Sender<Word>,
    status: watch::Receiver<CapacityStatus>,
}

/// What a handle tells the task.
#[derive(Debug)]
enum Word {
    Nudge,
    Demand,
    Settle { order: OrderKey, settlement: Settlement, answer: oneshot::Sender<Result<(), SettleError>> },
    Evict { plea: Plea, answer: oneshot::Sender<Result<Evicted, EvictError>> },
    Anew { pools: BTreeMap<IpNetwork, PoolName>, answer: oneshot::Sender<Result<ZoneAnew, AnewError>> },
}

/// Room for a few words of an operator; nudges that do not fit are not needed, and demands come again.
const WORDS_MAX: usize = 8;

/// Starts the role's task. It finishes the step it is at when `stop` is cancelled.
pub fn start<P: Provider>(parts: Parts<P>, stop: CancellationToken) -> Capacity {
    let (words, incoming) = mpsc::channel(WORDS_MAX);
    let clock = parts.clock.clone();
    let (told, status) = watch::channel(CapacityStatus::new(&parts.zone));
    let role = Role::new(parts, told);
    tokio::spawn(run(role, clock, incoming, stop));
    Capacity { words, status }
}

impl Capacity {
    /// What the role does and what keeps it from doing more. Changes are announced.
    pub fn status(&self) -> watch::Receiver<CapacityStatus> {
        self.status.clone()
    }

    /// Look soon: addresses became few, or the operator mended something.
    pub fn nudge(&self) {
        // A full queue means that it will look anyway.
        let _ = self.words.try_send(Word::Nudge);
    }

    /// Somebody was refused what an order could serve: what failed is tried again within seconds.
    pub fn demand(&self) {
        let _ = self.words.try_send(Word::Demand);
    }

    /// Takes the operator's word on an order.
    ///
    /// # Errors
    /// When there is no such order, its state does not allow it, or it could not be written down.
    pub async fn settle(&self, order: OrderKey, settlement: Settlement) -> Result<(), SettleError> {
        let (answer, answered) = oneshot::channel();
        let word = Word::Settle { order, settlement, answer };
        self.words.send(word).await.map_err(|_| SettleError::Stopped)?;
        answered.await.map_err(|_| SettleError::Stopped)?
    }

    /// Evicts a host on an operator's word.
    ///
    /// # Errors
    /// When something speaks against it, or it could not be written down.
    pub async fn evict(&self, plea: Plea) -> Result<Evicted, EvictError> {
        let (answer, answered) = oneshot::channel();
        self.words.send(Word::Evict { plea, answer }).await.map_err(|_| EvictError::Stopped)?;
        answered.await.map_err(|_| EvictError::Stopped)?
    }

    /// What the zone has in a store that is made anew. `pools` are those of the subnets that this host knows there.
    ///
    /// # Errors
    /// The provider did not say all there is to know.
    pub async fn zone_anew(&self, pools: BTreeMap<IpNetwork, PoolName>) -> Result<ZoneAnew, AnewError> {
        let stopped =
            || AnewError { zone: self.status.borrow().zone.clone(), source: "the agent is stopping".into() };
        let (answer, answered) = oneshot::channel();
        self.words.send(Word::Anew { pools, answer }).await.map_err(|_| stopped())?;
        answered.await.map_err(|_| stopped())?
    }
}

async fn run<P: Provider>(
    mut role: Role<P>,
    clock: Arc<dyn Clock>,
    mut words: mpsc::Receiver<Word>,
    stop: CancellationToken,
) {
    loop {
        let pause = role.pass().await;
        // Agents that started together do not stay together; never sooner than was asked for.
        let pause = pause.mul_f64(rand::random_range(1.0..1.25));
        let next = clock.now().after(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX));
        // Each arm finishes before the next is chosen, so a stop never cuts a pass in half.
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            word = words.recv() => match word {
                Some(Word::Nudge) => (),
                Some(Word::Demand) => role.demanded(),
                Some(Word::Settle { order, settlement, answer }) => {
                    // An operator who went away does not need the answer.
                    let _ = answer.send(role.settle(order, settlement).await);
                }
                Some(Word::Evict { plea, answer }) => {
                    let _ = answer.send(role.evict(plea).await);
                }
                Some(Word::Anew { pools, answer }) => {
                    let _ = answer.send(role.zone_anew(&pools).await);
                }
                // Every handle is gone; the role goes on until it is stopped.
                None => tokio::select! {
                    () = stop.cancelled() => return,
                    () = clock.sleep_until(next) => (),
                },
            },
            () = clock.sleep_until(next) => (),
        }
    }
}
