//! Subnets, their addresses, notes and tags.

use std::net::Ipv4Addr;

use ipnetwork::Ipv4Network;
use jiff::Timestamp;
use serde::Serialize;

use super::spec::{SpecError, SubnetSpec};
use super::{Cloud, Id, space};

/// A subnet.
#[derive(Clone, Debug, Serialize)]
pub struct Subnet {
    /// Its id.
    pub id: Id,
    /// Its addresses.
    pub cidr: Ipv4Network,
    /// Primary or portable.
    pub kind: Kind,
    /// How far it has come.
    pub stage: Stage,
    /// The VLAN it is, or will be, routed to.
    pub vlan: Id,
    /// The customer's note.
    pub note: String,
    /// Its tags, by id.
    pub tags: Vec<Id>,
    /// What it is paid by; none for a primary one, none once cancelled.
    pub billing_item: Option<Id>,
    /// The records of its addresses, lowest first.
    pub addresses: Vec<Id>,
    /// When it last changed.
    pub modified: Timestamp,
}

/// Who hands out the addresses of a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The cloud, one to each machine.
    Primary,
    /// The customer, to whatever is on the VLAN.
    Portable,
}

/// The life of a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Ordered; nobody is shown it.
    Cut,
    /// Shown, without type and VLAN.
    Listed,
    /// On its VLAN.
    Routed,
    /// Cancelled; still shown and still on its VLAN, without a billing item.
    Leaving,
}

/// The record of one address.
#[derive(Clone, Debug, Serialize)]
pub struct Address {
    /// Its id.
    pub id: Id,
    /// The address.
    pub ip: Ipv4Addr,
    /// The subnet it is in.
    pub subnet: Id,
    /// The customer's note, or the reason why it is reserved.
    pub note: String,
    /// Kept by the cloud, for HSRP.
    pub reserved: bool,
}

/// A tag of the account.
#[derive(Clone, Debug, Serialize)]
pub struct Tag {
    /// Its id.
    pub id: Id,
    /// Its text.
    pub name: String,
}

/// What the cloud notes on an address that it keeps for its pair of routers: seen in a record of 2024.
const HSRP_NOTE: &str = "Reserved for HSRP.";

impl Subnet {
    /// The address of the router: one above the network's.
    pub fn gateway(&self) -> Ipv4Addr {
        self.cidr.nth(1).unwrap_or(self.cidr.network())
    }

    /// Whether the API shows it.
    pub(crate) fn is_visible(&self) -> bool {
        self.stage != Stage::Cut
    }

    /// Whether type and VLAN are set.
    pub(crate) fn is_on_its_vlan(&self) -> bool {
        matches!(self.stage, Stage::Routed | Stage::Leaving)
    }
}

impl Cloud {
    /// The subnets that the API shows.
    pub(crate) fn visible_subnets(&self) -> impl Iterator<Item = &Subnet> {
        self.subnets.values().filter(|subnet| subnet.is_visible())
    }

    /// The record of an address, in a subnet that the API shows.
    pub fn address_record(&self, ip: Ipv4Addr) -> Option<&Address> {
        self.visible_subnets()
            .flat_map(|subnet| subnet.addresses.iter().filter_map(|id| self.addresses.get(id)))
            .find(|address| address.ip == ip)
    }

    /// Replaces the note on a subnet; false if there is none of that id.
    pub fn note_subnet(&mut self, id: Id, note: &str) -> bool {
        let today = self.today();
        let Some(subnet) = self.subnets.get_mut(&id) else { return false };
        subnet.note = note.to_owned();
        subnet.modified = today;
        true
    }

    /// Replaces the note on an address; false if there is none of that id.
    pub fn note_address(&mut self, id: Id, note: &str) -> bool {
        self.addresses.get_mut(&id).map(|address| address.note = note.to_owned()).is_some()
    }

    /// Replaces all tags of a subnet; false if there is none of that id.
    pub fn tag_subnet(&mut self, id: Id, names: &[String]) -> bool {
        let tags = self.tag_ids(names);
        self.subnets.get_mut(&id).map(|subnet| subnet.tags = tags).is_some()
    }

    /// Replaces all tags of a VLAN; false if there is none of that id.
    pub fn tag_vlan(&mut self, id: Id, names: &[String]) -> bool {
        let tags = self.tag_ids(names);
        self.vlans.get_mut(&id).map(|vlan| vlan.tags = tags).is_some()
    }

    /// The tags of these names; those never used before are made.
    fn tag_ids(&mut self, names: &[String]) -> Vec<Id> {
        let mut ids = Vec::new();
        for name in names.iter().map(|name| name.trim()).filter(|name| !name.is_empty()) {
            let known = self.tags.values().find(|tag| tag.name == name).map(|tag| tag.id);
            let id = known.unwrap_or_else(|| {
                let id = self.new_id();
                self.tags.insert(id, Tag { id, name: name.to_owned() });
                id
            });
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        ids
    }

    /// A portable subnet that was ordered before this cloud began.
    pub(super) fn add_portable(&mut self, spec: &SubnetSpec) -> Result<(), SpecError> {
        if self.subnets.values().any(|other| space::overlap(other.cidr, spec.cidr)) {
            return Err(SpecError::Contradiction(format!("subnet {} overlaps another one", spec.cidr)));
        }
        let id = self.add_subnet(Kind::Portable, Stage::Routed, spec.vlan, spec.cidr);
        self.note_subnet(id, &spec.note);
        self.tag_subnet(id, &spec.tags);
        self.bill_older_subnet(id);
        Ok(())
    }

    /// A new subnet with the records of its addresses.
    pub(super) fn add_subnet(&mut self, kind: Kind, stage: Stage, vlan: Id, cidr: Ipv4Network) -> Id {
        let id = self.new_id();
        let hsrp = kind == Kind::Portable && self.vlans.get(&vlan).is_some_and(|vlan| vlan.hsrp);
        let mut addresses = Vec::new();
        for ip in cidr.iter() {
            let address = self.new_id();
            let reserved = hsrp && is_for_hsrp(cidr, ip);
            let note = if reserved { HSRP_NOTE.to_owned() } else { String::new() };
            self.addresses.insert(address, Address { id: address, ip, subnet: id, note, reserved });
            addresses.push(address);
        }
        let modified = self.today();
        let (note, tags, billing_item) = (String::new(), Vec::new(), None);
        let subnet = Subnet { id, cidr, kind, stage, vlan, note, tags, billing_item, addresses, modified };
        self.subnets.insert(id, subnet);
        id
    }

    /// The lowest free network for an order on this VLAN. A subnet that is leaving is not free yet.
    pub(super) fn free_space(&self, vlan: Id, prefix: u8) -> Option<Ipv4Network> {
        let taken: Vec<_> = self.subnets.values().map(|subnet| subnet.cidr).collect();
        space::lowest_free(&self.vlans.get(&vlan)?.portable, &taken, prefix)
    }

    pub(super) fn route_subnet(&mut self, id: Id) {
        let today = self.today();
        // One that was cancelled before it arrived stays cancelled.
        if let Some(subnet) = self.subnets.get_mut(&id).filter(|subnet| subnet.stage == Stage::Listed) {
            subnet.stage = Stage::Routed;
            subnet.modified = today;
        }
    }

    pub(super) fn reclaim_subnet(&mut self, id: Id) {
        for address in self.subnets.remove(&id).map(|subnet| subnet.addresses).unwrap_or_default() {
            self.addresses.remove(&address);
        }
    }
}

/// Which addresses a pair of routers keeps: a choice, the last two below the broadcast address, as in the one
/// (IPv6) record that is known. A client must read the records and never compute this.
fn is_for_hsrp(cidr: Ipv4Network, ip: Ipv4Addr) -> bool {
    let from_the_end = u32::from(cidr.broadcast()) - u32::from(ip);
    let from_the_start = u32::from(ip) - u32::from(cidr.network());
    (1..=2).contains(&from_the_end) && from_the_start >= 2
}
