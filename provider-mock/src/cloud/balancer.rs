//! Load balancers as a service (LBaaS): ordered, changed one change at a time, cancelled.
//!
//! Every change is accepted at once and takes effect later: until then the balancer is pending, traffic goes by
//! what was in force before, and any further change is refused. That is the behaviour that IBM's documentation and
//! terraform's provider agree on (`ibm-cloud-docs/loadbalancer-service`, terraform-provider-ibm issue 225).

pub mod change;
mod meddle;
pub mod order;
pub mod refused;
pub mod setup;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::Serialize;

use super::{Cloud, Event, Id};
use change::{Change, Stamp};
pub use refused::BalancerRefused;
use setup::Setup;

/// A load balancer.
#[derive(Clone, Debug, Serialize)]
pub struct Balancer {
    /// Its id.
    pub id: Id,
    /// Its UUID: what most calls name it by.
    pub uuid: String,
    /// The customer's name for it, unique without regard to case.
    pub name: String,
    /// The customer's words about it.
    pub description: String,
    /// Which networks its two sides are in.
    pub kind: BalancerKind,
    /// The datacenter it is in.
    pub datacenter: Id,
    /// Where clients reach it.
    pub front: Attachment,
    /// From where it reaches its members.
    pub back: Attachment,
    /// How far its last change is.
    pub status: Status,
    /// Whether it says that it works.
    pub online: bool,
    /// What the last failed change failed of.
    pub previous_error: Option<String>,
    /// What it shall do.
    pub wanted: Setup,
    /// What it does.
    pub in_force: Setup,
    /// When it was ordered.
    pub created: Timestamp,
    /// When it last changed.
    pub modified: Timestamp,
    /// Names the pending change, so that an end that comes late is not taken for another's.
    #[serde(skip)]
    pending: Id,
}

/// Which networks the two sides of a balancer are in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum BalancerKind {
    /// Clients and members on the private network: type 0.
    PrivateToPrivate,
    /// Clients on the public, members on the private network: type 1.
    PublicToPrivate,
    /// Clients and members on the public network: type 2.
    PublicToPublic,
}

impl BalancerKind {
    /// SoftLayer's number for it.
    pub fn number(self) -> u8 {
        match self {
            Self::PrivateToPrivate => 0,
            Self::PublicToPrivate => 1,
            Self::PublicToPublic => 2,
        }
    }

    /// The kind of this number.
    pub fn by_number(number: u64) -> Option<Self> {
        [Self::PrivateToPrivate, Self::PublicToPrivate, Self::PublicToPublic]
            .into_iter()
            .find(|kind| u64::from(kind.number()) == number)
    }
}

/// An address of a balancer in a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Attachment {
    /// The subnet.
    pub subnet: Id,
    /// The address.
    pub address: Ipv4Addr,
}

/// How far the last change of a balancer, or of a part of one, is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Being made.
    CreatePending,
    /// As wanted.
    Active,
    /// Being changed.
    UpdatePending,
    /// Going.
    DeletePending,
    /// Broken: it can only be cancelled.
    Error,
}

impl Status {
    /// SoftLayer's `provisioningStatus`.
    pub fn key(self) -> &'static str {
        match self {
            Self::CreatePending => "CREATE_PENDING",
            Self::Active => "ACTIVE",
            Self::UpdatePending => "UPDATE_PENDING",
            Self::DeletePending => "DELETE_PENDING",
            Self::Error => "ERROR",
        }
    }
}

/// What was measured at a balancer that carries real packets.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Measured {
    /// By listener and member: whether the member passes its health check.
    #[serde(skip)]
    pub up: BTreeMap<(Id, Id), bool>,
    /// Connections that are open now.
    pub connections: u64,
    /// Connections accepted in the last second.
    pub connection_rate: u64,
    /// Bytes from members to clients since it began.
    pub bytes: u64,
}

impl Balancer {
    /// Whether it carries packets.
    pub fn is_up(&self) -> bool {
        !matches!(self.status, Status::CreatePending | Status::Error)
    }
}

impl Cloud {
    /// The balancer of this name.
    pub fn balancer(&self, name: &str) -> Option<&Balancer> {
        self.balancers.values().find(|balancer| balancer.name.eq_ignore_ascii_case(name))
    }

    /// The balancer of this UUID.
    pub(crate) fn balancer_by_uuid(&self, uuid: &str) -> Option<&Balancer> {
        self.balancers.values().find(|balancer| balancer.uuid == uuid)
    }

    /// Makes one change of a balancer, which takes effect after [`super::spec::Delays`]. Answers its id.
    pub fn change_balancer(&mut self, uuid: &str, change: &Change) -> Result<Id, BalancerRefused> {
        let mut stamp = Stamp { next: self.next_id, today: self.today() };
        let balancer = self.free_for_a_change(uuid)?;
        let setup = change.apply(balancer.kind, &balancer.wanted, &mut stamp)?;
        let id = balancer.id;
        self.next_id = stamp.next;
        if let Some(balancer) = self.balancers.get_mut(&id) {
            balancer.wanted = setup;
            balancer.status = Status::UpdatePending;
            balancer.modified = stamp.today;
            if let Change::Describe(description) = change {
                balancer.description.clone_from(description);
            }
        }
        self.settle_balancer_after(id, self.delays.balancer_update_ms);
        Ok(id)
    }

    /// Cancels a balancer: it goes after [`super::spec::Delays`], and works until then.
    pub fn cancel_balancer(&mut self, uuid: &str) -> Result<(), BalancerRefused> {
        let found = self.balancer_by_uuid(uuid);
        let balancer = found.ok_or_else(|| BalancerRefused::NoSuchBalancer(uuid.to_owned()))?;
        // One in error can still be cancelled; nothing else can be done with it.
        let id = match balancer.status {
            Status::Active | Status::Error => balancer.id,
            status => return Err(BalancerRefused::Pending { uuid: uuid.to_owned(), status }),
        };
        if let Some(balancer) = self.balancers.get_mut(&id) {
            balancer.status = Status::DeletePending;
        }
        self.settle_balancer_after(id, self.delays.balancer_delete_ms);
        Ok(())
    }

    pub(super) fn settle_balancer(&mut self, id: Id, pending: Id) {
        let Some(balancer) = self.balancers.get_mut(&id).filter(|balancer| balancer.pending == pending)
        else {
            return;
        };
        if balancer.status == Status::DeletePending {
            self.balancers.remove(&id);
            return;
        }
        balancer.online |= balancer.status == Status::CreatePending;
        balancer.in_force = balancer.wanted.clone();
        balancer.status = Status::Active;
    }

    fn settle_balancer_after(&mut self, id: Id, after_ms: u64) {
        let pending = self.new_id();
        if let Some(balancer) = self.balancers.get_mut(&id) {
            balancer.pending = pending;
        }
        self.schedule(after_ms, Event::BalancerSettled { balancer: id, pending });
        self.happen_now();
    }

    fn free_for_a_change(&self, uuid: &str) -> Result<&Balancer, BalancerRefused> {
        let found = self.balancer_by_uuid(uuid);
        let balancer = found.ok_or_else(|| BalancerRefused::NoSuchBalancer(uuid.to_owned()))?;
        match balancer.status {
            Status::Active => Ok(balancer),
            status => Err(BalancerRefused::Pending { uuid: uuid.to_owned(), status }),
        }
    }
}
