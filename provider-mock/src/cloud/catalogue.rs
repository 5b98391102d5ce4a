//! What can be ordered: portable subnets, by number of addresses.

use super::spec::NetworkSpace;

/// A portable subnet of one size, as an item of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// The item's id.
    pub id: u64,
    /// How many addresses.
    pub capacity: u32,
    /// Private or public.
    pub space: NetworkSpace,
    /// The id of the price that holds everywhere.
    pub price: u64,
    /// The id of a price that holds in one group of datacenters only; nothing is ordered by it here.
    pub local_price: u64,
}

/// The package that old clients order from (`packageId` 0).
pub const OLD_PACKAGE: u64 = 0;
/// The package of type `ADDITIONAL_SERVICES_PORTABLE_IP_ADDRESSES`.
pub const PORTABLE_PACKAGE: u64 = 571;

/// Every item. Price ids of 4, 16, 128 private and 4 public are SoftLayer's own (SLDN
/// `go/workingWithSubnets.md`, softlayer-python issue 2085); the others are ours.
pub const ITEMS: [Item; 14] = [
    item(4, NetworkSpace::Private, 13_981),
    item(8, NetworkSpace::Private, 13_983),
    item(16, NetworkSpace::Private, 13_982),
    item(32, NetworkSpace::Private, 13_984),
    item(64, NetworkSpace::Private, 13_985),
    item(128, NetworkSpace::Private, 37_054),
    item(256, NetworkSpace::Private, 37_055),
    item(4, NetworkSpace::Public, 13_980),
    item(8, NetworkSpace::Public, 13_970),
    item(16, NetworkSpace::Public, 13_971),
    item(32, NetworkSpace::Public, 13_972),
    item(64, NetworkSpace::Public, 13_973),
    item(128, NetworkSpace::Public, 13_974),
    item(256, NetworkSpace::Public, 13_975),
];

const fn item(capacity: u32, space: NetworkSpace, price: u64) -> Item {
    Item { id: 10_000 + price, capacity, space, price, local_price: 500_000 + price }
}

impl Item {
    /// The item of this id.
    pub fn by_id(id: u64) -> Option<&'static Self> {
        ITEMS.iter().find(|item| item.id == id)
    }

    /// The item with this price.
    pub fn by_price(price: u64) -> Option<&'static Self> {
        ITEMS.iter().find(|item| item.price == price)
    }

    /// The prefix length of such a subnet.
    pub fn prefix(&self) -> u8 {
        u8::try_from(32 - self.capacity.ilog2()).unwrap_or(32)
    }

    /// As `64_PORTABLE_PRIVATE_IP_ADDRESSES`.
    pub fn key(&self) -> String {
        format!("{}_PORTABLE_{}_IP_ADDRESSES", self.capacity, self.space.key())
    }

    /// As `64 Portable Private IP Addresses`.
    pub fn description(&self) -> String {
        let space = match self.space {
            NetworkSpace::Private => "Private",
            NetworkSpace::Public => "Public",
        };
        format!("{} Portable {space} IP Addresses", self.capacity)
    }

    /// The category's code and name.
    pub fn category(&self) -> (&'static str, &'static str) {
        match self.space {
            NetworkSpace::Private => ("sov_sec_ip_addresses_priv", "Secondary Portable Private IP Addresses"),
            NetworkSpace::Public => ("sov_sec_ip_addresses_pub", "Secondary Portable Public IP Addresses"),
        }
    }

    /// What it costs a month, as SoftLayer writes decimals: as a string.
    pub fn monthly(&self) -> String {
        match self.space {
            NetworkSpace::Private => "0".to_owned(),
            NetworkSpace::Public => self.capacity.to_string(),
        }
    }
}
