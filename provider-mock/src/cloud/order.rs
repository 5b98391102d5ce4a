//! Ordering and cancelling: from a price and a VLAN to a subnet, and back.

use jiff::Timestamp;
use serde::Serialize;

use super::catalogue::{Item, Portable};
use super::subnet::{Kind, Stage};
use super::{Cloud, Event, Id};

/// An order of one thing.
#[derive(Clone, Debug, Serialize)]
pub struct Order {
    /// Its id.
    pub id: Id,
    /// The id of its only line.
    pub line: Id,
    /// The user who placed it.
    pub user: Id,
    /// What was ordered: an item of the catalogue.
    pub item: u64,
    /// When it was placed.
    pub placed: Timestamp,
    /// What it becomes.
    pub product: Product,
    /// Whether that was delivered.
    pub delivered: bool,
}

/// What an order becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Product {
    /// A subnet on a VLAN.
    Subnet {
        /// The subnet.
        id: Id,
        /// The VLAN it is for.
        vlan: Id,
    },
    /// A load balancer.
    Balancer(Id),
}

/// What a subnet is paid by.
#[derive(Clone, Debug, Serialize)]
pub struct BillingItem {
    /// Its id.
    pub id: Id,
    /// What is paid for: an item of the catalogue.
    pub item: u64,
    /// The order it came from; none for what is older than this cloud.
    pub order: Option<Id>,
    /// The subnet paid for.
    pub subnet: Id,
    /// Since when.
    pub created: Timestamp,
    /// When it was cancelled.
    pub cancelled: Option<Timestamp>,
}

/// What a customer asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// An item of the catalogue.
    pub item: &'static Item,
    /// The subnet that it is.
    pub portable: Portable,
    /// The VLAN to route it to.
    pub vlan: Id,
}

/// Why an order is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderRefused {
    /// No such VLAN on this account.
    #[error("The VLAN with id {0} could not be found on this account.")]
    NoSuchVlan(Id),
    /// A private subnet for a public VLAN, or the reverse.
    #[error("A {item} subnet cannot be routed to the {vlan} VLAN {id}.")]
    WrongNetwork {
        /// What was ordered: `PRIVATE` or `PUBLIC`.
        item: &'static str,
        /// What the VLAN is.
        vlan: &'static str,
        /// The VLAN.
        id: Id,
    },
    /// The VLAN has as many subnets as it may.
    #[error("VLAN {vlan} has reached its limit of {limit} subnets.")]
    VlanFull {
        /// The VLAN.
        vlan: Id,
        /// The limit.
        limit: u32,
    },
    /// The cloud has no address space left.
    #[error("There are not enough IP addresses available for this order on VLAN {0}.")]
    NoSpace(Id),
}

impl Cloud {
    /// Says whether an order would be taken.
    pub fn verify_order(&self, wanted: Wanted) -> Result<(), OrderRefused> {
        let Wanted { portable, vlan: id, .. } = wanted;
        let vlan = self.vlans.get(&id).ok_or(OrderRefused::NoSuchVlan(id))?;
        if vlan.space != portable.space {
            let (item, vlan) = (portable.space.key(), vlan.space.key());
            return Err(OrderRefused::WrongNetwork { item, vlan, id });
        }
        let limit = self.spec.limits.subnets_per_vlan;
        if self.subnets.values().filter(|subnet| subnet.vlan == id).count() >= limit as usize {
            return Err(OrderRefused::VlanFull { vlan: id, limit });
        }
        self.free_space(id, portable.prefix()).map(|_| ()).ok_or(OrderRefused::NoSpace(id))
    }

    /// Takes an order. Its subnet is listed and then routed after [`super::spec::Delays`].
    pub fn place_order(&mut self, user: Id, wanted: Wanted) -> Result<Id, OrderRefused> {
        self.verify_order(wanted)?;
        let Wanted { item, portable, vlan } = wanted;
        let cidr = self.free_space(vlan, portable.prefix()).ok_or(OrderRefused::NoSpace(vlan))?;
        let (id, line) = (self.new_id(), self.new_id());
        let subnet = self.add_subnet(Kind::Portable, Stage::Cut, vlan, cidr);
        let (placed, product) = (self.today(), Product::Subnet { id: subnet, vlan });
        self.orders.insert(id, Order { id, line, user, item: item.id, placed, product, delivered: false });
        self.schedule(self.delays.order_visible_ms, Event::SubnetListed(subnet));
        self.happen_now();
        Ok(id)
    }

    /// Cancels what a billing item pays for; false if there is none of that id, or it was cancelled before.
    ///
    /// The billing item leaves its subnet at once, the subnet goes after [`super::spec::Delays`].
    pub fn cancel(&mut self, billing_item: Id) -> bool {
        let today = self.today();
        let found = self.billing_items.get_mut(&billing_item).filter(|item| item.cancelled.is_none());
        let Some(item) = found else { return false };
        item.cancelled = Some(today);
        let subnet = item.subnet;
        if let Some(subnet) = self.subnets.get_mut(&subnet) {
            subnet.billing_item = None;
            subnet.stage = Stage::Leaving;
            subnet.modified = today;
        }
        self.schedule(self.delays.reclaim_ms, Event::SubnetReclaimed(subnet));
        self.happen_now();
        true
    }

    pub(super) fn list_subnet(&mut self, id: Id) {
        let is_it = |order: &&mut Order| matches!(order.product, Product::Subnet { id: it, .. } if it == id);
        let order = self.orders.values_mut().find(is_it);
        let Some((order, item)) = order.map(|order| {
            order.delivered = true;
            (order.id, order.item)
        }) else {
            return;
        };
        if let Some(subnet) = self.subnets.get_mut(&id) {
            subnet.stage = Stage::Listed;
        }
        self.bill(id, item, Some(order));
        self.schedule(self.delays.order_routed_ms, Event::SubnetRouted(id));
    }

    /// A billing item for a subnet that is older than this cloud, if its size is in the catalogue.
    pub(super) fn bill_older_subnet(&mut self, id: Id) {
        let Some(subnet) = self.subnets.get(&id) else { return };
        let space = self.vlans.get(&subnet.vlan).map(|vlan| vlan.space);
        let fits = |item: &&Item| {
            item.portable().is_some_and(|portable| {
                portable.prefix() == subnet.cidr.prefix() && Some(portable.space) == space
            })
        };
        if let Some(item) = super::catalogue::ITEMS.iter().find(fits) {
            self.bill(id, item.id, None);
        }
    }

    fn bill(&mut self, subnet: Id, item: u64, order: Option<Id>) {
        let id = self.new_id();
        let created = self.today();
        self.billing_items.insert(id, BillingItem { id, item, order, subnet, created, cancelled: None });
        if let Some(subnet) = self.subnets.get_mut(&subnet) {
            subnet.billing_item = Some(id);
        }
    }
}
