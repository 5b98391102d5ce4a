//! Which containers live, and what they use: Docker's word, held against the kernel's and the store's.
//! Pure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hostnet::{IfName, Mac, Observed, Table};
use ipam::{EndpointId, Subnet};
use ipnetwork::IpNetwork;

use crate::docker::events::{Attachment, Container, SeenNetwork, Sight};
use crate::docker::{DRIVER, Network, NetworkId, Pages, aside_id};

/// What lives on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Living {
    /// The networks of our driver.
    pub(super) networks: BTreeMap<NetworkId, Network>,
    /// Every use of an address.
    pub(super) uses: Vec<Use>,
    /// What one witness says and another does not.
    pub(super) differences: Vec<String>,
}

/// A use of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Use {
    pub(super) address: IpAddr,
    /// The subnet that it lies in.
    pub(super) subnet: Subnet,
    pub(super) endpoint: EndpointId,
    /// Who uses it, for people.
    pub(super) user: String,
    pub(super) place: Place,
}

/// Where an address is used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On a network of our driver.
    Port { network: NetworkId, mac: Option<Mac>, joined: bool },
    /// Nowhere: its network keeps it from containers.
    Aside { network: NetworkId },
    /// Behind a bridge of Docker's own.
    Lent { bridge: IfName },
}

impl Living {
    pub(super) fn find(sight: &Sight, observed: &Observed, subnets: &[Subnet], before: &Pages) -> Living {
        let mut finder = Finder { sight, observed, subnets, before, living: Living::default() };
        // A network that only the book knows is left in it: the reconciler says so.
        finder.living.networks.clone_from(&before.networks);
        sight.networks.iter().for_each(|network| finder.network(network));
        for container in &sight.containers {
            container.attachments.iter().for_each(|at| finder.attachment(container, at));
        }
        finder.unexplained_ports();
        finder.unexplained_routes();
        finder.living
    }
}

struct Finder<'a> {
    sight: &'a Sight,
    observed: &'a Observed,
    subnets: &'a [Subnet],
    before: &'a Pages,
    living: Living,
}

impl Finder<'_> {
    fn network(&mut self, seen: &SeenNetwork) {
        if seen.driver != DRIVER {
            return;
        }
        let subnet = self.subnets.iter().find(|subnet| seen.subnets.contains(&subnet.cidr));
        match (subnet, self.before.networks.contains_key(&seen.id)) {
            (_, true) => {}
            (Some(subnet), false) => {
                let network = Network {
                    id: seen.id.clone(),
                    pool: subnet.pool.clone(),
                    zone: subnet.zone.clone(),
                    subnet: subnet.cidr,
                    internal: seen.internal,
                    mtu: seen.mtu,
                };
                self.living.networks.insert(seen.id.clone(), network);
            }
            (None, false) => {
                let named = cidrs(&seen.subnets);
                self.differs(format!(
                    "Docker's network {} has {named}, which the store does not know: left out",
                    seen.name
                ));
                return;
            }
        }
        for (name, address) in &seen.auxiliary {
            let (user, network) =
                (format!("network {}, auxiliary address {name}", seen.name), seen.id.clone());
            self.uses(*address, aside_id(&seen.id, name), user, Place::Aside { network });
        }
    }

    fn attachment(&mut self, container: &Container, at: &Attachment) {
        let (Some(endpoint), Some(address)) = (&at.endpoint, at.address) else { return };
        let Some(network) = self.sight.networks.iter().find(|network| network.id == at.network) else {
            return;
        };
        if network.ipam_driver != DRIVER {
            return;
        }
        let user = container.name.clone();
        if network.driver == DRIVER {
            let port = self.observed.ports.get(&IfName::port(&endpoint.0));
            let joined = port.is_some_and(|port| port.container_end.is_none());
            if !joined {
                self.differs(format!(
                    "Docker shows {user} with {address}, and the kernel has no port for it"
                ));
            }
            let place = Place::Port { network: at.network.clone(), mac: at.mac, joined };
            return self.uses(address, endpoint.clone(), user, place);
        }
        match self.bridge_to(address).or_else(|| network.bridge.clone()) {
            Some(bridge) => self.uses(address, endpoint.clone(), user, Place::Lent { bridge }),
            None => self.differs(format!(
                "Docker shows {user} with {address}, and no route says behind which bridge: left out"
            )),
        }
    }

    fn uses(&mut self, address: IpAddr, endpoint: EndpointId, user: String, place: Place) {
        match self.subnets.iter().find(|subnet| subnet.cidr.contains(address)) {
            Some(subnet) => {
                let subnet = subnet.clone();
                self.living.uses.push(Use { address, subnet, endpoint, user, place });
            }
            None => self.differs(format!(
                "Docker shows {user} with {address}, which is in no subnet that the store knows: left out"
            )),
        }
    }

    fn bridge_to(&self, address: IpAddr) -> Option<IfName> {
        let route = self.observed.routes.iter().find(|route| leads_to(route, address));
        let lent = self.before.lent.get(&address);
        route.map(|route| route.through.clone()).or_else(|| lent?.bridge.clone())
    }

    /// A container that Docker does not list may still run: its address stays in quarantine.
    fn unexplained_ports(&mut self) {
        let explained =
            |name: &IfName| self.living.uses.iter().any(|it| IfName::port(&it.endpoint.0) == *name);
        let ports = self.observed.ports.iter().filter(|(_, port)| port.container_end.is_none());
        let unexplained = ports.filter(|(name, _)| !explained(name)).map(|(name, port)| {
            let alias = port.alias.as_deref().unwrap_or("without a label");
            format!("the kernel has port {name} ({alias}) in a container that Docker does not list")
        });
        let unexplained: Vec<String> = unexplained.collect();
        self.living.differences.extend(unexplained);
    }

    fn unexplained_routes(&mut self) {
        let routes =
            self.observed.routes.iter().filter(|route| route.table == Table::MAIN && is_one(route.to));
        let used = |address: IpAddr| self.living.uses.iter().any(|it| it.address == address);
        let unexplained = routes.filter(|route| !used(route.to.ip())).map(|route| {
            format!("the kernel routes {} to {}, and no container has it", route.to.ip(), route.through)
        });
        let unexplained: Vec<String> = unexplained.collect();
        self.living.differences.extend(unexplained);
    }

    fn differs(&mut self, what: String) {
        self.living.differences.push(what);
    }
}

fn leads_to(route: &hostnet::Route, address: IpAddr) -> bool {
    route.table == Table::MAIN && is_one(route.to) && route.to.ip() == address
}

/// Whether a route is for one address.
fn is_one(to: IpNetwork) -> bool {
    to.prefix() == if to.is_ipv4() { 32 } else { 128 }
}

fn cidrs(subnets: &[IpNetwork]) -> String {
    let texts: Vec<String> = subnets.iter().map(ToString::to_string).collect();
    if texts.is_empty() { "no subnet".to_owned() } else { texts.join(", ") }
}
