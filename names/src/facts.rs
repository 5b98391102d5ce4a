//! What is known of a service: who takes part in it, and where they listen.

use std::collections::BTreeSet;
use std::net::IpAddr;

use api::Transport;
use ipam::Zone;
use services::{Vigil, implied, judge};

use crate::domain::dashed;

/// What is answered about a service, until something changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether it is there at all: declared, or with a member.
    pub exists: bool,
    /// Where its members listen; the first is what is meant where no other is named.
    pub ports: Vec<Port>,
    /// Who takes part, those of our own zones first.
    pub members: Vec<Member>,
    /// How many of them are in our own zones.
    pub near: usize,
}

/// Where the members of a service listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// What it is called.
    pub name: Option<String>,
    /// What is spoken to it.
    pub transport: Transport,
    /// The port.
    pub port: u16,
}

/// A container that takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its address.
    pub address: IpAddr,
    /// Its address as a label.
    pub label: String,
    /// Its name, in lower case.
    pub container: String,
    /// Its share beside others, 0 to 100.
    pub weight: u8,
    /// Where it listens itself, if its label says so: counts in place of the service's first port.
    pub port: Option<u16>,
}

impl Facts {
    /// Of a service that is declared, or made by its members' labels, as one who is in these zones sees it.
    pub fn of(
        declared: Option<&api::Service>,
        members: &[services::Member],
        vigil: &Vigil,
        zones: &BTreeSet<Zone>,
    ) -> Self {
        let by_labels = || implied("", members.iter().filter_map(|member| member.port));
        let ports = declared.map_or_else(|| by_labels().ports, |service| service.ports.clone());
        let standings = judge(members, vigil);
        let taking_part = members.iter().zip(standings).filter(|(_, standing)| standing.is_in());
        let (near, far): (Vec<_>, Vec<_>) = taking_part.partition(|(member, _)| zones.contains(&member.zone));
        Self {
            exists: declared.is_some() || !members.is_empty(),
            ports: ports.into_iter().map(Port::from).collect(),
            near: near.len(),
            members: near.into_iter().chain(far).map(|(member, _)| Member::from(member)).collect(),
        }
    }

    /// Where a member listens that is asked for a port.
    pub(crate) fn port_of(&self, member: &Member, port: &Port) -> u16 {
        let is_first = self.ports.first() == Some(port);
        member.port.filter(|_| is_first).unwrap_or(port.port)
    }
}

impl From<api::ServicePort> for Port {
    fn from(port: api::ServicePort) -> Self {
        let name = port.name.map(|name| name.to_ascii_lowercase());
        Self { name, transport: port.transport, port: port.port.get() }
    }
}

impl From<&services::Member> for Member {
    fn from(member: &services::Member) -> Self {
        Self {
            address: member.address,
            label: dashed(member.address),
            container: member.container.to_ascii_lowercase(),
            weight: member.weight,
            port: member.port.map(Into::into),
        }
    }
}
