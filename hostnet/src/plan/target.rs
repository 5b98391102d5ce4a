//! What the wanted value comes to on this host, once its interfaces are known.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::{IpNetwork, Ipv4Network};

use crate::obstacle::is_taken;
use crate::{
    Admission, Bridge, Direction, Firewall, HostNet, IfName, Knob, Maker, Observed, Port, Proxy, Reach,
    Route, Rule, Selector, Sysctl, Table, mark,
};

/// Longest label of a port that is kept, in bytes. The kernel would keep 255 (IFALIASZ, linux/if.h).
const LABEL_MAX: usize = 128;

/// Ethernet's, where no interface says otherwise (RFC 894).
const MTU_DEFAULT: u32 = 1500;

const ANYWHERE: Ipv4Network = Ipv4Network::new_checked(Ipv4Addr::UNSPECIFIED, 0).expect("a network");

/// Everything that should carry our mark, and the switches it needs.
pub(super) struct Target<'a> {
    /// Those that can be made, and those that are there: a bridge whose VLAN interface went missing stays
    /// guarded.
    pub(super) bridges: BTreeMap<&'a IfName, &'a Bridge>,
    pub(super) routes: BTreeSet<Route>,
    pub(super) rules: BTreeSet<Rule>,
    pub(super) proxies: BTreeSet<Proxy>,
    pub(super) sysctls: BTreeMap<Sysctl, u32>,
    pub(super) firewall: Option<Firewall>,
    pub(super) admissions: BTreeSet<Admission>,
    observed: &'a Observed,
}

impl<'a> Target<'a> {
    pub(super) fn of(wanted: &'a HostNet, observed: &'a Observed) -> Self {
        let mut target = Self {
            bridges: wanted.bridges.iter().filter(|(name, bridge)| usable(name, bridge, observed)).collect(),
            routes: BTreeSet::new(),
            rules: BTreeSet::new(),
            proxies: BTreeSet::new(),
            sysctls: BTreeMap::new(),
            firewall: None,
            admissions: BTreeSet::new(),
            observed,
        };
        target.add_bridges(wanted);
        target.add_subnets(wanted);
        target.add_addresses(wanted);
        target.firewall = Firewall::of(&target.bridges, wanted, observed);
        target
    }

    /// The MTU of a bridge and its ports: its VLAN interface's, or a smaller one that was asked for; while
    /// the interface is missing, what the bridge has.
    pub(super) fn mtu(&self, name: &IfName, bridge: &Bridge) -> u32 {
        let of_interface = self.observed.interfaces.get(&bridge.interface).map(|seen| seen.mtu);
        let of_bridge = || self.observed.bridges.get(name).map(|seen| seen.mtu);
        let largest = of_interface.or_else(of_bridge).unwrap_or(MTU_DEFAULT);
        bridge.mtu.map_or(largest, |asked| asked.min(largest))
    }

    /// The address that the host shows on a bridge: its own on the VLAN, once more, without a subnet.
    ///
    /// The host's ARP requests to containers come from it. And a link without any address treats a loose
    /// `rp_filter` as a strict one (`no_addr` in the kernel's net/ipv4/fib_frontend.c).
    pub(super) fn host_address(&self, bridge: &Bridge) -> Option<IpAddr> {
        let interface = Some(&bridge.interface).filter(|_| bridge.reach == Reach::Vlan)?;
        self.observed.interfaces.get(interface)?.address
    }

    fn add_bridges(&mut self, wanted: &HostNet) {
        for (&name, &bridge) in &self.bridges {
            let admit = |direction| Admission { direction, bridge: name.clone() };
            self.admissions.extend([Direction::From, Direction::To].map(admit));
            let mut set = |knob, value| self.sysctls.insert(Sysctl::of(name, knob), value);
            if bridge.reach == Reach::Internal {
                set(Knob::Forwarding, 0);
                set(Knob::ProxyArp, 0);
                continue;
            }
            set(Knob::Forwarding, 1);
            set(Knob::ProxyArp, 1);
            set(Knob::ProxyDelay, 0);
            set(Knob::SendRedirects, 0);
            if bridge.maker == Maker::Berth {
                // Loose, because a container on two networks may answer through the other bridge, and
                // strict mode drops that packet without a trace (netns test
                // `replies_by_the_other_bridge`).
                set(Knob::RpFilter, 2);
                set(Knob::RouteLocalnet, u32::from(publishes(name, wanted)));
            }
            // A link redirects when it or `all` says so; the others have a 1 of their own to keep.
            self.sysctls.insert(Sysctl { link: None, knob: Knob::SendRedirects }, 0);
        }
    }

    fn add_subnets(&mut self, wanted: &HostNet) {
        for (subnet, at) in &wanted.subnets {
            let Some(subnet) = canonical(*subnet).filter(IpNetwork::is_ipv4) else { continue };
            let Some(seen) = self.observed.interfaces.get(&at.interface) else { continue };
            let link = &at.interface;
            let table = Table::of(&subnet);
            // Other hosts' containers are on the link. It also makes our bridges' proxy ARP answer for
            // the gateway, which is not on the bridge but here.
            let through = link.clone();
            self.routes.insert(Route {
                table: Table::MAIN,
                to: subnet,
                through,
                via: None,
                source: seen.address,
            });
            let through = link.clone();
            let out =
                Route { table, to: IpNetwork::V4(ANYWHERE), through, via: Some(at.gateway), source: None };
            self.routes.insert(out);
            let selector = Selector::From(subnet);
            self.rules.insert(Rule {
                priority: mark::PRIORITY_MAIN,
                selector: selector.clone(),
                table: Table::MAIN,
                suppress_prefix: Some(0),
            });
            self.rules.insert(Rule {
                priority: mark::PRIORITY_SUBNET,
                selector,
                table,
                suppress_prefix: None,
            });
            self.sysctls.insert(Sysctl::of(link, Knob::Forwarding), 1);
            self.sysctls.insert(Sysctl::of(link, Knob::ProxyDelay), 0);
        }
        if !wanted.published.is_empty() {
            self.rules.insert(Rule {
                priority: mark::PRIORITY_PUBLISHED,
                selector: Selector::Mark(mark::PUBLISHED),
                table: Table::MAIN,
                suppress_prefix: None,
            });
        }
    }

    fn add_addresses(&mut self, wanted: &HostNet) {
        for (&address, at) in &wanted.addresses {
            let Some(subnet) = wanted.subnets.get(&at.subnet) else { continue };
            let Some(seen) = self.observed.interfaces.get(&subnet.interface) else { continue };
            let routed = self.bridges.get(&at.bridge).is_some_and(|bridge| bridge.reach == Reach::Vlan);
            if !routed || !at.subnet.contains(address) || address.is_ipv6() {
                continue;
            }
            let (to, through) = (IpNetwork::from(address), at.bridge.clone());
            self.routes.insert(Route { table: Table::MAIN, to, through, via: None, source: seen.address });
            self.proxies.insert(Proxy { address, on: subnet.interface.clone() });
        }
    }
}

fn usable(name: &IfName, bridge: &Bridge, observed: &Observed) -> bool {
    let named = match bridge.maker {
        Maker::Berth => !is_taken(name, observed),
        Maker::Docker => observed.interfaces.contains_key(name),
    };
    named && (observed.interfaces.contains_key(&bridge.interface) || observed.bridges.contains_key(name))
}

fn publishes(bridge: &IfName, wanted: &HostNet) -> bool {
    let on_bridge =
        |container: &IpAddr| wanted.addresses.get(container).is_some_and(|at| at.bridge == *bridge);
    wanted.published.iter().any(|port| on_bridge(&port.container))
}

/// As the kernel wants it: without bits beyond the prefix.
fn canonical(subnet: IpNetwork) -> Option<IpNetwork> {
    IpNetwork::new(subnet.network(), subnet.prefix()).ok()
}

/// What a port's link says to people.
pub(super) fn port_alias(port: &Port) -> String {
    let fits = |&(at, c): &(usize, char)| at + c.len_utf8() <= LABEL_MAX;
    let label: String = port.label.char_indices().take_while(fits).map(|(_, c)| c).collect();
    format!("{}port {label}", mark::ALIAS)
}
