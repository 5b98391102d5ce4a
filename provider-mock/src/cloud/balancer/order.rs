//! Ordering a balancer: what is asked for, whether it can be had, and its addresses.

use std::net::Ipv4Addr;

use super::change::{Change, ListenerWanted, MemberWanted, Stamp};
use super::setup::{self, Setup};
use super::{Attachment, Balancer, BalancerKind, BalancerRefused, Status};
use crate::cloud::order::{Order, Product};
use crate::cloud::spec::NetworkSpace;
use crate::cloud::{Cloud, Id, catalogue};

/// What a customer orders.
#[derive(Clone, Debug)]
pub struct BalancerWanted {
    /// Its name.
    pub name: String,
    /// Words about it.
    pub description: String,
    /// Which networks.
    pub kind: BalancerKind,
    /// The private subnet that it gets its addresses from (of a public one: the one towards its members).
    pub subnet: Id,
    /// The datacenter, where the order names one.
    pub datacenter: Option<Id>,
    /// Its first listeners: one or two.
    pub listeners: Vec<ListenerWanted>,
    /// Its first members, by address and weight: ten at most.
    pub members: Vec<MemberWanted>,
}

/// Balancers of one account (`ibm-cloud-docs/loadbalancer-service`, `faqs.md`).
const BALANCERS_MAX: usize = 50;
/// Protocols in an order.
const PROTOCOLS_ORDERED_MAX: usize = 2;
/// Members in an order.
const MEMBERS_ORDERED_MAX: usize = 10;

impl Cloud {
    /// Says whether an order would be taken.
    pub fn verify_balancer(&self, wanted: &BalancerWanted) -> Result<(), BalancerRefused> {
        self.draft(wanted, &mut Stamp { next: self.next_id, today: self.today() }).map(|_| ())
    }

    /// Takes an order. The balancer is there at once, pending until it is made. Answers the order's id.
    pub fn order_balancer(&mut self, user: Id, wanted: &BalancerWanted) -> Result<Id, BalancerRefused> {
        let mut stamp = Stamp { next: self.next_id, today: self.today() };
        let balancer = self.draft(wanted, &mut stamp)?;
        self.next_id = stamp.next;
        let (order, line, id) = (self.new_id(), self.new_id(), balancer.id);
        let (item, placed, product) = (catalogue::BALANCER.id, self.today(), Product::Balancer(id));
        self.orders.insert(order, Order { id: order, line, user, item, placed, product, delivered: true });
        self.balancers.insert(id, balancer);
        self.settle_balancer_after(id, self.delays.balancer_create_ms);
        Ok(order)
    }

    /// The balancer that an order would become.
    fn draft(&self, wanted: &BalancerWanted, stamp: &mut Stamp) -> Result<Balancer, BalancerRefused> {
        self.check_order(wanted)?;
        let (front, back) = self.attachments(wanted)?;
        let listeners = Change::Protocols(wanted.listeners.clone());
        let members = Change::AddMembers(wanted.members.clone());
        let setup = listeners.apply(wanted.kind, &Setup::default(), stamp)?;
        let setup = members.apply(wanted.kind, &setup, stamp)?;
        let id = stamp.id();
        // The number after it is its second wire's.
        stamp.id();
        let datacenter = self.datacenter_of_subnet(back.subnet).unwrap_or_default();
        Ok(Balancer {
            id,
            uuid: setup::uuid(id),
            name: wanted.name.clone(),
            description: wanted.description.clone(),
            kind: wanted.kind,
            datacenter,
            front,
            back,
            status: Status::CreatePending,
            online: false,
            previous_error: None,
            wanted: setup,
            in_force: Setup::default(),
            created: stamp.today,
            modified: stamp.today,
            pending: 0,
        })
    }

    fn check_order(&self, wanted: &BalancerWanted) -> Result<(), BalancerRefused> {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-');
        if !(1..=40).contains(&wanted.name.len()) || !wanted.name.chars().all(plain) {
            return Err(BalancerRefused::Name(wanted.name.clone()));
        }
        if self.balancer(&wanted.name).is_some() {
            return Err(BalancerRefused::NameTaken);
        }
        let limits = [
            ("load balancers", self.balancers.len() + 1, BALANCERS_MAX),
            ("protocols in an order", wanted.listeners.len(), PROTOCOLS_ORDERED_MAX),
            ("members in an order", wanted.members.len(), MEMBERS_ORDERED_MAX),
        ];
        match limits.into_iter().find(|(_, count, max)| count > max) {
            Some((what, _, max)) => Err(BalancerRefused::TooMany { what, max }),
            None => Ok(()),
        }
    }

    /// The addresses of a new balancer: a public front comes from the public VLAN of the same datacenter.
    fn attachments(&self, wanted: &BalancerWanted) -> Result<(Attachment, Attachment), BalancerRefused> {
        let private = self.visible_subnets().find(|subnet| subnet.id == wanted.subnet);
        let private = private.filter(|subnet| self.space_of(subnet.vlan) == Some(NetworkSpace::Private));
        let id = private.ok_or(BalancerRefused::NoSuchSubnet(wanted.subnet))?.id;
        let here = self.datacenter_of_subnet(id);
        if wanted.datacenter.is_some_and(|asked| Some(asked) != here) {
            return Err(BalancerRefused::NotThere(id));
        }
        let inner = self.attach(id)?;
        if wanted.kind == BalancerKind::PrivateToPrivate {
            return Ok((inner, inner));
        }
        let public = self.vlans.values().filter(|vlan| vlan.space == NetworkSpace::Public);
        let subnet = public.map(|vlan| vlan.primary_subnet).find(|id| self.datacenter_of_subnet(*id) == here);
        let outer = self.attach(subnet.ok_or(BalancerRefused::NoPublicAddress)?)?;
        match wanted.kind {
            BalancerKind::PublicToPublic => Ok((outer, outer)),
            _ => Ok((outer, inner)),
        }
    }

    /// The highest free address: far from those that machines get. The real service takes two, one for each of its
    /// two appliances; this one is one.
    pub(in crate::cloud) fn attach(&self, subnet: Id) -> Result<Attachment, BalancerRefused> {
        let full = || BalancerRefused::SubnetFull(subnet);
        let it = self.subnets.get(&subnet).ok_or_else(full)?;
        let records = it.addresses.iter().rev().skip(1).filter_map(|id| self.addresses.get(id));
        let mut free = records
            .filter(|record| !record.reserved && record.ip > it.gateway() && !self.is_taken(record.ip))
            .map(|record| record.ip);
        let (address, _) = free.next().zip(free.next()).ok_or_else(full)?;
        Ok(Attachment { subnet, address })
    }

    /// Whether a machine or a balancer has this address.
    pub(in crate::cloud) fn is_taken(&self, ip: Ipv4Addr) -> bool {
        let by_balancer = |balancer: &Balancer| balancer.front.address == ip || balancer.back.address == ip;
        self.machine_with(ip).is_some()
            || self.balancers.values().any(by_balancer)
            || self.local_balancers.values().any(|local| local.at.address == ip)
    }

    fn space_of(&self, vlan: Id) -> Option<NetworkSpace> {
        self.vlans.get(&vlan).map(|vlan| vlan.space)
    }

    fn datacenter_of_subnet(&self, subnet: Id) -> Option<Id> {
        let vlan = self.vlans.get(&self.subnets.get(&subnet)?.vlan)?;
        self.routers.get(&vlan.router).map(|router| router.datacenter)
    }
}
