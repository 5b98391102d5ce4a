//! Local load balancers, the product of 2014: a virtual address, its virtual servers, and the services behind each.
//!
//! Everything is edited from the root, one change at a time; during one, any other fails with a text. Facts:
//! terraform-provider-ibm `resource_ibm_lb*.go`, softlayer-python's fixtures. The product is deprecated: nobody can order
//! one, so they are there from the start.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::Serialize;

use super::balancer::Attachment;
use super::balancer::setup::{End, Listener, Method, Monitor, Protocol, Server, Setup};
use super::spec::LocalBalancerSpec;
use super::{Cloud, Event, Id};

/// A virtual address.
#[derive(Clone, Debug, Serialize)]
pub struct LocalBalancer {
    /// Its id.
    pub id: Id,
    /// Where clients connect.
    pub at: Attachment,
    /// What it shall do.
    pub wanted: Vec<VirtualServer>,
    /// What it does.
    pub in_force: Vec<VirtualServer>,
    /// The change that is under way.
    pub pending: Option<Id>,
}

/// A port of a virtual address, with its one group of services.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VirtualServer {
    /// Its id; its group has the next one.
    pub id: Id,
    /// The port.
    pub port: u16,
    /// Its share of the connections, in percent.
    pub allocation: u8,
    /// How a service is chosen.
    pub method: u64,
    /// What is understood of what passes through.
    pub kind: u64,
    /// Who serves.
    pub services: Vec<LocalService>,
}

impl VirtualServer {
    /// The id of its group.
    pub fn group(&self) -> Id {
        self.id + 1
    }
}

/// An address and port that serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LocalService {
    /// Its id.
    pub id: Id,
    /// The record of its address.
    pub address_id: Id,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// Whether it gets anything.
    pub enabled: bool,
    /// The kind of its health check.
    pub health: u64,
    /// Its share, from 1.
    pub weight: u8,
}

/// What an edit says of a virtual server; one without an id is new. What is not said stays.
#[derive(Clone, Debug, Default)]
pub struct ServerEdit {
    /// Which.
    pub id: Option<Id>,
    /// See [`VirtualServer`].
    pub port: Option<u16>,
    /// See [`VirtualServer`].
    pub allocation: Option<u8>,
    /// See [`VirtualServer`].
    pub method: Option<u64>,
    /// See [`VirtualServer`].
    pub kind: Option<u64>,
    /// Services of its group.
    pub services: Vec<ServiceEdit>,
}

/// What an edit says of a service; one without an id is new.
#[derive(Clone, Debug, Default)]
pub struct ServiceEdit {
    /// Which.
    pub id: Option<Id>,
    /// See [`LocalService`].
    pub address_id: Option<Id>,
    /// See [`LocalService`].
    pub port: Option<u16>,
    /// See [`LocalService`].
    pub enabled: Option<bool>,
    /// See [`LocalService`].
    pub health: Option<u64>,
    /// See [`LocalService`].
    pub weight: Option<u8>,
}

/// Why a change is not made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LocalRefused {
    /// Another change is under way: one of the texts that terraform's provider tries again after.
    #[error("The resource '480' is already in use.")]
    Busy,
    /// There is no such thing.
    #[error("Unable to find object with id of '{0}'.")]
    NotFound(Id),
    /// It cannot be; the texts are ours.
    #[error("{0}")]
    Invalid(String),
}

/// Health checks by their ids. Source: softlayer-python's fixtures.
pub const HEALTH: [(u64, &str); 6] =
    [(21, "DEFAULT"), (2, "HTTP"), (1, "TCP"), (4, "ICMP"), (3, "DNS"), (5, "HTTP-CUSTOM")];

/// What is understood of what passes through, by its id. Source: the same.
pub const KINDS: [(u64, &str); 6] =
    [(2, "HTTP"), (3, "TCP"), (6, "UDP"), (41, "HTTPS"), (5, "FTP"), (4, "DNS")];

impl Cloud {
    pub(super) fn add_local_balancer(&mut self, spec: &LocalBalancerSpec) {
        let Some(subnet) = self.vlans.get(&spec.vlan).map(|vlan| vlan.primary_subnet) else { return };
        let Ok(at) = self.attach(subnet) else { return };
        let id = self.new_id();
        let (wanted, in_force) = (Vec::new(), Vec::new());
        self.local_balancers.insert(id, LocalBalancer { id, at, wanted, in_force, pending: None });
    }

    /// The first one there is.
    pub fn local_balancer(&self) -> Option<&LocalBalancer> {
        self.local_balancers.values().next()
    }

    /// Edits a virtual address from its root.
    pub fn edit_local_balancer(&mut self, id: Id, edits: &[ServerEdit]) -> Result<(), LocalRefused> {
        self.change_local(id, |cloud, servers| {
            for edit in edits {
                cloud.edit_server(servers, edit)?;
            }
            let shared: u32 = servers.iter().map(|server| u32::from(server.allocation)).sum();
            if shared > 100 {
                let text = format!("The allocations of the virtual servers are {shared} percent in all.");
                return Err(LocalRefused::Invalid(text));
            }
            Ok(())
        })
    }

    /// Deletes a virtual server, with its services.
    pub fn delete_virtual_server(&mut self, id: Id) -> Result<(), LocalRefused> {
        let holder = self.local_balancers.values().find(|it| it.wanted.iter().any(|it| it.id == id));
        let holder = holder.ok_or(LocalRefused::NotFound(id))?.id;
        self.change_local(holder, |_, servers| {
            servers.retain(|server| server.id != id);
            Ok(())
        })
    }

    /// Deletes a service.
    pub fn delete_local_service(&mut self, id: Id) -> Result<(), LocalRefused> {
        let has = |server: &VirtualServer| server.services.iter().any(|it| it.id == id);
        let holder = self.local_balancers.values().find(|it| it.wanted.iter().any(has));
        let holder = holder.ok_or(LocalRefused::NotFound(id))?.id;
        self.change_local(holder, |_, servers| {
            servers.iter_mut().for_each(|server| server.services.retain(|it| it.id != id));
            Ok(())
        })
    }

    /// Makes one change of what a virtual address shall do, in force later.
    fn change_local(
        &mut self,
        id: Id,
        change: impl FnOnce(&mut Self, &mut Vec<VirtualServer>) -> Result<(), LocalRefused>,
    ) -> Result<(), LocalRefused> {
        let balancer = self.local_balancers.get(&id).ok_or(LocalRefused::NotFound(id))?;
        if balancer.pending.is_some() {
            return Err(LocalRefused::Busy);
        }
        let mut servers = balancer.wanted.clone();
        change(self, &mut servers)?;
        let pending = self.new_id();
        if let Some(balancer) = self.local_balancers.get_mut(&id) {
            balancer.wanted = servers;
            balancer.pending = Some(pending);
        }
        self.schedule(self.delays.local_balancer_ms, Event::LocalBalancerSettled { balancer: id, pending });
        self.happen_now();
        Ok(())
    }

    pub(super) fn settle_local_balancer(&mut self, id: Id, pending: Id) {
        let Some(balancer) = self.local_balancers.get_mut(&id).filter(|it| it.pending == Some(pending))
        else {
            return;
        };
        balancer.pending = None;
        balancer.in_force = balancer.wanted.clone();
    }

    fn edit_server(
        &mut self,
        servers: &mut Vec<VirtualServer>,
        edit: &ServerEdit,
    ) -> Result<(), LocalRefused> {
        let invalid = |text: &str| LocalRefused::Invalid(text.to_owned());
        let id = match edit.id {
            Some(id) => id,
            None => {
                let port = edit.port.filter(|port| *port > 0);
                let port = port.ok_or_else(|| invalid("A virtual server must have a port."))?;
                if servers.iter().any(|server| server.port == port) {
                    return Err(invalid("A virtual server with this port exists already."));
                }
                let id = self.new_id();
                // Its group's.
                self.new_id();
                let (method, kind) = (10, 3);
                servers.push(VirtualServer { id, port, allocation: 0, method, kind, services: Vec::new() });
                id
            }
        };
        let server = servers.iter_mut().find(|server| server.id == id);
        let server = server.ok_or(LocalRefused::NotFound(id))?;
        server.port = edit.port.unwrap_or(server.port);
        server.allocation = edit.allocation.unwrap_or(server.allocation);
        server.method = edit.method.unwrap_or(server.method);
        server.kind = edit.kind.unwrap_or(server.kind);
        if KINDS.iter().all(|(kind, _)| *kind != server.kind) {
            return Err(invalid("The routing type is not known."));
        }
        for edit in &edit.services {
            self.edit_service(server, edit)?;
        }
        Ok(())
    }

    fn edit_service(&mut self, server: &mut VirtualServer, edit: &ServiceEdit) -> Result<(), LocalRefused> {
        let invalid = |text: &str| LocalRefused::Invalid(text.to_owned());
        let id = match edit.id {
            Some(id) => id,
            None => {
                let address_id =
                    edit.address_id.ok_or_else(|| invalid("A service must have an ipAddressId."))?;
                let record = self.addresses.get(&address_id).ok_or(LocalRefused::NotFound(address_id))?;
                let address = record.ip;
                let port = edit.port.filter(|port| *port > 0);
                let port = port.ok_or_else(|| invalid("A service must have a port."))?;
                if server.services.iter().any(|it| (it.address, it.port) == (address, port)) {
                    return Err(invalid("This service exists already."));
                }
                let id = self.new_id();
                let (enabled, health, weight) = (true, 21, 1);
                server.services.push(LocalService { id, address_id, address, port, enabled, health, weight });
                id
            }
        };
        let service = server.services.iter_mut().find(|service| service.id == id);
        let service = service.ok_or(LocalRefused::NotFound(id))?;
        service.port = edit.port.unwrap_or(service.port);
        service.enabled = edit.enabled.unwrap_or(service.enabled);
        service.health = edit.health.unwrap_or(service.health);
        service.weight = edit.weight.unwrap_or(service.weight);
        if HEALTH.iter().all(|(kind, _)| *kind != service.health) {
            return Err(invalid("The health check type is not known."));
        }
        if service.weight == 0 {
            return Err(invalid("The weight of a service must be at least 1."));
        }
        Ok(())
    }
}

impl LocalBalancer {
    /// What it does, as the fabric carries it out. UDP is not carried.
    pub fn setup(&self) -> Setup {
        let carried = self.in_force.iter().filter(|server| server.kind != 6);
        let (listeners, monitors) = carried.map(carried_out).unzip();
        Setup { listeners, monitors, members: Vec::new() }
    }
}

fn carried_out(server: &VirtualServer) -> (Listener, Monitor) {
    let http = KINDS.iter().any(|(kind, word)| *kind == server.kind && *word == "HTTP");
    let protocol = if http { Protocol::Http } else { Protocol::Tcp };
    // Told apart by the virtual server: each service has a port of its own.
    let backend = End { protocol, port: server.port };
    let then = Timestamp::UNIX_EPOCH;
    let servers = server.services.iter().map(|it| Server {
        id: it.id,
        address: it.address,
        port: it.port,
        weight: if it.enabled { it.weight } else { 0 },
    });
    let listener = Listener {
        id: server.id,
        frontend: End { protocol, port: server.port },
        backend,
        method: Method::Weighted,
        session: None,
        connections_max: None,
        client_timeout_secs: 15,
        server_timeout_secs: 15,
        only: Some(servers.collect()),
        created: then,
        modified: then,
    };
    let asks = server.services.first().is_some_and(|service| service.health == 2);
    let monitor = Monitor {
        id: server.group(),
        backend,
        interval_secs: 5,
        timeout_secs: 2,
        retries_max: 2,
        path: (http && asks).then(|| "/".to_owned()),
        created: then,
        modified: then,
    };
    (listener, monitor)
}
