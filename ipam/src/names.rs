//! The names and numbers of the protocol: small types, so that one is never taken for another.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub String);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
    };
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

name! {
    /// A host of the cluster, stable over reboots.
    HostId
}
name! {
    /// What the provider calls the machine; where there is no provider, its machine id and MAC.
    InstanceId
}
name! {
    /// One boot of one machine, as `/proc/sys/kernel/random/boot_id` tells it.
    BootId
}
name! {
    /// A pool: what users ask addresses from.
    PoolName
}
name! {
    /// The L2 domain in which a subnet can be used.
    Zone
}
name! {
    /// A container's attachment to a network, named by whoever attaches it.
    EndpointId
}
name! {
    /// A named address that outlives containers.
    ReservationName
}
number! {
    /// Milliseconds of this boot's clock (`CLOCK_BOOTTIME`). Never read here, always passed in;
    /// not comparable between boots or hosts.
    Timestamp
}
number! {
    /// Grows each time a host is evicted. Starts at 1.
    Incarnation
}
number! {
    /// A position in the store's history. For a value: when it was last written.
    Revision
}
number! {
    /// Names a request of the shell; comes back in its answer.
    RequestId
}
number! {
    /// Names an effect; comes back in its outcome.
    Token
}

impl Timestamp {
    /// This time and `millis` more, never past the end of time.
    #[must_use]
    pub fn after(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

/// A host in one incarnation: what a block records as the holder of an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Holder {
    /// The host.
    pub host: HostId,
    /// The life of that host in which it gained the address.
    pub incarnation: Incarnation,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (incarnation {})", self.host, self.incarnation)
    }
}

/// How many addresses a block has at most: what one value of the store can reasonably describe.
pub const BLOCK_ADDRESSES_MAX: u32 = 256;

/// An aligned slice of a subnet, at most [`BLOCK_ADDRESSES_MAX`] addresses: the unit of
/// compare-and-swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct BlockId {
    /// The subnet, as its network address and prefix.
    pub subnet: IpNetwork,
    /// Which slice of it, from 0.
    pub index: u32,
}

impl BlockId {
    /// The block of `subnet` in which `address` lies; `None` when it lies outside, or beyond the
    /// slices that an index can name (only the far end of a vast IPv6 subnet).
    pub fn of(subnet: IpNetwork, address: IpAddr) -> Option<Self> {
        if !subnet.contains(address) {
            return None;
        }
        let offset = number_of(address) - number_of(subnet.network());
        let index = u32::try_from(offset / u128::from(BLOCK_ADDRESSES_MAX)).ok()?;
        Some(Self { subnet: network_of(subnet), index })
    }

    /// The blocks of a subnet, in order. A vast IPv6 subnet has more than anyone will ask for.
    pub fn all_of(subnet: IpNetwork) -> impl Iterator<Item = Self> {
        let subnet = network_of(subnet);
        let last = (last_of(subnet) - number_of(subnet.network())) / u128::from(BLOCK_ADDRESSES_MAX);
        let last = u32::try_from(last).unwrap_or(u32::MAX);
        (0..=last).map(move |index| Self { subnet, index })
    }

    /// Every address of the block, in order, those set aside included.
    pub fn addresses(self) -> impl Iterator<Item = IpAddr> {
        let first = self.first();
        let last = first.saturating_add(u128::from(BLOCK_ADDRESSES_MAX - 1)).min(last_of(self.subnet));
        (first..=last).map(move |number| address_of(number, self.subnet.is_ipv4()))
    }

    /// How many addresses it has, those set aside included.
    pub(crate) fn size(self) -> usize {
        let beyond = last_of(self.subnet).saturating_add(1).saturating_sub(self.first());
        beyond.min(u128::from(BLOCK_ADDRESSES_MAX)) as usize
    }

    /// From its first address to its last: in their order the addresses of a block follow each other.
    pub(crate) fn range(self) -> RangeInclusive<IpAddr> {
        let (first, last) = (self.first(), self.first().saturating_add(u128::from(BLOCK_ADDRESSES_MAX - 1)));
        let v4 = self.subnet.is_ipv4();
        let (first, last) = (address_of(first, v4), address_of(last.min(last_of(self.subnet)), v4));
        // The number of a block that came from outside may lie beyond its subnet.
        first..=last.max(first)
    }

    fn first(self) -> u128 {
        number_of(self.subnet.network())
            .saturating_add(u128::from(self.index) * u128::from(BLOCK_ADDRESSES_MAX))
    }

    /// Whether `address` lies in this block.
    pub fn contains(self, address: IpAddr) -> bool {
        Self::of(self.subnet, address) == Some(self)
    }
}

impl fmt::Display for BlockId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.subnet, self.index)
    }
}

/// The subnet with its host bits cleared, so that it has one spelling.
pub(crate) fn network_of(subnet: IpNetwork) -> IpNetwork {
    IpNetwork::new(subnet.network(), subnet.prefix()).unwrap_or(subnet)
}

pub(crate) fn number_of(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

pub(crate) fn address_of(number: u128, v4: bool) -> IpAddr {
    if v4 { IpAddr::V4((number as u32).into()) } else { IpAddr::V6(number.into()) }
}

fn last_of(subnet: IpNetwork) -> u128 {
    match subnet {
        IpNetwork::V4(subnet) => u128::from(u32::from(subnet.broadcast())),
        IpNetwork::V6(subnet) => u128::from(subnet.broadcast()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_as_many_addresses_as_it_lists() {
        for (subnet, index) in [
            ("10.0.0.0/22", 3),
            ("10.0.0.0/24", 0),
            ("10.0.0.8/29", 0),
            ("10.0.0.4/32", 0),
            ("10.0.0.0/22", 4),
        ]
        .into_iter()
        .chain([
            ("2001:db8::/120", 0),
            ("2001:db8::/64", 7),
            ("::/0", u32::MAX),
            ("ffff::ff00/121", 0),
        ]) {
            let block = BlockId { subnet: network_of(subnet.parse().unwrap()), index };
            assert_eq!(block.size(), block.addresses().count(), "{block}");
        }
    }
}
