//! A host: what it holds, what it may assign, and what it is waiting for.
//!
//! One function, [`Host::step`], takes everything that happens and says what is to be done. It is
//! total: no input is a mistake it cannot bear. Decisions are level-triggered: each input changes
//! what is known, and then [`Host::step`] looks at what is known and starts what is missing. So a
//! lost outcome, a restart or a late event leaves nothing to repair.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::cluster::{ClusterState, HostRecord};
use crate::epoch::Epoch;
use crate::names::{
    self, BlockId, BootId, EndpointId, Holder, HostId, Incarnation, PoolName, RequestId, ReservationName,
    Revision, Timestamp, Token, Zone,
};
use crate::pool::{Pool, Reservation, Subnet};
use crate::refusal::{Capacity, NotReady, Refusal};
use crate::transaction::{Compare, Key, Prefix, Transaction, Value};

mod asking;
mod blocks;
mod demand;
mod giving;
mod hints;
mod holding;
mod input;
mod journal;
mod known;
mod lookups;
mod operation;
mod publish;
mod requests;
mod reserve;
mod standing;
mod view;
mod waiting;

use asking::Asked;
use blocks::BlockFacts;
use demand::Demand;
use giving::Wanted;
use hints::Hints;
use holding::HeldHere;
pub use input::{
    Answer, Assignment, Durability, Effect, Explanation, Family, Identity, Input, Persisted, Released, Wish,
};
use journal::{AfterPersist, RecordKey};
use publish::PublishedFacts;
use standing::{ClusterFacts, Standing};
use waiting::Waiting;

/// How long a request may wait for the store or for other hosts, in milliseconds. Docker itself
/// waits for ever, but gives up connecting after 15 s: an answer must come before.
pub const REQUEST_PATIENCE_MILLIS: u64 = 10_000;

/// How long to wait before trying again where the store or the disk did not answer, in milliseconds.
const RETRY_MILLIS: u64 = 1_000;

/// What one host knows and does.
///
/// The shell's loop: [`Host::recover`] from the journal; feed [`Input::Listed`] for every prefix of
/// [`Host::watches`], then [`Input::Seen`] as events arrive; feed requests; carry out effects in
/// order and feed their outcomes; feed [`Input::Tick`] at [`Host::next_deadline`].
///
/// Addresses are unique among the subnets of one host, as they are at the provider.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    identity: Identity,
    /// The time of the last input.
    now: Timestamp,
    standing: Standing,
    /// The boots that the journal knows to be this host's.
    known_boots: BTreeSet<BootId>,
    /// The newest incarnation that the journal knows to be this host's.
    incarnation: Option<Incarnation>,
    cluster: ClusterFacts,
    /// Whether the journal tells all that containers of this host use.
    accounted: bool,

    pools: BTreeMap<PoolName, Pool>,
    subnets: BTreeMap<IpNetwork, Subnet>,
    reservations: BTreeMap<ReservationName, Reservation>,
    capacity: BTreeMap<PoolName, Capacity>,
    hosts: BTreeMap<HostId, (HostRecord, Revision)>,
    /// The prefixes listed since this agent started.
    listed: BTreeSet<Prefix>,

    blocks: BTreeMap<BlockId, BlockFacts>,
    /// The soonest that a block, or what is published of one, is due. Only looking round makes one due later, and
    /// only a time that has come makes it due no more: so thousands of blocks are not walked after every step.
    block_due: Option<Timestamp>,
    held: BTreeMap<IpAddr, HeldHere>,
    /// Free and unreserved addresses by subnet, longest free first. Only usable ones.
    queue: BTreeMap<IpNetwork, BTreeMap<u64, IpAddr>>,
    /// The timers of cooling addresses, soonest first.
    cooling: BTreeSet<(Timestamp, IpAddr)>,
    /// Addresses on their way back, or to another host.
    leaving: BTreeSet<IpAddr>,
    endpoints: BTreeMap<EndpointId, BTreeSet<IpAddr>>,
    demand: BTreeMap<Family, BTreeMap<PoolName, Demand>>,
    published: BTreeMap<BlockId, PublishedFacts>,
    /// Held addresses that services may know, in use or cooling.
    published_here: BTreeSet<IpAddr>,

    /// Requests that wait, oldest first: the shell's request numbers grow.
    waiting: BTreeMap<RequestId, Waiting>,
    asked: BTreeMap<(Zone, HostId), Asked>,
    ask_due: Option<Timestamp>,
    /// How many addresses were ever adopted from blocks.
    adopted: u64,
    /// What others want of this host.
    wants: BTreeMap<(Zone, HostId), Wanted>,
    hints: Hints,
    /// Addresses lost while in use, until they have fallen silent.
    revoked: BTreeMap<IpAddr, Epoch>,

    counter: u64,
    turn: u64,
    token: u64,
    after_persist: BTreeMap<Token, (AfterPersist, Vec<RecordKey>)>,
    after_send: BTreeMap<Token, AfterSend>,
    after_read: BTreeSet<Token>,
    /// What the journal may know wrongly, because a write failed.
    uncertain: BTreeSet<RecordKey>,
    flush_due: Option<Timestamp>,
    /// Collected during a step; empty between steps.
    effects: Vec<Effect>,
    /// Blocks that this step changed something about; empty between steps.
    stirred: BTreeSet<BlockId>,
    /// The subnets that this step assigned addresses of, or saw something new of; empty between steps.
    drawn: BTreeSet<IpNetwork>,
}

/// How far a step looks round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// At everything that is known.
    All,
    /// At what the input itself changed. A host with many blocks is asked for addresses, and is shown
    /// others' takes, thousands of times between two looks at all.
    Stirred,
}

/// What waits for a transaction's outcome.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum AfterSend {
    Register,
    Freeze,
    Operation(BlockId),
    Published(BlockId),
    /// Whether nothing in the cloud names the address any more.
    Dependents(IpAddr, Epoch),
    /// Wants withdrawn: what became of them shows by itself.
    Hint,
    /// How much this host could give.
    Surplus,
    /// What was asked of these holders.
    Wants(BTreeSet<HostId>),
    /// The removal of a want that cannot be served, as it stood at this revision.
    Decline(Key, Revision),
}

impl Host {
    /// Takes one input and says what is to be done.
    ///
    /// `now` never falls; where it does, the time of the last input counts.
    pub fn step(&mut self, now: Timestamp, input: Input) -> Vec<Effect> {
        self.step_all(now, [input])
    }

    /// Takes inputs that came in the same moment, and says what is to be done with all of them known: so a burst of
    /// requests is one take, and not one for the first and another for the rest.
    pub fn step_all(&mut self, now: Timestamp, inputs: impl IntoIterator<Item = Input>) -> Vec<Effect> {
        self.now = self.now.max(now);
        self.expire();
        // A time that has come is looked at whole, whatever comes with it: a request that came in just that moment
        // must not be all that is looked at.
        let come = self.next_deadline().is_some_and(|due| due <= self.now);
        let mut scope = if come { Scope::All } else { Scope::Stirred };
        for input in inputs {
            if self.scope_of(&input) == Scope::All {
                scope = Scope::All;
            }
            self.hear(input);
        }
        self.look(scope);
        std::mem::take(&mut self.effects)
    }

    fn hear(&mut self, input: Input) {
        match input {
            Input::Tick => (),
            Input::Assign { request, pool, wish, endpoint } => self.assign(request, pool, wish, endpoint),
            Input::Explain { request, pool, wish } => self.explain(request, &pool, &wish),
            Input::Bind { request, address, endpoint } => self.bind(request, address, endpoint),
            Input::EndpointGone { request, endpoint } => self.endpoint_gone(request, &endpoint),
            Input::Release { request, address } => self.release(request, address),
            Input::Reap { request, address, epoch } => self.reap(request, address, epoch),
            Input::Claim { request, address, endpoint } => self.claim(request, address, endpoint),
            Input::Reserve { request, name, pool, address } => self.reserve(request, name, pool, address),
            Input::Unreserve { request, name } => self.unreserve(request, name),
            Input::Publish { request, address, epoch } => self.publish(request, address, epoch),
            Input::Uncool { request, address, epoch } => self.uncool(request, address, epoch),
            Input::Silenced { address } => {
                self.revoked.remove(&address);
            }
            Input::Capacity { pool, capacity } => {
                self.capacity.insert(pool, capacity);
            }
            Input::Accounted => self.accounted = true,
            Input::Listed { prefix, revision, entries } => self.listed(prefix, revision, entries),
            Input::Seen(events) => self.seen(events),
            Input::Persisted { token, outcome } => self.persisted(token, outcome),
            Input::Sent { token, outcome } => self.sent(token, outcome),
            Input::Read { token, found } => {
                if self.after_read.remove(&token) {
                    self.read_found(found.unwrap_or_default());
                }
            }
        }
    }

    /// Starts whatever is missing, given what is known.
    fn look(&mut self, scope: Scope) {
        let stirred = match scope {
            Scope::All => {
                self.look_at_standing();
                self.blocks.keys().copied().collect()
            }
            Scope::Stirred => std::mem::take(&mut self.stirred),
        };
        let mut any_stirred = scope == Scope::All || !stirred.is_empty();
        self.look_at_blocks(stirred.iter().copied());
        match scope {
            Scope::All => self.look_at_published(self.published.keys().copied().collect()),
            Scope::Stirred => self.look_at_published(stirred),
        }
        self.look_at_wants();
        self.look_at_waiting();
        self.look_at_demand(scope);
        self.look_at_asks();
        self.look_at_journal();
        // What was stirred by looking: addresses that go back, for instance.
        while !self.stirred.is_empty() {
            let stirred = std::mem::take(&mut self.stirred);
            self.look_at_blocks(stirred.into_iter());
            any_stirred = true;
        }
        self.look_at_hints(any_stirred);
        self.drawn.clear();
        if scope == Scope::All || self.block_due.is_some_and(|due| due <= self.now) {
            self.block_due = self.soonest_due();
        }
    }

    /// How far to look round after an input. What the narrow scope leaves out is what these inputs cannot
    /// change: who this host is, whether the store was read, and what time alone brings, for which a
    /// [`Input::Tick`] is due.
    fn scope_of(&self, input: &Input) -> Scope {
        let others = |seen: &crate::transaction::Seen| {
            matches!(seen.key, Key::Surplus { .. } | Key::Want { .. })
                || matches!(seen.key, Key::Block { .. }) && seen.value.is_some()
        };
        let narrow = match input {
            Input::Assign { .. }
            | Input::Explain { .. }
            | Input::Bind { .. }
            | Input::EndpointGone { .. }
            | Input::Release { .. }
            | Input::Reap { .. } => true,
            Input::Seen(events) => events.iter().all(others),
            Input::Persisted { token, outcome } => {
                *outcome == Persisted::Done
                    && self.after_persist.get(token).is_some_and(|(after, _)| after.concerns_addresses())
            }
            _ => false,
        };
        if narrow { Scope::Stirred } else { Scope::All }
    }

    /// The time at which [`Input::Tick`] is due, if nothing else happens before.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let cooled = self.cooling.first().map(|(until, _)| *until);
        let patience = self.waiting.values().map(|w| w.since().after(REQUEST_PATIENCE_MILLIS)).min();
        let wants = self.wants.values().filter_map(Wanted::due);
        let idle = self.demand.values().flat_map(BTreeMap::values).filter_map(Demand::due);
        let dues = [
            cooled,
            patience,
            self.block_due,
            self.hints.due,
            self.flush_due,
            self.ask_due,
            self.standing.due(),
        ];
        dues.into_iter().flatten().chain(wants).chain(idle).min()
    }

    /// The prefixes to list and watch, each from the revision of its listing. There may be more once the hosts are
    /// listed, or this one has registered. Those that grow with the cluster change with its hosts, pools and subnets
    /// alone, not with what containers do.
    pub fn watches(&self) -> Vec<Prefix> {
        let host = &self.identity.host;
        // What the journal shows as held in a zone that this host has left goes back there.
        let held = self.blocks.values().map(|facts| &facts.zone);
        // The record knows also what a journal that was put back does not.
        let left = self.hosts.get(host).into_iter().flat_map(|(own, _)| &own.left);
        let blocks: BTreeSet<&Zone> = self.identity.zones.iter().chain(held).chain(left).collect();
        let zones = self.identity.zones.iter().flat_map(|zone| {
            [Prefix::Surplus(zone.clone()), Prefix::Wants { zone: zone.clone(), holder: host.clone() }]
        });
        [
            Prefix::Cluster,
            Prefix::Hosts,
            Prefix::Pools,
            Prefix::Subnets,
            Prefix::Reservations,
            Prefix::Published(host.clone()),
        ]
        .into_iter()
        .chain(blocks.into_iter().cloned().map(Prefix::Blocks))
        .chain(zones)
        .collect()
    }

    /// The address that a name keeps, as the store showed it last.
    pub fn reserved_as(&self, name: &ReservationName) -> Option<IpAddr> {
        self.reservations.get(name).map(|reservation| reservation.address)
    }

    /// Whether addresses were taken from this host while in use, and have not fallen silent yet.
    pub fn has_revoked(&self) -> bool {
        !self.revoked.is_empty()
    }

    /// This host in its registered incarnation; `None` until this boot is registered.
    fn me(&self) -> Option<Holder> {
        match self.standing {
            Standing::Registered { incarnation, .. } => {
                Some(Holder { host: self.identity.host.clone(), incarnation })
            }
            _ => None,
        }
    }

    /// What every transaction that gains, loses or publishes addresses compares, or why there can be
    /// none now.
    fn footing(&self) -> Result<Vec<Compare>, NotReady> {
        if let Some(not_ready) = self.not_ready() {
            return Err(not_ready);
        }
        match (&self.standing, self.same_life_compare()) {
            (Standing::Registered { revision, .. }, Some(same_life)) => Ok(vec![
                same_life,
                Compare::At { key: Key::Host(self.identity.host.clone()), revision: *revision },
            ]),
            _ => Err(NotReady::BootNotRegistered),
        }
    }

    /// What a transaction compares to land in this life of the cluster alone, and not while it is frozen.
    fn same_life_compare(&self) -> Option<Compare> {
        let (cluster, _) = self.cluster.seen.clone()?;
        Some(Compare::Holds { key: Key::Cluster, value: Value::Cluster(cluster) })
    }

    /// Why this host may gain or lose nothing now.
    fn not_ready(&self) -> Option<NotReady> {
        if let Some(why) = &self.cluster.frozen_why {
            return Some(NotReady::Frozen { why: Some(why.clone()) });
        }
        match &self.cluster.seen {
            None if self.listed.contains(&Prefix::Cluster) => return Some(NotReady::NoCluster),
            None => return Some(NotReady::StoreNotRead),
            Some((cluster, _)) if cluster.state == ClusterState::Frozen => {
                return Some(NotReady::Frozen { why: None });
            }
            Some(_) => (),
        }
        match &self.standing {
            Standing::Registered { .. } => None,
            Standing::Unregistered { .. } | Standing::Registering { .. } => Some(NotReady::BootNotRegistered),
            Standing::OtherInstance { recorded } => Some(NotReady::OtherInstance {
                here: self.identity.instance.clone(),
                recorded: recorded.clone(),
            }),
            Standing::Superseded { by } => Some(NotReady::Superseded { by: by.clone() }),
        }
    }

    fn send(&mut self, transaction: Transaction, after: AfterSend) {
        let token = self.next_token();
        self.after_send.insert(token, after);
        self.effects.push(Effect::Send { token, transaction });
    }

    fn read(&mut self, keys: Vec<Key>) {
        let token = self.next_token();
        self.after_read.insert(token);
        self.effects.push(Effect::Read { token, keys });
    }

    fn sent(&mut self, token: Token, outcome: crate::transaction::Sent) {
        match self.after_send.remove(&token) {
            Some(AfterSend::Register) => self.register_sent(outcome),
            Some(AfterSend::Freeze) => self.freeze_sent(outcome),
            Some(AfterSend::Operation(id)) => self.operation_sent(id, outcome),
            Some(AfterSend::Published(id)) => self.published_sent(id, outcome),
            Some(AfterSend::Dependents(address, epoch)) => self.dependents_sent(address, epoch, outcome),
            Some(AfterSend::Wants(holders)) => self.wants_sent(&holders, outcome),
            Some(AfterSend::Decline(key, revision)) => self.decline_sent(key, revision, outcome),
            Some(AfterSend::Surplus) => self.surplus_sent(outcome),
            Some(AfterSend::Hint) => {
                if let crate::transaction::Sent::Conflict { now } = outcome {
                    self.seen(now);
                }
            }
            // An outcome nobody waits for, or a second one: nothing follows from it.
            None => (),
        }
    }

    fn answer(&mut self, request: RequestId, result: Result<Answer, Refusal>) {
        self.effects.push(Effect::Answer { request, result });
    }

    fn next_token(&mut self) -> Token {
        self.token += 1;
        Token(self.token)
    }

    /// A number that looks random and is the same in every run: spreads hosts over blocks, and
    /// retries over time.
    fn scatter(&self, salt: &str) -> u64 {
        self.scattered(salt.bytes())
    }

    /// The same for a block: all blocks of a zone are compared by it each time one is looked for to take from.
    fn scatter_block(&self, id: BlockId) -> u64 {
        let first = names::number_of(id.subnet.ip()).to_le_bytes();
        self.scattered(first.into_iter().chain(id.index.to_le_bytes()))
    }

    fn scattered(&self, salt: impl Iterator<Item = u8>) -> u64 {
        // FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/).
        let bytes = self.identity.host.0.bytes().chain([0]).chain(salt);
        bytes
            .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    }
}
