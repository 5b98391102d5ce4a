//! From facts to records.

use std::net::IpAddr;

use api::Transport;

use crate::domain::{Domain, Subject};
use crate::facts::{Facts, Member, Port};

/// What is asked for, as far as it makes a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Where a service listens. Source: RFC 2782.
    Srv,
    /// The name of an address.
    Ptr,
    /// What the domain says of itself.
    Soa,
    /// Whatever there is: answered with addresses. Source: RFC 8482, section 4.1 lets a responder choose.
    Any,
    /// Something that we have none of.
    Other,
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// These records, and such that are asked for next.
    Records {
        /// To the question.
        answers: Vec<Record>,
        /// Beside it.
        beside: Vec<Record>,
    },
    /// There is such a name, and nothing of the kind that is asked for.
    NoData,
    /// There is no such name.
    NoName,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Of which name; none: of the one that is asked for.
    pub name: Option<String>,
    /// What it says.
    pub data: Data,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// An address.
    Address(IpAddr),
    /// Where a service listens.
    Port {
        /// Its share beside others.
        weight: u16,
        /// The port.
        port: u16,
        /// Whose.
        target: String,
    },
    /// A name.
    Name(String),
    /// What the domain says of itself.
    Soa,
}

/// Of a service, a member or a port of it. `turn` is another one for each question: who comes first takes turns, those
/// of our own zones before the others.
pub fn of_service(facts: &Facts, subject: &Subject, kind: Kind, turn: usize, domain: &Domain) -> Reply {
    if !facts.exists {
        return Reply::NoName;
    }
    match subject {
        Subject::Service(_) | Subject::Bare(_) => {
            addresses(in_turn(facts, turn).map(|member| member.address), kind)
        }
        Subject::Member { member, .. } => {
            let is_meant = |it: &&Member| it.label == *member || it.container == *member;
            let meant: Vec<&Member> = in_turn(facts, turn).filter(is_meant).collect();
            if meant.is_empty() {
                return Reply::NoName;
            }
            addresses(meant.into_iter().map(|member| member.address), kind)
        }
        Subject::Port { port, transport, service } => {
            let Some(port) = asked_port(facts, port, *transport) else { return Reply::NoName };
            listening(facts, port, service, kind, turn, domain)
        }
        _ => Reply::NoName,
    }
}

/// Of a container: its addresses.
pub fn of_container(found: &[IpAddr], kind: Kind) -> Reply {
    if found.is_empty() { Reply::NoName } else { addresses(found.iter().copied(), kind) }
}

/// Of an address of ours: what the container that has it is called.
pub fn of_address(names: &[String], kind: Kind, domain: &Domain) -> Reply {
    match (names, kind) {
        ([], _) => Reply::NoName,
        (names, Kind::Ptr | Kind::Any) => {
            let record = |name: &String| Record { name: None, data: Data::Name(domain.of_container(name)) };
            Reply::Records { answers: names.iter().map(record).collect(), beside: Vec::new() }
        }
        _ => Reply::NoData,
    }
}

/// Of the domain itself.
pub fn of_the_domain(kind: Kind) -> Reply {
    match kind {
        Kind::Soa | Kind::Any => {
            Reply::Records { answers: vec![Record { name: None, data: Data::Soa }], beside: Vec::new() }
        }
        _ => Reply::NoData,
    }
}

/// A port by its name. The one port of a service that has no name is found by any: who asks for `_http` of a service
/// with one port means that one.
fn asked_port<'a>(facts: &'a Facts, name: &str, transport: Transport) -> Option<&'a Port> {
    let of_transport = || facts.ports.iter().filter(|port| port.transport == transport);
    let named = of_transport().find(|port| port.name.as_deref() == Some(name));
    named.or_else(|| of_transport().find(|port| port.name.is_none()))
}

fn listening(facts: &Facts, port: &Port, service: &str, kind: Kind, turn: usize, domain: &Domain) -> Reply {
    if !matches!(kind, Kind::Srv | Kind::Any) || facts.members.is_empty() {
        return Reply::NoData;
    }
    let (mut answers, mut beside) = (Vec::new(), Vec::new());
    for member in in_turn(facts, turn) {
        let target = domain.of_member(member.address, service);
        beside.push(Record { name: Some(target.clone()), data: Data::Address(member.address) });
        let (weight, port) = (u16::from(member.weight), facts.port_of(member, port));
        answers.push(Record { name: None, data: Data::Port { weight, port, target } });
    }
    Reply::Records { answers, beside }
}

/// The members, beginning with another one at each turn; those of our own zones before the others.
fn in_turn(facts: &Facts, turn: usize) -> impl Iterator<Item = &Member> {
    let (near, far) = facts.members.split_at(facts.near.min(facts.members.len()));
    turned(near, turn).chain(turned(far, turn))
}

fn turned(members: &[Member], turn: usize) -> impl Iterator<Item = &Member> {
    let (before, after) = members.split_at(turn.checked_rem(members.len()).unwrap_or(0));
    after.iter().chain(before)
}

fn addresses(found: impl Iterator<Item = IpAddr>, kind: Kind) -> Reply {
    let is_asked = |address: &IpAddr| match kind {
        Kind::A => address.is_ipv4(),
        Kind::Aaaa => address.is_ipv6(),
        Kind::Any => true,
        Kind::Srv | Kind::Ptr | Kind::Soa | Kind::Other => false,
    };
    let record = |address| Record { name: None, data: Data::Address(address) };
    let answers: Vec<Record> = found.filter(is_asked).map(record).collect();
    if answers.is_empty() { Reply::NoData } else { Reply::Records { answers, beside: Vec::new() } }
}

#[cfg(test)]
mod tests;
