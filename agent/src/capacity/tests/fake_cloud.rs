//! A cloud that takes its time and can fail.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use ipnetwork::IpNetwork;
use provider::{
    CloudAddress, CloudSubnet, FoundOrder, HostState, Identity, Nic, OrderId, OrderIntent, OrderPlaced,
    OrderRequest, OrderStatus, Provider, ProviderError, Quote, SetAside, SubnetId, Tag, TagEdit, ZoneId,
};

use super::world::{Steps, zone};
use crate::clock::{Clock, ManualClock};

/// What goes wrong with an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlaceFault {
    AnswerLost,
    NeverArrives,
    Refused,
}

/// A cloud with one zone. Orders are delivered when they are asked for the second time.
#[derive(Debug, Clone)]
pub(super) struct FakeCloud {
    state: Arc<Mutex<CloudState>>,
    steps: Steps,
    clock: ManualClock,
}

#[derive(Debug, Default)]
pub(super) struct CloudState {
    pub(super) subnets: Vec<CloudSubnet>,
    pub(super) orders: Vec<FakeOrder>,
    pub(super) place_faults: VecDeque<PlaceFault>,
    /// Nobody answers.
    pub(super) away: bool,
    /// How often it was asked anything, heard or not.
    pub(super) asked: u32,
    /// Orders are taken, but not shown to who looks for them.
    pub(super) hides_orders: bool,
    pub(super) returned: Vec<SubnetId>,
    /// What became of machines, as it says; of others it knows nothing.
    pub(super) machines: BTreeMap<String, HostState>,
    /// How far its clock is ahead of the hosts'.
    pub(super) ahead: jiff::SignedDuration,
    /// The machines that it was asked about, in order.
    pub(super) asked_about: Vec<String>,
}

#[derive(Debug, Clone)]
pub(super) struct FakeOrder {
    pub(super) id: OrderId,
    pub(super) request: OrderRequest,
    pub(super) placed_at: jiff::Timestamp,
    asked: u32,
    subnet: Option<SubnetId>,
}

const NAME: &str = "fake";

impl FakeCloud {
    /// An empty one, whose changes are steps.
    pub(super) fn new(steps: Steps, clock: ManualClock) -> Self {
        Self { state: Arc::default(), steps, clock }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, CloudState> {
        self.state.lock().unwrap()
    }

    fn ask(&self) -> Result<MutexGuard<'_, CloudState>, ProviderError> {
        let mut state = self.lock();
        state.asked += 1;
        if state.away {
            let (doing, source) = ("asking".into(), "no route to host".into());
            return Err(ProviderError::Unavailable { provider: NAME, doing, source });
        }
        Ok(state)
    }
}

impl CloudState {
    pub(super) fn place(&mut self, request: &OrderRequest, now: jiff::Timestamp) -> OrderId {
        let id = OrderId::new(format!("{}", 9001 + self.orders.len()));
        let (request, placed_at) = (request.clone(), now);
        self.orders.push(FakeOrder { id: id.clone(), request, placed_at, asked: 0, subnet: None });
        id
    }

    pub(super) fn add_subnet(&mut self, cidr: &str, tags: &[&str]) -> SubnetId {
        let cidr: IpNetwork = cidr.parse().unwrap();
        let id = SubnetId::new(format!("s{}", self.subnets.len() + self.returned.len() + 1));
        let gateway = cidr.iter().nth(1);
        let tags = tags.iter().map(|tag| Tag::new(*tag)).collect();
        self.subnets.push(CloudSubnet { id: id.clone(), cidr, gateway, zone: zone(), tags, note: None });
        id
    }

    fn find(&mut self, id: &SubnetId) -> Result<&mut CloudSubnet, ProviderError> {
        let gone = || ProviderError::Gone { provider: NAME, doing: "looking".into(), what: id.to_string() };
        self.subnets.iter_mut().find(|subnet| subnet.id == *id).ok_or_else(gone)
    }
}

impl Provider for FakeCloud {
    fn name(&self) -> &'static str {
        NAME
    }

    fn clock_ahead(&self) -> Option<jiff::SignedDuration> {
        Some(self.lock().ahead)
    }

    async fn whoami(&self, _nics: &[Nic]) -> Result<Identity, ProviderError> {
        unreachable!("the capacity role does not ask who it is")
    }

    async fn subnets(&self, zone: &ZoneId) -> Result<Vec<CloudSubnet>, ProviderError> {
        Ok(self.ask()?.subnets.iter().filter(|subnet| subnet.zone == *zone).cloned().collect())
    }

    async fn set_aside(&self, subnet: &SubnetId) -> Result<Vec<CloudAddress>, ProviderError> {
        let mut state = self.ask()?;
        let subnet = state.find(subnet)?;
        let kept = |address, set_aside| CloudAddress { address, set_aside };
        let reserved = subnet.cidr.iter().nth(2).unwrap();
        Ok(vec![kept(subnet.cidr.network(), SetAside::Network), kept(reserved, SetAside::Reserved)])
    }

    async fn verify_order(&self, _request: &OrderRequest) -> Result<Quote, ProviderError> {
        drop(self.ask()?);
        Ok(Quote { price: "13981".into(), monthly_fee: Some("8".into()) })
    }

    async fn place_order(&self, intent: &OrderIntent) -> Result<OrderPlaced, ProviderError> {
        let fault = self.ask()?.place_faults.pop_front();
        let doing = format!("the order of {}", intent.request);
        let in_doubt = || ProviderError::InDoubt {
            provider: NAME,
            doing: doing.clone(),
            source: "connection reset".into(),
        };
        match fault {
            Some(PlaceFault::NeverArrives) => return Err(in_doubt()),
            Some(PlaceFault::Refused) => {
                return Err(ProviderError::Refused {
                    provider: NAME,
                    doing,
                    reason: "the VLAN is full".into(),
                });
            }
            Some(PlaceFault::AnswerLost) | None => (),
        }
        let now = self.clock.wall().checked_add(self.lock().ahead).unwrap();
        let order = self.steps.step(|| self.lock().place(&intent.request, now)).await;
        if fault == Some(PlaceFault::AnswerLost) { Err(in_doubt()) } else { Ok(OrderPlaced { order }) }
    }

    async fn order_status(&self, order: &OrderId) -> Result<OrderStatus, ProviderError> {
        let mut state = self.ask()?;
        let Some(at) = state.orders.iter().position(|placed| placed.id == *order) else {
            let (doing, what) = ("asking for an order".into(), order.to_string());
            return Err(ProviderError::Gone { provider: NAME, doing, what });
        };
        state.orders[at].asked += 1;
        if state.orders[at].asked < 2 {
            return Ok(OrderStatus::Pending("PENDING_AUTO_APPROVAL".into()));
        }
        let id = match state.orders[at].subnet.clone() {
            Some(id) => id,
            None => {
                let third = 64 * at as u32;
                let cidr =
                    format!("10.60.{}.{}/{}", third / 256, third % 256, state.orders[at].request.prefix);
                let id = state.add_subnet(&cidr, &[]);
                let zone = state.orders[at].request.zone.clone();
                state.find(&id)?.zone = zone;
                id
            }
        };
        state.orders[at].subnet = Some(id.clone());
        Ok(OrderStatus::Delivered(state.find(&id)?.clone()))
    }

    async fn find_orders(&self, intent: &OrderIntent) -> Result<Vec<FoundOrder>, ProviderError> {
        let state = self.ask()?;
        // As a real one: clocks differ, so it looks somewhat before the intent.
        let since =
            intent.intended_at.saturating_sub(Duration::from_secs(600)).unwrap_or(jiff::Timestamp::MIN);
        let may_be = |order: &&FakeOrder| {
            !state.hides_orders && order.request == intent.request && order.placed_at >= since
        };
        let found = |order: &FakeOrder| FoundOrder { order: order.id.clone(), placed_at: order.placed_at };
        Ok(state.orders.iter().filter(may_be).map(found).collect())
    }

    async fn edit_tags(&self, subnet: &SubnetId, edit: &TagEdit) -> Result<(), ProviderError> {
        drop(self.ask()?);
        let write = || {
            let mut state = self.lock();
            let subnet = state.find(subnet)?;
            subnet.tags = edit.applied_to(&subnet.tags);
            Ok(())
        };
        self.steps.step(write).await
    }

    async fn return_subnet(&self, subnet: &SubnetId) -> Result<(), ProviderError> {
        drop(self.ask()?);
        let cancel = || {
            let mut state = self.lock();
            if state.find(subnet).is_ok() {
                state.subnets.retain(|known| known.id != *subnet);
                state.returned.push(subnet.clone());
            }
        };
        self.steps.step(cancel).await;
        Ok(())
    }

    async fn host_state(&self, instance: &provider::InstanceId) -> Result<HostState, ProviderError> {
        let mut state = self.ask()?;
        state.asked_about.push(instance.to_string());
        Ok(state.machines.get(instance.as_str()).copied().unwrap_or(HostState::Unknown))
    }
}
