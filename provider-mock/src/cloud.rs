//! The simulated cloud as a value: what exists, and the rules by which it changes.
//!
//! Nothing here reads a clock, draws a random number or talks to anybody: time comes in through
//! [`Cloud::advance`], everything else through a method named for what a customer or an operator does. Ids come
//! from one counter, so the same calls make the same cloud.

pub mod balancer;
pub mod catalogue;
pub mod firewall;
pub mod local;
pub mod machine;
pub mod order;
pub mod security;
mod space;
pub mod spec;
pub mod subnet;
pub mod topology;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use balancer::{Balancer, Measured};
use firewall::{FirewallUpdate, VlanFirewall};
use local::LocalBalancer;
use machine::Machine;
use order::{BillingItem, Order};
use security::{LoggedEvent, SecurityGroup, Unlogged};
use spec::{CloudSpec, Delays, NetworkSpace, SpecError};
use subnet::{Address, Subnet, Tag};

/// An id. All objects that the cloud makes share one counter; VLANs keep the id of `cloud.toml`.
pub type Id = u64;

/// Everything the cloud knows at one moment.
#[derive(Clone, Debug)]
pub struct Cloud {
    pub(crate) spec: Arc<CloudSpec>,
    /// The wall time at which this cloud began; every date it tells is counted from there.
    began: Timestamp,
    now: Duration,
    next_id: Id,
    pub(crate) delays: Delays,
    pub(crate) users: BTreeMap<Id, User>,
    pub(crate) datacenters: BTreeMap<Id, Datacenter>,
    pub(crate) routers: BTreeMap<Id, Router>,
    pub(crate) pods: BTreeMap<Id, Pod>,
    pub(crate) vlans: BTreeMap<Id, Vlan>,
    pub(crate) subnets: BTreeMap<Id, Subnet>,
    pub(crate) addresses: BTreeMap<Id, Address>,
    pub(crate) machines: BTreeMap<Id, Machine>,
    pub(crate) orders: BTreeMap<Id, Order>,
    pub(crate) billing_items: BTreeMap<Id, BillingItem>,
    pub(crate) tags: BTreeMap<Id, Tag>,
    pub(crate) balancers: BTreeMap<Id, Balancer>,
    pub(crate) local_balancers: BTreeMap<Id, LocalBalancer>,
    pub(crate) firewalls: BTreeMap<Id, VlanFirewall>,
    pub(crate) firewall_updates: BTreeMap<Id, FirewallUpdate>,
    pub(crate) security_groups: BTreeMap<Id, SecurityGroup>,
    /// Changes that have not taken effect yet.
    unlogged: BTreeMap<Id, Unlogged>,
    pub(crate) event_log: Vec<LoggedEvent>,
    /// What real packets say of balancers, by balancer; nothing where there are none.
    pub(crate) measured: Arc<BTreeMap<Id, Measured>>,
    /// What will happen, and when; the second part of the key keeps the order of equal times.
    due: BTreeMap<(Duration, Id), Event>,
}

/// Something that happens by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    SubnetListed(Id),
    SubnetRouted(Id),
    SubnetReclaimed(Id),
    TransactionEnded { machine: Id, transaction: Id },
    BalancerSettled { balancer: Id, pending: Id },
    LocalBalancerSettled { balancer: Id, pending: Id },
    SecurityApplied(Id),
    FirewallUpdated(Id),
}

/// A user of the API.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct User {
    pub(crate) id: Id,
    pub(crate) username: String,
    #[serde(skip)]
    pub(crate) api_key: String,
    /// Whether this user sees every machine, or none.
    pub(crate) sees_machines: bool,
}

/// A datacenter.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Datacenter {
    pub(crate) id: Id,
    pub(crate) name: String,
    pub(crate) long_name: String,
}

impl Datacenter {
    /// The keyname of its region: `DALLAS05`, the city and the number of its name.
    pub(crate) fn region(&self) -> String {
        let city: String = self.long_name.chars().filter(char::is_ascii_alphabetic).collect();
        let number: String = self.name.chars().filter(char::is_ascii_digit).collect();
        format!("{}{number}", city.to_ascii_uppercase())
    }
}

/// A router: backend (`bcr…`) for private VLANs, frontend (`fcr…`) for public ones.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Router {
    pub(crate) id: Id,
    /// As `bcr01a.dal05`.
    pub(crate) hostname: String,
    pub(crate) datacenter: Id,
    pub(crate) pod: Id,
}

/// The machines behind one pair of routers.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Pod {
    pub(crate) id: Id,
    /// As `dal05.pod01`.
    pub(crate) name: String,
    pub(crate) datacenter: Id,
}

/// An L2 domain.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Vlan {
    pub(crate) id: Id,
    pub(crate) number: u16,
    pub(crate) name: String,
    pub(crate) space: NetworkSpace,
    pub(crate) router: Id,
    pub(crate) primary_subnet: Id,
    pub(crate) portable: Vec<ipnetwork::Ipv4Network>,
    pub(crate) hsrp: bool,
    pub(crate) tags: Vec<Id>,
}

impl Cloud {
    /// The cloud as its description has it; `began` is the wall time that its dates count from.
    pub fn new(spec: CloudSpec, began: Timestamp) -> Result<Self, SpecError> {
        spec.check()?;
        let spec = Arc::new(spec);
        let mut cloud = Self {
            spec: spec.clone(),
            began,
            now: Duration::ZERO,
            next_id: spec::FIRST_ID,
            delays: spec.delays,
            users: BTreeMap::new(),
            datacenters: BTreeMap::new(),
            routers: BTreeMap::new(),
            pods: BTreeMap::new(),
            vlans: BTreeMap::new(),
            subnets: BTreeMap::new(),
            addresses: BTreeMap::new(),
            machines: BTreeMap::new(),
            orders: BTreeMap::new(),
            billing_items: BTreeMap::new(),
            tags: BTreeMap::new(),
            balancers: BTreeMap::new(),
            local_balancers: BTreeMap::new(),
            firewalls: BTreeMap::new(),
            firewall_updates: BTreeMap::new(),
            security_groups: BTreeMap::new(),
            unlogged: BTreeMap::new(),
            event_log: Vec::new(),
            measured: Arc::default(),
            due: BTreeMap::new(),
        };
        for user in &spec.users {
            let id = cloud.new_id();
            let (username, api_key) = (user.username.clone(), user.api_key.clone());
            cloud.users.insert(id, User { id, username, api_key, sees_machines: true });
        }
        for datacenter in &spec.datacenters {
            let id = cloud.new_id();
            let (name, long_name) = (datacenter.name.clone(), datacenter.long_name.clone());
            cloud.datacenters.insert(id, Datacenter { id, name, long_name });
        }
        for vlan in &spec.vlans {
            cloud.add_vlan(vlan)?;
        }
        for subnet in &spec.subnets {
            cloud.add_portable(subnet)?;
        }
        for machine in &spec.machines {
            cloud.add_machine(machine)?;
        }
        cloud.provide_security_groups();
        for vlan in spec.vlans.iter().filter(|vlan| vlan.firewall) {
            cloud.add_firewall(vlan.id);
        }
        for local in &spec.local_balancers {
            cloud.add_local_balancer(local);
        }
        Ok(cloud)
    }

    /// How long this cloud has existed.
    pub fn now(&self) -> Duration {
        self.now
    }

    /// The wall time that this cloud shows in dates.
    pub fn today(&self) -> Timestamp {
        self.began + self.now
    }

    /// When the next thing happens by itself.
    pub fn next_due(&self) -> Option<Duration> {
        self.due.keys().next().map(|(at, _)| *at)
    }

    /// Lets time pass up to `now`, and happen what is due. Time never goes back.
    pub fn advance(&mut self, now: Duration) {
        while let Some(entry) = self.due.first_entry() {
            let (at, _) = *entry.key();
            if at > now {
                break;
            }
            let event = entry.remove();
            self.now = self.now.max(at);
            self.happen(event);
        }
        self.now = self.now.max(now);
    }

    /// Changes how long things take that begin from now on.
    pub fn set_delays(&mut self, delays: Delays) {
        self.delays = delays;
    }

    /// Lets a user see every machine, or none: then each looks as if it did not exist. False if there is no such user.
    pub fn let_see_machines(&mut self, username: &str, sees: bool) -> bool {
        let found = self.users.values_mut().find(|user| user.username == username);
        found.map(|user| user.sees_machines = sees).is_some()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::SubnetListed(subnet) => self.list_subnet(subnet),
            Event::SubnetRouted(subnet) => self.route_subnet(subnet),
            Event::SubnetReclaimed(subnet) => self.reclaim_subnet(subnet),
            Event::TransactionEnded { machine, transaction } => self.end_transaction(machine, transaction),
            Event::FirewallUpdated(id) => self.apply_firewall_update(id),
            Event::SecurityApplied(id) => self.log_security(id),
            Event::BalancerSettled { balancer, pending } => self.settle_balancer(balancer, pending),
            Event::LocalBalancerSettled { balancer, pending } => {
                self.settle_local_balancer(balancer, pending);
            }
        }
    }

    /// With a delay of zero, what was scheduled happens before the caller is answered.
    fn happen_now(&mut self) {
        self.advance(self.now());
    }

    fn schedule(&mut self, after_ms: u64, event: Event) {
        let at = self.now + Duration::from_millis(after_ms);
        let key = (at, self.new_id());
        self.due.insert(key, event);
    }

    fn new_id(&mut self) -> Id {
        let id = self.next_id;
        self.next_id += 1;
        id
    }

    fn add_vlan(&mut self, vlan: &spec::VlanSpec) -> Result<(), SpecError> {
        let router = self.router_named(&vlan.router)?;
        self.vlans.insert(
            vlan.id,
            Vlan {
                id: vlan.id,
                number: vlan.number,
                name: vlan.name.clone(),
                space: vlan.space,
                router,
                primary_subnet: 0,
                portable: vlan.portable.clone(),
                hsrp: vlan.hsrp,
                tags: Vec::new(),
            },
        );
        let subnet = self.add_subnet(subnet::Kind::Primary, subnet::Stage::Routed, vlan.id, vlan.primary);
        if let Some(vlan) = self.vlans.get_mut(&vlan.id) {
            vlan.primary_subnet = subnet;
        }
        Ok(())
    }

    /// The router of this name, made with its pod if no VLAN named it before.
    fn router_named(&mut self, hostname: &str) -> Result<Id, SpecError> {
        if let Some(router) = self.routers.values().find(|router| router.hostname == hostname) {
            return Ok(router.id);
        }
        let name = self.spec.datacenter_of(hostname).map(|datacenter| datacenter.name.clone());
        let datacenter = self.datacenters.values().find(|datacenter| Some(&datacenter.name) == name.as_ref());
        let Some(datacenter) = datacenter.map(|datacenter| datacenter.id) else {
            return Err(SpecError::Contradiction(format!("router {hostname} is in no datacenter")));
        };
        let number: String = hostname.chars().skip_while(char::is_ascii_alphabetic).take(2).collect();
        let pod_name = format!("{}.pod{number}", name.unwrap_or_default());
        let pod = match self.pods.values().find(|pod| pod.name == pod_name) {
            Some(pod) => pod.id,
            None => {
                let id = self.new_id();
                self.pods.insert(id, Pod { id, name: pod_name, datacenter });
                id
            }
        };
        let id = self.new_id();
        self.routers.insert(id, Router { id, hostname: hostname.to_owned(), datacenter, pod });
        Ok(id)
    }
}

#[cfg(test)]
mod tests;
