//! The cloud while it runs: its clock, its past, its faults and a log of the calls.
//!
//! [`LiveCloud`] is the one handle that the API, the control endpoint, the fabric and tests share.

mod by_hand;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::clock::Clock;
use crate::cloud::balancer::Measured;
use crate::cloud::machine::PowerState;
use crate::cloud::spec::{CloudSpec, Delays, FabricSpec, Limits, MachineSpec, SpecError};
use crate::cloud::topology::Topology;
use crate::cloud::{Cloud, Id};
use crate::fault::{Effect, Fault, FaultId, Faults};

/// A running cloud. Clones are the same cloud.
#[derive(Clone)]
pub struct LiveCloud {
    state: Arc<Mutex<State>>,
}

struct State {
    spec: CloudSpec,
    clock: Clock,
    /// The cloud as it was, each from a moment on, oldest first; the last is the present. Never empty.
    past: VecDeque<(Duration, Arc<Cloud>)>,
    /// Counts changes, so that whoever follows the cloud sees that there is something to look at.
    changes: watch::Sender<u64>,
    faults: Faults,
    limits: Limits,
    calls: BTreeMap<String, VecDeque<Duration>>,
    log: VecDeque<Request>,
}

/// Old states kept for stale reads. A state is some tens of kilobytes.
const PAST_MAX: usize = 500;
/// Calls kept in the log.
const LOG_MAX: usize = 10_000;

/// A call of the API, as it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Request {
    /// The cloud's clock when it came, in milliseconds.
    pub at_ms: u64,
    /// Who called; none for the metadata service and for whom nobody knows.
    pub user: Option<String>,
    /// As `SoftLayer_Product_Order`.
    pub service: String,
    /// The id in the URL.
    pub id: Option<String>,
    /// As `placeOrder`.
    pub method: String,
    /// The HTTP status answered; none if no answer was sent.
    pub status: Option<u16>,
    /// Whether the call was executed, whatever was answered.
    pub executed: bool,
}

impl LiveCloud {
    /// A cloud that begins now.
    pub fn new(spec: CloudSpec) -> Result<Self, SpecError> {
        let cloud = Cloud::new(spec.clone(), Timestamp::now())?;
        let state = State {
            limits: spec.limits,
            spec,
            clock: Clock::start(),
            past: VecDeque::from([(Duration::ZERO, Arc::new(cloud))]),
            changes: watch::Sender::new(0),
            faults: Faults::default(),
            calls: BTreeMap::new(),
            log: VecDeque::new(),
        };
        Ok(Self { state: Arc::new(Mutex::new(state)) })
    }

    /// The cloud at this moment.
    pub fn present(&self) -> Arc<Cloud> {
        self.lock().present()
    }

    /// The cloud as it was this long ago, or at its beginning.
    pub fn past(&self, ago: Duration) -> Arc<Cloud> {
        let mut state = self.lock();
        let present = state.present();
        let then = present.now().saturating_sub(ago);
        let as_of_then = state.past.iter().rev().find(|(since, _)| *since <= then).or(state.past.front());
        as_of_then.map(|(_, cloud)| cloud.clone()).unwrap_or(present)
    }

    /// Puts the clock forward; everything due until then happens.
    pub fn advance(&self, by: Duration) {
        self.lock().clock.skip(by);
        self.tick();
    }

    /// Lets happen what is due. Every question does it too; this is for who only watches.
    pub fn tick(&self) {
        self.lock().catch_up();
    }

    /// When something happens next by itself, from now.
    pub fn next_due_in(&self) -> Option<Duration> {
        let mut state = self.lock();
        let present = state.present();
        present.next_due().map(|at| at.saturating_sub(state.clock.now()))
    }

    /// A receiver that sees a new number after each change.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.lock().changes.subscribe()
    }

    /// Changes how long things take that begin from now on.
    pub fn set_delays(&self, delays: Delays) {
        self.change(|cloud| cloud.set_delays(delays));
    }

    /// Changes the limits of the API from now on. The number of subnets on a VLAN stays.
    pub fn set_requests_per_second(&self, requests_per_second: u32) {
        self.lock().limits.requests_per_second = requests_per_second;
    }

    /// Adds a fault. Faults apply in the order in which they were added.
    pub fn inject(&self, fault: Fault) -> FaultId {
        let mut state = self.lock();
        let seed = state.spec.seed;
        state.faults.inject(seed, fault)
    }

    /// Removes a fault; false if it is not there any more.
    pub fn remove_fault(&self, id: FaultId) -> bool {
        self.lock().faults.remove(id)
    }

    /// Removes all faults.
    pub fn heal(&self) {
        self.lock().faults.clear();
    }

    /// The faults in force.
    pub fn faults(&self) -> Vec<(FaultId, Fault)> {
        self.lock().faults.in_force()
    }

    /// The calls of the API so far, oldest first (the last ten thousand).
    pub fn requests(&self) -> Vec<Request> {
        self.lock().log.iter().cloned().collect()
    }

    /// Adds a machine, running. With a fabric its namespace follows.
    pub fn add_machine(&self, spec: &MachineSpec) -> Result<Id, SpecError> {
        self.change(|cloud| cloud.add_machine(spec))
    }

    /// Deletes a machine; false if there is none of this name.
    pub fn delete_machine(&self, hostname: &str) -> bool {
        self.change(|cloud| cloud.delete_machine(hostname))
    }

    /// Changes what the API says of a machine's power; false if there is none of this name.
    pub fn set_power(&self, hostname: &str, power: PowerState) -> bool {
        self.change(|cloud| cloud.set_power(hostname, power))
    }

    /// Lets the cloud reach a machine or not: a guest then is `DISCONNECTED`, a server's power state an error. False if
    /// there is none of this name.
    pub fn set_connected(&self, hostname: &str, connected: bool) -> bool {
        self.change(|cloud| cloud.set_connected(hostname, connected))
    }

    /// Lets a user see every machine, or none; false if there is no such user.
    pub fn let_see_machines(&self, username: &str, sees: bool) -> bool {
        self.change(|cloud| cloud.let_see_machines(username, sees))
    }

    /// Starts a transaction on a machine (`REBOOT`, `RELOAD`…); false if there is none of this name.
    pub fn begin_transaction(&self, hostname: &str, name: &str) -> bool {
        self.change(|cloud| cloud.begin_transaction(hostname, name))
    }

    /// Takes what is measured at balancers. The past is not kept: only what is measured differs.
    pub fn measure_balancers(&self, measured: BTreeMap<Id, Measured>) {
        let mut state = self.lock();
        if let Some((_, present)) = state.past.back_mut() {
            Arc::make_mut(present).measured = Arc::new(measured);
        }
    }

    /// Begins anew: the cloud as described, no faults, an empty log. The clock goes on.
    pub fn reset(&self) -> Result<(), SpecError> {
        let mut state = self.lock();
        let mut cloud = Cloud::new(state.spec.clone(), Timestamp::now())?;
        cloud.advance(state.clock.now());
        state.past.clear();
        state.remember(cloud);
        state.faults = Faults::default();
        state.limits = state.spec.limits;
        state.calls.clear();
        state.log.clear();
        Ok(())
    }

    /// Everything there is, for people and tests to look at; the API keys are left out.
    pub fn dump(&self) -> Value {
        let cloud = self.present();
        json!({
            "now_ms": millis(cloud.now()),
            "today": cloud.today(),
            "delays": cloud.delays,
            "vlans": cloud.vlans.values().collect::<Vec<_>>(),
            "subnets": cloud.subnets.values().collect::<Vec<_>>(),
            "tags": cloud.tags.values().collect::<Vec<_>>(),
            "machines": cloud.machines.values().collect::<Vec<_>>(),
            "orders": cloud.orders.values().collect::<Vec<_>>(),
            "billing_items": cloud.billing_items.values().collect::<Vec<_>>(),
            "balancers": cloud.balancers.values().collect::<Vec<_>>(),
            "local_balancers": cloud.local_balancers.values().collect::<Vec<_>>(),
            "security_groups": cloud.security_groups.values().collect::<Vec<_>>(),
            "event_log": cloud.event_log,
            "firewalls": cloud.firewalls.values().collect::<Vec<_>>(),
            "firewall_updates": cloud.firewall_updates.values().collect::<Vec<_>>(),
            "measured": cloud.measured.as_ref(),
        })
    }

    /// What the wires must look like now.
    pub fn topology(&self) -> Topology {
        Topology::of(&self.present())
    }

    /// How the wires shall behave.
    pub fn fabric_spec(&self) -> FabricSpec {
        self.lock().spec.fabric
    }

    /// Changes the present.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Cloud) -> T) -> T {
        let mut state = self.lock();
        let mut cloud = Cloud::clone(&state.present());
        let result = change(&mut cloud);
        state.remember(cloud);
        result
    }

    /// What befalls a call. Counts it against the faults.
    pub(crate) fn meet_faults(&self, service: &str, method: &str, user: Option<&str>) -> Vec<Effect> {
        self.lock().faults.meet(service, method, user)
    }

    /// Counts a call of this user; false, with the limit, if it is one too many for this second.
    pub(crate) fn count_call(&self, user: &str) -> Result<(), u32> {
        let mut state = self.lock();
        let now = state.clock.now();
        let limit = state.limits.requests_per_second;
        let calls = state.calls.entry(user.to_owned()).or_default();
        while calls.front().is_some_and(|then| now.saturating_sub(*then) >= Duration::from_secs(1)) {
            calls.pop_front();
        }
        if calls.len() >= limit as usize {
            return Err(limit);
        }
        calls.push_back(now);
        Ok(())
    }

    pub(crate) fn log(&self, request: Request) {
        let mut state = self.lock();
        if state.log.len() == LOG_MAX {
            state.log.pop_front();
        }
        state.log.push_back(request);
    }

    pub(crate) fn now_ms(&self) -> u64 {
        millis(self.lock().clock.now())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere leaves no half-changed cloud: changes are made on a copy.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn present(&mut self) -> Arc<Cloud> {
        self.catch_up();
        self.past.back().map(|(_, cloud)| cloud.clone()).expect("there is always a present")
    }

    /// Lets happen what is due, each event at its own time so that the past stays true.
    fn catch_up(&mut self) {
        let now = self.clock.now();
        while let Some((_, present)) = self.past.back_mut() {
            let Some(due) = present.next_due().filter(|due| *due <= now) else {
                // Only the time differs, so this is the same present and no new one.
                Arc::make_mut(present).advance(now);
                return;
            };
            let mut next = Cloud::clone(present);
            next.advance(due);
            self.remember(next);
        }
    }

    fn remember(&mut self, cloud: Cloud) {
        if self.past.len() == PAST_MAX {
            self.past.pop_front();
        }
        self.past.push_back((cloud.now(), Arc::new(cloud)));
        self.changes.send_modify(|count| *count += 1);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
