//! Who may reach which container: exact per address and port, as sets that are changed element by element.
//!
//! It has an nftables table of its own, so that a change of policy touches nothing else, and a packet costs as much with
//! five thousand containers as with ten: one look-up for each length of prefix that the networks let in have.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::Protocol;

/// What containers accept of new connections. Replies, and pings, reach them always.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Containers that accept nothing but what is open. All others accept everything.
    pub guarded: BTreeSet<IpAddr>,
    /// What is open.
    pub openings: BTreeSet<Opening>,
}

/// A port of a container that some may connect to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Opening {
    /// The container.
    pub to: IpAddr,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Its port, 1 to 65535.
    pub port: u16,
    /// Who may; everybody is the network of prefix 0.
    pub from: IpNetwork,
}

/// How often an opening was used by packets that began or continued nothing known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    /// Packets that began a connection.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What is added to a policy and taken from it, in one transaction.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChange {
    /// Taken away.
    pub remove: Policy,
    /// Added.
    pub add: Policy,
    /// The lengths of the prefixes of all networks that are let in after it.
    pub prefixes: BTreeSet<u8>,
}

impl Policy {
    /// A policy of these, without what says nothing: openings of the address family that the data path does not have,
    /// and those within a wider one, which no packet would come to.
    pub fn new(guarded: BTreeSet<IpAddr>, openings: BTreeSet<Opening>) -> Self {
        let guarded = guarded.into_iter().filter(IpAddr::is_ipv4).collect();
        let possible = openings.into_iter().filter(|it| it.to.is_ipv4() && it.from.is_ipv4());
        let mut openings: Vec<Opening> = possible
            .map(|it| Opening {
                from: IpNetwork::new(it.from.network(), it.from.prefix()).unwrap_or(it.from),
                ..it
            })
            .collect();
        // The widest of each port first, so that one look at those kept is enough.
        openings.sort_by_key(|it| (it.to, it.protocol, it.port, it.from.prefix(), it.from.network()));
        let mut kept: Vec<Opening> = Vec::new();
        let mut of_port = 0;
        for opening in openings {
            if kept.get(of_port).is_some_and(|first| !first.is_beside(&opening)) {
                of_port = kept.len();
            }
            if !kept.iter().skip(of_port).any(|wider| wider.from.contains(opening.from.network())) {
                kept.push(opening);
            }
        }
        Self { guarded, openings: kept.into_iter().collect() }
    }

    /// Whether it asks for nothing.
    pub fn is_empty(&self) -> bool {
        self.guarded.is_empty() && self.openings.is_empty()
    }

    /// What turns this policy into another.
    pub fn change_to(&self, wanted: &Policy) -> PolicyChange {
        let difference = |from: &Policy, without: &Policy| Policy {
            guarded: from.guarded.difference(&without.guarded).copied().collect(),
            openings: from.openings.difference(&without.openings).cloned().collect(),
        };
        PolicyChange {
            remove: difference(self, wanted),
            add: difference(wanted, self),
            prefixes: wanted.openings.iter().map(|opening| opening.from.prefix()).collect(),
        }
    }
}

impl Opening {
    /// Whether it is open to everybody.
    pub fn is_for_all(&self) -> bool {
        self.from.prefix() == 0
    }

    /// Whether it is about the same port.
    fn is_beside(&self, other: &Opening) -> bool {
        (self.to, self.protocol, self.port) == (other.to, other.protocol, other.port)
    }
}

impl PolicyChange {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.add.is_empty()
    }
}

impl fmt::Display for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { to, protocol, port, from } = self;
        match self.is_for_all() {
            true => write!(f, "{to} {protocol} {port} to anybody"),
            false => write!(f, "{to} {protocol} {port} to {from}"),
        }
    }
}

impl fmt::Display for PolicyChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |set: &Policy| (set.guarded.len(), set.openings.len());
        match (count(&self.add), count(&self.remove)) {
            ((1, 0), (0, 0)) | ((0, 0), (1, 0)) | ((0, 1), (0, 0)) | ((0, 0), (0, 1)) => self.one(f),
            ((guard, open), (spare, close)) => {
                write!(
                    f,
                    "guard {guard} more and {spare} fewer addresses, open {open} more and {close} fewer ports"
                )
            }
        }
    }
}

impl PolicyChange {
    fn one(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = [(&self.add, "guard", "open"), (&self.remove, "guard no more", "close")];
        for (of, guard, open) in said {
            for address in &of.guarded {
                write!(f, "{guard} {address}")?;
            }
            for opening in &of.openings {
                write!(f, "{open} {opening}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opening(from: &str, port: u16) -> Opening {
        let to = "10.50.0.10".parse().unwrap();
        Opening { to, protocol: Protocol::Tcp, port, from: from.parse().unwrap() }
    }

    fn policy(openings: &[Opening]) -> Policy {
        Policy::new(BTreeSet::new(), openings.iter().cloned().collect())
    }

    #[test]
    fn what_a_wider_opening_has_is_not_opened_twice() {
        let wide = [opening("10.0.0.0/8", 80), opening("192.0.2.0/24", 80), opening("10.0.0.0/8", 81)];
        let mut all = wide.to_vec();
        all.extend(["10.1.0.0/16", "10.1.2.3/32", "192.0.2.7/32"].map(|from| opening(from, 80)));
        assert_eq!(policy(&all), policy(&wide));
        assert_eq!(policy(&wide).openings.len(), 3);
        all.push(opening("0.0.0.0/0", 80));
        assert_eq!(policy(&all), policy(&[opening("0.0.0.0/0", 80), opening("10.0.0.0/8", 81)]));
    }

    #[test]
    fn bits_beyond_the_prefix_say_nothing() {
        assert_eq!(policy(&[opening("10.1.2.3/8", 80)]), policy(&[opening("10.0.0.0/8", 80)]));
    }

    #[test]
    fn a_change_names_what_is_different_and_nothing_else() {
        let (before, after) = (
            policy(&[opening("10.0.0.0/8", 80), opening("10.0.0.0/8", 81)]),
            policy(&[opening("10.0.0.0/8", 80)]),
        );
        let change = before.change_to(&after);
        assert_eq!(change.to_string(), "close 10.50.0.10 tcp 81 to 10.0.0.0/8");
        assert!(after.change_to(&after).is_empty());
        assert_eq!(after.change_to(&before).to_string(), "open 10.50.0.10 tcp 81 to 10.0.0.0/8");
    }
}
