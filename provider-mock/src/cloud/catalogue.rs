//! What can be ordered: portable subnets, by number of addresses, and load balancers.

use super::spec::NetworkSpace;

/// An item of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    /// The item's id.
    pub id: u64,
    /// What it is.
    pub what: What,
    /// The id of the price that holds everywhere.
    pub price: u64,
    /// The id of a price that holds in one group of datacenters only; nothing is ordered by it here.
    pub local_price: u64,
}

/// What an item is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// A portable subnet of one size.
    Portable(Portable),
    /// A load balancer, by the hour.
    Balancer,
}

/// A portable subnet of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Portable {
    /// How many addresses.
    pub capacity: u32,
    /// Private or public.
    pub space: NetworkSpace,
}

/// The package that old clients order from (`packageId` 0).
pub const OLD_PACKAGE: u64 = 0;
/// The package of type `ADDITIONAL_SERVICES_PORTABLE_IP_ADDRESSES`.
pub const PORTABLE_PACKAGE: u64 = 571;
/// The package `LBAAS`, of type `LOAD_BALANCER_AS_A_SERVICE`. The number is ours.
pub const BALANCER_PACKAGE: u64 = 805;

/// A load balancer. Key name, price and category are ours; the real package has several prices, all of which an
/// order names.
pub const BALANCER: Item = Item { id: 20_805, what: What::Balancer, price: 10_805, local_price: 510_805 };

/// Every portable subnet. Price ids of 4, 16, 128 private and 4 public are SoftLayer's own (SLDN
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
    let what = What::Portable(Portable { capacity, space });
    Item { id: 10_000 + price, what, price, local_price: 500_000 + price }
}

impl Portable {
    /// The prefix length of such a subnet.
    pub fn prefix(&self) -> u8 {
        u8::try_from(32 - self.capacity.ilog2()).unwrap_or(32)
    }
}

impl Item {
    /// The item of this id.
    pub fn by_id(id: u64) -> Option<&'static Self> {
        ITEMS.iter().chain([&BALANCER]).find(|item| item.id == id)
    }

    /// The portable subnet with this price.
    pub fn subnet_by_price(price: u64) -> Option<(&'static Self, Portable)> {
        let item = ITEMS.iter().find(|item| item.price == price)?;
        Some((item, item.portable()?))
    }

    /// The items of a package.
    pub fn of_package(package: u64) -> &'static [Self] {
        if package == BALANCER_PACKAGE { &[BALANCER] } else { &ITEMS }
    }

    /// The subnet that it is, if it is one.
    pub fn portable(&self) -> Option<Portable> {
        match self.what {
            What::Portable(portable) => Some(portable),
            What::Balancer => None,
        }
    }

    /// As `64_PORTABLE_PRIVATE_IP_ADDRESSES`.
    pub fn key(&self) -> String {
        match self.what {
            What::Portable(Portable { capacity, space }) => {
                format!("{capacity}_PORTABLE_{}_IP_ADDRESSES", space.key())
            }
            What::Balancer => "LOAD_BALANCER_AS_A_SERVICE".to_owned(),
        }
    }

    /// As `64 Portable Private IP Addresses`.
    pub fn description(&self) -> String {
        match self.what {
            What::Portable(Portable { capacity, space: NetworkSpace::Private }) => {
                format!("{capacity} Portable Private IP Addresses")
            }
            What::Portable(Portable { capacity, space: NetworkSpace::Public }) => {
                format!("{capacity} Portable Public IP Addresses")
            }
            What::Balancer => "Load Balancer as a Service".to_owned(),
        }
    }

    /// How many of what, as SoftLayer writes it.
    pub fn capacity(&self) -> (String, &'static str) {
        match self.what {
            What::Portable(Portable { capacity, .. }) => (capacity.to_string(), "IPs"),
            What::Balancer => ("0".to_owned(), "N/A"),
        }
    }

    /// The category's id, code and name.
    pub fn category(&self) -> (u64, &'static str, &'static str) {
        match self.what {
            What::Portable(Portable { space: NetworkSpace::Private, .. }) => {
                (50, "sov_sec_ip_addresses_priv", "Secondary Portable Private IP Addresses")
            }
            What::Portable(Portable { space: NetworkSpace::Public, .. }) => {
                (51, "sov_sec_ip_addresses_pub", "Secondary Portable Public IP Addresses")
            }
            What::Balancer => (52, "load_balancer_as_a_service", "Load Balancer as a Service"),
        }
    }

    /// What it costs a month, as SoftLayer writes decimals: as a string.
    pub fn monthly(&self) -> String {
        match self.what {
            What::Portable(Portable { capacity, space: NetworkSpace::Public }) => capacity.to_string(),
            _ => "0".to_owned(),
        }
    }

    /// What it costs an hour.
    pub fn hourly(&self) -> &'static str {
        match self.what {
            What::Portable(_) => "0",
            What::Balancer => ".0375",
        }
    }
}
