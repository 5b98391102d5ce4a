//! Which commands change the wires from one topology to another. Pure.

use std::fmt;

use super::{FabricName, guards, rules};
use crate::cloud::spec::{FabricSpec, GratuitousArp};
use crate::cloud::topology::{Gateway, Topology, Wire, WiredBalancer, WiredMachine};

/// One step of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Run a command; `input` is its last argument, a script.
    Run {
        /// The command and its arguments.
        command: Vec<String>,
        /// A script for `nft`.
        input: Option<String>,
    },
    /// Write a kernel setting below `/proc/sys`, inside a namespace.
    Write {
        /// Where.
        namespace: String,
        /// As `net/ipv4/ip_forward`.
        key: String,
        /// The value.
        value: String,
    },
    /// Have a load balancer do what it shall, inside its namespace; start it if it does not run.
    Balance(Box<WiredBalancer>),
    /// End a load balancer.
    Unbalance {
        /// The name of its machine.
        hostname: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run { command, input: None } => write!(out, "{}", command.join(" ")),
            Self::Run { command, input: Some(input) } => write!(out, "{} '{input}'", command.join(" ")),
            Self::Write { namespace, key, value } => write!(out, "{namespace}: {key} = {value}"),
            Self::Balance(balancer) => {
                let (front, setup) = (balancer.front, &balancer.setup);
                let listeners = setup.listeners.iter().map(|it| format!("{}", setup.servers(it).len()));
                let members = listeners.collect::<Vec<_>>().join(", ");
                write!(out, "{}: {front} before {members} members", balancer.machine.hostname)
            }
            Self::Unbalance { hostname } => write!(out, "{hostname}: end"),
        }
    }
}

/// The steps that make the empty fabric: its namespace, the router's with the service address, and that of a client
/// on the public side.
pub fn raise(name: &FabricName, spec: &FabricSpec) -> Vec<Step> {
    let (fabric, router) = (name.namespace("fabric"), name.namespace("router"));
    let client = name.namespace("client");
    let mut steps = vec![
        ip(&format!("netns add {fabric}")),
        ip(&format!("netns add {router}")),
        ip(&format!("-n {router} link set lo up")),
        ip(&format!("-n {router} address add {}/32 dev lo", spec.service_address)),
        write(&router, "net/ipv4/ip_forward", "1"),
        // A router that forwards out of the interface a packet came in by would send redirects.
        write(&router, "net/ipv4/conf/all/send_redirects", "0"),
        write(&router, "net/ipv4/conf/default/send_redirects", "0"),
        ip(&format!("netns add {client}")),
        ip(&format!("-n {client} link set lo up")),
        ip(&format!("-n {router} link add internet type veth peer name eth0 netns {client}")),
        ip(&format!("-n {router} address add {INTERNET} dev internet")),
        ip(&format!("-n {router} link set internet up")),
        ip(&format!("-n {client} address add {CLIENT} dev eth0")),
        ip(&format!("-n {client} link set eth0 up")),
        ip(&format!("-n {client} route add default via {} dev eth0", INTERNET.trim_end_matches("/24"))),
        // Nobody on the Internet has a route to private addresses.
        ip(&format!("-n {client} route add unreachable 10.0.0.0/8")),
    ];
    if spec.gratuitous_arp == GratuitousArp::Ignore {
        steps.push(nft(&router, DEAF_ROUTER));
    }
    steps
}

/// The router on the public side, outside of all VLANs: TEST-NET-1 of RFC 5737.
const INTERNET: &str = "192.0.2.1/24";
/// The client there.
const CLIENT: &str = "192.0.2.10/24";

/// The steps that turn the wires `from` into the wires `to`: first away with what is gone, then the new.
pub fn plan(name: &FabricName, spec: &FabricSpec, from: &Topology, to: &Topology) -> Vec<Step> {
    let mut steps = Vec::new();
    for old in from.balancers.iter().filter(|old| to.balancers.iter().all(|new| new.machine != old.machine)) {
        steps.push(Step::Unbalance { hostname: old.machine.hostname.clone() });
        unplug(name, &old.machine, &mut steps);
    }
    for machine in from.machines.iter().filter(|machine| !to.machines.contains(machine)) {
        unplug(name, machine, &mut steps);
    }
    for gateway in from.gateways.iter().filter(|gateway| !to.gateways.contains(gateway)) {
        take_gateway(name, spec, gateway, &mut steps);
    }
    for vlan in to.vlans.iter().filter(|vlan| !from.vlans.contains(vlan)) {
        add_vlan(name, spec, *vlan, &mut steps);
    }
    for gateway in to.gateways.iter().filter(|gateway| !from.gateways.contains(gateway)) {
        give_gateway(name, spec, gateway, &mut steps);
    }
    for machine in to.machines.iter().filter(|machine| !from.machines.contains(machine)) {
        plug(name, machine, &mut steps);
    }
    for new in to.balancers.iter().filter(|new| !from.balancers.contains(new)) {
        if from.balancers.iter().all(|old| new.machine != old.machine) {
            plug(name, &new.machine, &mut steps);
        }
        steps.push(Step::Balance(Box::new(new.clone())));
    }
    let fabric = name.namespace("fabric");
    if from.guards != to.guards {
        // The IP family sees bridged packets only so; the switch is there once br_netfilter is loaded.
        steps.push(write(&fabric, "net/bridge/bridge-nf-call-iptables", "1"));
        let script = if to.guards.is_empty() { guards::removal() } else { guards::script(&to.guards) };
        steps.push(nft(&fabric, &script));
    }
    let router = name.namespace("router");
    for old in from.firewalls.iter().filter(|old| to.firewalls.iter().all(|new| new.vlan != old.vlan)) {
        steps.push(nft(&router, &rules::removal(old.vlan)));
    }
    for new in to.firewalls.iter().filter(|new| !from.firewalls.contains(new)) {
        steps.push(nft(&router, &rules::script(new)));
    }
    steps
}

fn add_vlan(name: &FabricName, spec: &FabricSpec, vlan: u64, steps: &mut Vec<Step>) {
    let (fabric, router) = (name.namespace("fabric"), name.namespace("router"));
    let kept = u64::from(spec.neighbour_secs);
    let neighbours = format!("net/ipv4/neigh/v{vlan}");
    let accept = if spec.gratuitous_arp == GratuitousArp::Accept { "1" } else { "0" };
    steps.extend([
        ip(&format!("-n {fabric} link add v{vlan} type bridge stp_state 0 mcast_snooping 0")),
        ip(&format!("-n {fabric} link set v{vlan} up")),
        ip(&format!("-n {fabric} link add r{vlan} type veth peer name v{vlan} netns {router}")),
        ip(&format!("-n {fabric} link set r{vlan} master v{vlan} up")),
        // What it learned last is what it believes, and for that long it asks nobody, as a router of the cloud:
        // the kernel takes a neighbour for reachable for half to one and a half of the first time, probes one that it
        // only overheard after the second, and forgets one that is not used after the third.
        write(&router, &format!("{neighbours}/base_reachable_time_ms"), &(kept * 2000).to_string()),
        write(&router, &format!("{neighbours}/delay_first_probe_time"), &kept.to_string()),
        write(&router, &format!("{neighbours}/gc_stale_time"), &kept.to_string()),
        write(&router, &format!("net/ipv4/conf/v{vlan}/arp_accept"), accept),
        ip(&format!("-n {router} link set v{vlan} up")),
    ]);
}

fn give_gateway(name: &FabricName, spec: &FabricSpec, gateway: &Gateway, steps: &mut Vec<Step>) {
    let router = name.namespace("router");
    let Gateway { vlan, address } = gateway;
    steps.push(ip(&format!("-n {router} address add {address} dev v{vlan}")));
    if spec.gratuitous_arp == GratuitousArp::Ignore {
        steps.push(nft(&router, &format!("add element arp fabric own {{ {} }}", address.ip())));
    }
}

fn take_gateway(name: &FabricName, spec: &FabricSpec, gateway: &Gateway, steps: &mut Vec<Step>) {
    let router = name.namespace("router");
    let Gateway { vlan, address } = gateway;
    if spec.gratuitous_arp == GratuitousArp::Ignore {
        steps.push(nft(&router, &format!("delete element arp fabric own {{ {} }}", address.ip())));
    }
    steps.push(ip(&format!("-n {router} address delete {address} dev v{vlan}")));
    // Whoever orders the same addresses again meets a router that has forgotten their last users.
    let subnet = format!("{}/{}", address.network(), address.prefix());
    steps.push(ip(&format!("-n {router} neighbour flush to {subnet} dev v{vlan}")));
}

fn plug(name: &FabricName, machine: &WiredMachine, steps: &mut Vec<Step>) {
    let (fabric, host) = (name.namespace("fabric"), name.namespace(&machine.hostname));
    steps.push(ip(&format!("netns add {host}")));
    steps.push(ip(&format!("-n {host} link set lo up")));
    for Wire { id, port, mac, vlan, address, .. } in &machine.wires {
        steps.extend([
            ip(&format!(
                "-n {fabric} link add m{id} type veth peer name eth{port} address {mac} netns {host}"
            )),
            ip(&format!("-n {fabric} link set m{id} master v{vlan} up")),
            ip(&format!("-n {host} address add {address} dev eth{port}")),
            ip(&format!("-n {host} link set eth{port} up")),
        ]);
    }
    // As SoftLayer sets machines up: all of 10.0.0.0/8 through the private side, the rest through the public one
    // if there is one.
    if let Some(private) = machine.wires.iter().find(|wire| wire.port == 0) {
        steps.push(ip(&format!("-n {host} route add 10.0.0.0/8 via {} dev eth0", private.gateway)));
    }
    if let Some(wire) = machine.wires.iter().max_by_key(|wire| wire.port) {
        steps.push(ip(&format!("-n {host} route add default via {} dev eth{}", wire.gateway, wire.port)));
    }
}

fn unplug(name: &FabricName, machine: &WiredMachine, steps: &mut Vec<Step>) {
    let (fabric, host) = (name.namespace("fabric"), name.namespace(&machine.hostname));
    // A process inside would keep its namespace alive: the wires are cut from our end.
    for wire in &machine.wires {
        steps.push(ip(&format!("-n {fabric} link delete m{}", wire.id)));
    }
    steps.push(ip(&format!("netns delete {host}")));
}

/// A router that learns of a neighbour only when one asks for an address of its own, or answers a question of its
/// own: it does not hear a request about anything else, nor an answer to everybody.
const DEAF_ROUTER: &str = "
table arp fabric {
    set own { type ipv4_addr; }
    chain input {
        type filter hook input priority 0; policy accept;
        arp operation request arp daddr ip != @own counter drop
        arp operation reply ether daddr ff:ff:ff:ff:ff:ff counter drop
    }
}";

fn ip(arguments: &str) -> Step {
    let words = ["ip"].into_iter().chain(arguments.split_whitespace());
    Step::Run { command: words.map(str::to_owned).collect(), input: None }
}

fn nft(namespace: &str, script: &str) -> Step {
    let command = ["ip", "netns", "exec", namespace, "nft"].map(str::to_owned).to_vec();
    Step::Run { command, input: Some(script.to_owned()) }
}

fn write(namespace: &str, key: &str, value: &str) -> Step {
    Step::Write { namespace: namespace.to_owned(), key: key.to_owned(), value: value.to_owned() }
}

#[cfg(test)]
mod tests;
