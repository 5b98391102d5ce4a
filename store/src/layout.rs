//! What every key is called, and how values are written: the only place that spells a key.
//!
//! ```
//! use store::layout::{Item, Under};
//!
//! let block = Item::Block { zone: "vlan-9".into(), subnet: "10.11.4.0/26".parse()?, index: 0 };
//! assert_eq!(block.key().as_str(), "blocks/vlan-9/10.11.4.0-26/0");
//! assert_eq!(Item::of(&block.key()), Some(block.clone()));
//! assert!(Under::Blocks.prefix().covers(&block.key()));
//! # Ok::<(), ipnetwork::IpNetworkError>(())
//! ```

mod text;
mod under;
mod value;

#[cfg(test)]
mod tests;

pub use under::Under;
pub use value::{VERSION, ValueError, decode, encode};

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::Key;
use text::{join, split};

/// Stands for every container of a host; Docker's ids are 64 hexadecimal digits.
const WHOLE_HOST: &str = "all";

/// One thing that is stored, by what it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// `cluster`: id, generation, state.
    Cluster,
    /// `founding`: the name under which the cluster was founded, and when.
    Founding,
    /// `copying`: this store is being filled from another one, and is nobody's until that is done.
    Copying,
    /// `moved`: this store was frozen because another one goes on in its place.
    Moved,
    /// `rebuild`: the store was lost and made anew, and who is awaited since.
    Rebuild,
    /// `hosts/<id>`: instance id, incarnation, boot id, zones.
    Host(String),
    /// `sessions/<id>`: a host's sign of life.
    Session(String),
    /// `descriptions/<id>`: what people call a host.
    Description(String),
    /// `evictions/<id>`: when and on whose word a host was evicted last.
    Eviction(String),
    /// `blocks/<zone>/<subnet>/<n>`: who holds which of up to 256 addresses.
    Block {
        /// The zone of the subnet: what a host is shown of blocks does not grow with other zones.
        zone: String,
        /// The subnet it is a slice of.
        subnet: IpNetwork,
        /// Which slice, from 0.
        index: u32,
    },
    /// `surplus/<zone>/<host>`: a hint of how many free addresses a host holds.
    Surplus {
        /// Where.
        zone: String,
        /// Whose.
        host: String,
    },
    /// `wants/<zone>/<holder>/<asker>`: please give me some.
    Want {
        /// Where.
        zone: String,
        /// The host that is asked.
        holder: String,
        /// The host that asks.
        asker: String,
    },
    /// `published/<host>/<subnet>/<n>`: a host's open assignments in a block.
    Published {
        /// Whose.
        host: String,
        /// The block's subnet.
        subnet: IpNetwork,
        /// The block's index.
        index: u32,
    },
    /// `endpoints/<address>`: an address that a service uses.
    Endpoint(IpAddr),
    /// `dependents/<address>/<epoch>/<object>`: what an owner wrote, or is about to write, to a cloud.
    Dependent {
        /// The address it depends on.
        address: IpAddr,
        /// The epoch it was written for: the generation's number and id, take number, counter.
        epoch: [u64; 4],
        /// The cloud object.
        object: String,
    },
    /// `services/<name>`: a service as an operator declared it.
    Service(String),
    /// `declaring`: whose turn it is to declare services; each declaration compares it.
    Declaring,
    /// `members/<service>/<address>`: a container in a service, as its host has it.
    Member {
        /// The service.
        service: String,
        /// The container's address.
        address: IpAddr,
    },
    /// `balancers/<name>`: a load balancer of the provider that services are behind, and what of it is ours.
    Balancer(String),
    /// `balanced/<name>/<address>`: a member that an owner put at a load balancer, or is about to.
    Balanced {
        /// The load balancer.
        name: String,
        /// The container's address.
        address: IpAddr,
    },
    /// `firewalls/<name>`: a firewall of the provider that services name, and what its owner says of it.
    Firewall(String),
    /// `admitted/<name>/<address>`: an address that an owner has let in by a firewall, or is about to.
    Admitted {
        /// The firewall.
        name: String,
        /// The container's address.
        address: IpAddr,
    },
    /// `drains/<host>/<container>`: this container, or with `all` each one of the host, is to be let go of by whoever
    /// sends it work.
    Drain {
        /// The host.
        host: String,
        /// Docker's id of the container; nothing for the whole host.
        container: Option<String>,
    },
    /// `names/<address>`: what the container is called that has an address, as its host has it.
    Name(IpAddr),
    /// `called/<label>/<address>`: a container that is called so.
    Called {
        /// What it is called.
        label: String,
        /// Its address.
        address: IpAddr,
    },
    /// `pools/<name>`: what users ask addresses from.
    Pool(String),
    /// `subnets/<cidr>`: a portable subnet, its zone and how it came.
    Subnet(IpNetwork),
    /// `takes/<zone>`: the counter above which a new block's take numbers start.
    Takes(String),
    /// `reservations/<name>`: a named address.
    Reservation(String),
    /// `owners/<object>`: which agent writes a cloud object, or has a role, and its term.
    Owner(String),
    /// `policies/<pool>`: what the cluster goes by for a pool, and whose configuration says so.
    Policy(String),
    /// `trials/<host>`: written by a host to see whether it can be.
    Trial(String),
    /// `orders/<id>`: the intent of an order or return, and how far it got.
    Order(String),
    /// `running/<subnet>/<n>/<host>`: the assignments of a host in a block that run, for the ledger.
    Running {
        /// The block's subnet.
        subnet: IpNetwork,
        /// The block's index.
        index: u32,
        /// Whose.
        host: String,
    },
    /// `ledger/<writer>/<subnet>/<n>/<period>`: closed intervals, packed.
    Ledger(SegmentName),
    /// `segments/<subnet>/<n>/<period>/<writer>`: what a segment has, and who keeps a copy.
    Segment(SegmentName),
    /// `keep/<keeper>/<subnet>/<n>/<period>/<writer>`: please keep a copy of this segment.
    Keep {
        /// Who is asked.
        keeper: String,
        /// Which segment.
        segment: SegmentName,
    },
    /// `asks/<keeper>/<asker>`: what one host asks another about segments on its disk. A session's key: it goes
    /// with its time.
    Ask {
        /// Who is asked.
        keeper: String,
        /// Who asks.
        asker: String,
    },
    /// `told/<asker>/<keeper>`: the answer. A session's key as well.
    Told {
        /// Who asked.
        asker: String,
        /// Who answers.
        keeper: String,
    },
}

/// Names a segment of the ledger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    /// The block's subnet.
    pub subnet: IpNetwork,
    /// The block's index.
    pub index: u32,
    /// When it was begun, in seconds since 1970.
    pub period: u64,
    /// Who wrote it.
    pub writer: String,
}

impl Item {
    /// How this item's key is spelled.
    pub fn key(&self) -> Key {
        Key::new(match self {
            Item::Cluster => "cluster".to_owned(),
            Item::Founding => "founding".to_owned(),
            Item::Copying => "copying".to_owned(),
            Item::Moved => "moved".to_owned(),
            Item::Rebuild => "rebuild".to_owned(),
            Item::Host(id) => join(&["hosts", id]),
            Item::Session(id) => join(&["sessions", id]),
            Item::Description(id) => join(&["descriptions", id]),
            Item::Eviction(id) => join(&["evictions", id]),
            Item::Block { zone, subnet, index } => {
                join(&["blocks", zone, &text::subnet(subnet), &index.to_string()])
            }
            Item::Surplus { zone, host } => join(&["surplus", zone, host]),
            Item::Want { zone, holder, asker } => join(&["wants", zone, holder, asker]),
            Item::Published { host, subnet, index } => {
                join(&["published", host, &text::subnet(subnet), &index.to_string()])
            }
            Item::Endpoint(address) => join(&["endpoints", &address.to_string()]),
            Item::Dependent { address, epoch, object } => {
                join(&["dependents", &address.to_string(), &text::numbers(epoch), object])
            }
            Item::Declaring => "declaring".to_owned(),
            Item::Service(name) => join(&["services", name]),
            Item::Member { service, address } => join(&["members", service, &address.to_string()]),
            Item::Balancer(name) => join(&["balancers", name]),
            Item::Balanced { name, address } => join(&["balanced", name, &address.to_string()]),
            Item::Firewall(name) => join(&["firewalls", name]),
            Item::Admitted { name, address } => join(&["admitted", name, &address.to_string()]),
            Item::Drain { host, container } => {
                join(&["drains", host, container.as_deref().unwrap_or(WHOLE_HOST)])
            }
            Item::Name(address) => join(&["names", &address.to_string()]),
            Item::Called { label, address } => join(&["called", label, &address.to_string()]),
            Item::Pool(name) => join(&["pools", name]),
            Item::Subnet(cidr) => join(&["subnets", &text::subnet(cidr)]),
            Item::Takes(zone) => join(&["takes", zone]),
            Item::Reservation(name) => join(&["reservations", name]),
            Item::Owner(object) => join(&["owners", object]),
            Item::Order(id) => join(&["orders", id]),
            Item::Policy(pool) => join(&["policies", pool]),
            Item::Trial(host) => join(&["trials", host]),
            Item::Running { subnet, index, host } => {
                join(&["running", &text::subnet(subnet), &index.to_string(), host])
            }
            Item::Ledger(SegmentName { subnet, index, period, writer }) => {
                let (index, period) = (index.to_string(), period.to_string());
                join(&["ledger", writer, &text::subnet(subnet), &index, &period])
            }
            Item::Segment(SegmentName { subnet, index, period, writer }) => {
                let (index, period) = (index.to_string(), period.to_string());
                join(&["segments", &text::subnet(subnet), &index, &period, writer])
            }
            Item::Ask { keeper, asker } => join(&["asks", keeper, asker]),
            Item::Told { asker, keeper } => join(&["told", asker, keeper]),
            Item::Keep { keeper, segment: SegmentName { subnet, index, period, writer } } => {
                let (index, period) = (index.to_string(), period.to_string());
                join(&["keep", keeper, &text::subnet(subnet), &index, &period, writer])
            }
        })
    }

    /// The item that `key` is spelled for. None for a key that this version does not know.
    pub fn of(key: &Key) -> Option<Item> {
        let parts = split(key.as_str())?;
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let owned = str::to_owned;
        let item = match parts.as_slice() {
            ["cluster"] => Item::Cluster,
            ["founding"] => Item::Founding,
            ["copying"] => Item::Copying,
            ["moved"] => Item::Moved,
            ["rebuild"] => Item::Rebuild,
            ["hosts", id] => Item::Host(owned(id)),
            ["sessions", id] => Item::Session(owned(id)),
            ["descriptions", id] => Item::Description(owned(id)),
            ["evictions", id] => Item::Eviction(owned(id)),
            ["blocks", zone, subnet, index] => Item::Block {
                zone: owned(zone),
                subnet: text::parse_subnet(subnet)?,
                index: index.parse().ok()?,
            },
            ["surplus", zone, host] => Item::Surplus { zone: owned(zone), host: owned(host) },
            ["wants", zone, holder, asker] => {
                Item::Want { zone: owned(zone), holder: owned(holder), asker: owned(asker) }
            }
            ["published", host, subnet, index] => Item::Published {
                host: owned(host),
                subnet: text::parse_subnet(subnet)?,
                index: index.parse().ok()?,
            },
            ["endpoints", address] => Item::Endpoint(address.parse().ok()?),
            ["dependents", address, epoch, object] => Item::Dependent {
                address: address.parse().ok()?,
                epoch: text::parse_numbers(epoch)?,
                object: owned(object),
            },
            ["declaring"] => Item::Declaring,
            ["services", name] => Item::Service(owned(name)),
            ["members", service, address] => {
                Item::Member { service: owned(service), address: address.parse().ok()? }
            }
            ["balancers", name] => Item::Balancer(owned(name)),
            ["balanced", name, address] => {
                Item::Balanced { name: owned(name), address: address.parse().ok()? }
            }
            ["firewalls", name] => Item::Firewall(owned(name)),
            ["admitted", name, address] => {
                Item::Admitted { name: owned(name), address: address.parse().ok()? }
            }
            ["drains", host, container] => Item::Drain {
                host: owned(host),
                container: Some(owned(container)).filter(|id| id != WHOLE_HOST),
            },
            ["names", address] => Item::Name(address.parse().ok()?),
            ["called", label, address] => {
                Item::Called { label: owned(label), address: address.parse().ok()? }
            }
            ["pools", name] => Item::Pool(owned(name)),
            ["subnets", cidr] => Item::Subnet(text::parse_subnet(cidr)?),
            ["takes", zone] => Item::Takes(owned(zone)),
            ["reservations", name] => Item::Reservation(owned(name)),
            ["owners", object] => Item::Owner(owned(object)),
            ["orders", id] => Item::Order(owned(id)),
            ["policies", pool] => Item::Policy(owned(pool)),
            ["trials", host] => Item::Trial(owned(host)),
            ["running", subnet, index, host] => Item::Running {
                subnet: text::parse_subnet(subnet)?,
                index: index.parse().ok()?,
                host: owned(host),
            },
            ["ledger", writer, subnet, index, period] => {
                Item::Ledger(SegmentName::parse(subnet, index, period, writer)?)
            }
            ["segments", subnet, index, period, writer] => {
                Item::Segment(SegmentName::parse(subnet, index, period, writer)?)
            }
            ["asks", keeper, asker] => Item::Ask { keeper: owned(keeper), asker: owned(asker) },
            ["told", asker, keeper] => Item::Told { asker: owned(asker), keeper: owned(keeper) },
            ["keep", keeper, subnet, index, period, writer] => Item::Keep {
                keeper: owned(keeper),
                segment: SegmentName::parse(subnet, index, period, writer)?,
            },
            _ => return None,
        };
        // A key that reads like an item but is spelled otherwise (a leading zero) is not that item.
        (item.key() == *key).then_some(item)
    }
}

impl SegmentName {
    fn parse(subnet: &str, index: &str, period: &str, writer: &str) -> Option<Self> {
        Some(Self {
            subnet: text::parse_subnet(subnet)?,
            index: index.parse().ok()?,
            period: period.parse().ok()?,
            writer: writer.to_owned(),
        })
    }
}

impl From<Item> for Key {
    fn from(item: Item) -> Key {
        item.key()
    }
}
