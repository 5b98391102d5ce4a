//! Whether a declared service can be: by itself, beside the others, and at this provider.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::num::NonZeroU16;

use api::{
    HealthCheck, Listener, LoadBalancer, Outside, Peer, PolicyEntry, Protocol, Service, ServicePort,
    Transport,
};

/// How long a label of a DNS name may be. Source: RFC 1035, section 2.3.4.
const NAME_MAX: usize = 63;

/// The label of DNS below which containers are called by their names.
const CONTAINERS: &str = "containers";

/// How many ports or listeners one service may have: bounds what comes from outside.
const PORTS_MAX: usize = 32;

/// How many labels a selector may have.
const SELECTOR_MAX: usize = 32;

/// How many peers an entry of a policy may name.
const PEERS_MAX: usize = 256;

/// How many firewalls of the provider a service may name: an interface takes five groups.
const FIREWALLS_MAX: usize = 16;

/// How long one text of a declaration may be, in bytes.
const TEXT_MAX: usize = 255;

/// What the load balancers of a provider can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abilities {
    /// What the provider is called.
    pub provider: &'static str,
    /// What its load balancers take; nothing where it has none.
    pub protocols: BTreeSet<Protocol>,
    /// Whether a member is a member of all listeners of a load balancer, so that it can be of one service only.
    pub one_service_each: bool,
    /// Ports that it keeps for itself, if it does: from and to.
    pub ports_kept: Option<(u16, u16)>,
    /// How many listeners a load balancer can have.
    pub listeners_max: usize,
    /// Seconds between two questions after a member's health: the least and the most.
    pub interval_secs: (u16, u16),
    /// Whether one can be ordered.
    pub orders: bool,
    /// Whether it can be told how to find out which members serve.
    pub health: bool,
    /// What load balancers can do that are called by an address; nothing where there are none such.
    pub at_address: Option<Box<Abilities>>,
    /// Whether it has firewalls that can be changed.
    pub firewalls: bool,
}

impl Abilities {
    /// What the load balancer of this name can do.
    fn of(&self, name: &str) -> &Self {
        let at_address = self.at_address.as_deref().filter(|_| name.parse::<Ipv4Addr>().is_ok());
        at_address.unwrap_or(self)
    }
}

/// Why a declaration is not taken: everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("service {name} is not taken: {}", faults.join("; "))]
pub struct Declined {
    /// The service.
    pub name: String,
    /// What is wrong, each with what would be right.
    pub faults: Vec<String>,
}

/// Whether the service can be, beside all that are declared.
///
/// # Errors
/// Everything that is wrong with it at once.
pub fn check(service: &Service, others: &[Service], abilities: &Abilities) -> Result<(), Declined> {
    let mut faults = Vec::new();
    of_itself(service, &mut faults);
    in_dns(service, others, &mut faults);
    if service.firewall.is_some() {
        outside(service, abilities, &mut faults);
    }
    if let Some(balancer) = &service.load_balancer {
        let abilities = abilities.of(&balancer.name);
        of_the_provider(balancer, abilities, &mut faults);
        let others = others.iter().filter(|other| other.name != service.name);
        beside(balancer, others, abilities, &mut faults);
    }
    if faults.is_empty() { Ok(()) } else { Err(Declined { name: service.name.clone(), faults }) }
}

/// Whether this can be one label of a DNS name. Source: RFC 1035, section 2.3.1; lower case, so that it has one form.
pub(crate) fn is_name(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    text.len() <= NAME_MAX
        && text.bytes().all(inner)
        && text.starts_with(|first: char| first.is_ascii_lowercase())
        && !text.ends_with('-')
}

fn of_itself(service: &Service, faults: &mut Vec<String>) {
    if !is_name(&service.name) {
        faults.push(format!(
            "its name {:?} is not one: lower-case letters, digits and `-`, at most {NAME_MAX}, beginning with a letter",
            shown(&service.name)
        ));
    }
    let Service { selector, ports, load_balancer, .. } = service;
    let long = |text: &String| text.len() > TEXT_MAX;
    if selector.len() > SELECTOR_MAX || selector.iter().any(|(key, value)| long(key) || long(value)) {
        faults
            .push(format!("its selector is too large: at most {SELECTOR_MAX} labels, {TEXT_MAX} bytes each"));
    }
    if selector.keys().any(String::is_empty) {
        faults.push("a label of its selector has no name".to_owned());
    }
    let listeners = load_balancer.as_ref().map_or(&[][..], |balancer| &balancer.listeners);
    if ports.len() > PORTS_MAX || listeners.len() > PORTS_MAX {
        return faults.push(format!("it has more than {PORTS_MAX} ports or listeners"));
    }
    if ports.is_empty() {
        faults
            .push("it has no port: add [[port]] with port = NUMBER, where its containers listen".to_owned());
    }
    twice(ports, faults);
    policy(service, faults);
    for listener in listeners {
        leads_somewhere(listener, ports, faults);
        health(listener, faults);
    }
}

/// What it is called in DNS, where containers have a label of their own.
fn in_dns(service: &Service, others: &[Service], faults: &mut Vec<String>) {
    let label = service.label();
    if service.dns.is_some() && !is_name(label) {
        faults.push(format!(
            "it is called dns = {:?}, which is no label: lower-case letters, digits and `-`, at most {NAME_MAX}, \
             beginning with a letter",
            shown(label)
        ));
    }
    if label == CONTAINERS {
        faults.push(format!("in DNS, {CONTAINERS} is where containers are: write another label as dns"));
    }
    let mut others = others.iter().filter(|other| other.name != service.name);
    if let Some(other) = others.find(|other| other.label() == label) {
        faults.push(format!(
            "service {} is called {} in DNS already: write another label as dns",
            other.name,
            shown(label)
        ));
    }
}

fn twice(ports: &[ServicePort], faults: &mut Vec<String>) {
    let (mut names, mut numbers) = (BTreeSet::new(), BTreeSet::new());
    for ServicePort { name, port, transport } in ports {
        if !numbers.insert((port, transport)) {
            faults.push(format!("port {port} stands twice"));
        }
        match name {
            Some(name) if !is_name(name) => {
                faults.push(format!("a port is called {:?}, which is no name", shown(name)));
            }
            Some(name) if !names.insert(name) => faults.push(format!("two ports are called {name}")),
            None if ports.len() > 1 => faults.push(format!("port {port} has no name, and there are several")),
            _ => (),
        }
    }
}

fn policy(service: &Service, faults: &mut Vec<String>) {
    if service.policies.len() > PORTS_MAX || service.policies.iter().any(|it| it.from.len() > PEERS_MAX) {
        faults.push(format!("its policy is too large: at most {PORTS_MAX} entries, {PEERS_MAX} peers each"));
    }
    for PolicyEntry { from, port } in &service.policies {
        if from.is_empty() {
            faults.push(
                "an entry of its policy names nobody: leave it out, or write from = [\"any\"]".to_owned(),
            );
        }
        if let Some(port) =
            port.as_ref().filter(|port| service.ports.iter().all(|it| it.name.as_ref() != Some(port)))
        {
            faults.push(format!("its policy is about port {:?}, and no port is called so", shown(port)));
        }
        for peer in from {
            match peer {
                Peer::Service(name) if !is_name(name) => {
                    faults.push(format!("its policy lets in service {:?}, which is no name", shown(name)));
                }
                Peer::Network(network) if network.is_ipv6() => {
                    faults.push(format!(
                        "its policy lets in {network}, and containers have IPv4 addresses only"
                    ));
                }
                _ => (),
            }
        }
    }
}

/// What it asks of the provider's firewalls.
fn outside(service: &Service, abilities: &Abilities, faults: &mut Vec<String>) {
    let Some(Outside { zones, security_groups }) = &service.firewall else { return };
    if !abilities.firewalls {
        let provider = abilities.provider;
        return faults.push(format!("the provider {provider} has no firewalls: leave [firewall] out"));
    }
    if service.policies.is_empty() {
        faults.push("it names firewalls and says nobody who may: add [[policy]]".to_owned());
    }
    if zones.is_empty() && security_groups.is_empty() {
        faults
            .push("[firewall] names nothing: write zones = [VLAN…] or security_groups = [NAME…]".to_owned());
    }
    let all = || zones.iter().chain(security_groups);
    if all().count() > FIREWALLS_MAX {
        faults.push(format!("it names more than {FIREWALLS_MAX} firewalls"));
    }
    let name = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    for odd in all().filter(|it| it.is_empty() || it.len() > NAME_MAX || !it.bytes().all(name)) {
        faults.push(format!(
            "it names firewall {:?}: 1 to {NAME_MAX} letters, digits, dots, `-` and `_` are a name",
            shown(odd)
        ));
    }
}

fn leads_somewhere(listener: &Listener, ports: &[ServicePort], faults: &mut Vec<String>) {
    let at = listener.port;
    let to = match &listener.to {
        Some(to) => ports.iter().find(|port| port.name.as_ref() == Some(to)),
        None => ports.first(),
    };
    match (to, listener.protocol) {
        (None, _) if listener.to.is_some() => {
            let to = listener.to.as_deref().map(shown).unwrap_or_default();
            faults.push(format!("listener {at} passes on to {to:?}, and no port is called so"));
        }
        // That there is no port at all is said already.
        (None, _) => (),
        (Some(port), protocol) if (port.transport == Transport::Udp) != (protocol == Protocol::Udp) => {
            faults.push(format!(
                "listener {at} takes {} and passes on to port {}, which takes {}",
                word(protocol),
                port.port,
                if port.transport == Transport::Udp { "udp" } else { "tcp" }
            ));
        }
        _ => (),
    }
}

fn health(listener: &Listener, faults: &mut Vec<String>) {
    let Some(HealthCheck { path, interval_secs, timeout_secs, retries }) = &listener.health else { return };
    let at = listener.port;
    if path.as_ref().is_some_and(|path| !path.starts_with('/') || path.len() > TEXT_MAX) {
        faults.push(format!("the health check of listener {at} has a path that does not begin with /"));
    }
    if path.is_some() && !matches!(listener.protocol, Protocol::Http | Protocol::Https) {
        faults.push(format!(
            "the health check of listener {at} has a path, and a listener that takes {} asks for none",
            word(listener.protocol)
        ));
    }
    if let (Some(interval), Some(timeout)) = (interval_secs, timeout_secs)
        && timeout >= interval
    {
        faults.push(format!(
            "the health check of listener {at} waits {timeout} s and asks every {interval} s: wait less than that"
        ));
    }
    if *retries == Some(0) || *interval_secs == Some(0) || *timeout_secs == Some(0) {
        faults.push(format!("the health check of listener {at} has a 0: every number is at least 1"));
    }
}

fn of_the_provider(balancer: &LoadBalancer, abilities: &Abilities, faults: &mut Vec<String>) {
    let provider = abilities.provider;
    if abilities.protocols.is_empty() {
        return faults
            .push(format!("the provider {provider} has no load balancers: leave [load_balancer] out"));
    }
    let name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
    if balancer.name.is_empty() || balancer.name.len() > 40 || !balancer.name.bytes().all(name) {
        faults.push(format!(
            "its load balancer is called {:?}: 1 to 40 letters, digits, dots and `-` are a name",
            shown(&balancer.name)
        ));
    }
    if balancer.order.is_some() && !abilities.orders {
        faults.push(format!(
            "its load balancer is to be ordered, and those of {provider} cannot be: leave order out"
        ));
    }
    if balancer.listeners.is_empty() {
        faults.push("its load balancer listens on nothing: add [[load_balancer.listener]]".to_owned());
    }
    for Listener { port, protocol, health, .. } in &balancer.listeners {
        if !abilities.protocols.contains(protocol) {
            let known: Vec<&str> = abilities.protocols.iter().copied().map(word).collect();
            faults.push(format!(
                "listener {port} takes {}, and the load balancers of {provider} take {}",
                word(*protocol),
                known.join(", ")
            ));
        }
        if let Some((from, to)) =
            abilities.ports_kept.filter(|(from, to)| (*from..=*to).contains(&port.get()))
        {
            faults
                .push(format!("listener {port} is one of {from} to {to}, which {provider} keeps for itself"));
        }
        if health.is_some() && !abilities.health {
            faults.push(format!(
                "listener {port} has a health check, and {provider} has its own: leave health out"
            ));
        }
        let interval = health.as_ref().and_then(|health| health.interval_secs);
        let (least, most) = abilities.interval_secs;
        if let Some(interval) =
            interval.filter(|interval| *interval != 0 && !(least..=most).contains(interval))
        {
            faults.push(format!(
                "the health check of listener {port} asks every {interval} s, and {provider} asks every {least} to \
                 {most} s"
            ));
        }
    }
}

/// What other services have at the same load balancer.
fn beside<'a>(
    balancer: &LoadBalancer,
    others: impl Iterator<Item = &'a Service>,
    abilities: &Abilities,
    faults: &mut Vec<String>,
) {
    let mut taken: Vec<(NonZeroU16, &str)> = Vec::new();
    for listener in &balancer.listeners {
        if taken.iter().any(|(port, _)| *port == listener.port) {
            faults.push(format!("it has two listeners on port {}", listener.port));
        }
        taken.push((listener.port, ""));
    }
    for other in others {
        // Names of load balancers are compared without regard to case at SoftLayer: nowhere do two differ by it.
        let theirs = other.load_balancer.as_ref();
        let Some(theirs) = theirs.filter(|it| it.name.eq_ignore_ascii_case(&balancer.name)) else { continue };
        if abilities.one_service_each {
            faults.push(format!(
                "service {} is behind load balancer {} already, and there a container is behind all listeners or none: \
                 name another load balancer, or give {} another listener",
                other.name, balancer.name, other.name
            ));
            continue;
        }
        for listener in &theirs.listeners {
            if balancer.listeners.iter().any(|own| own.port == listener.port) {
                faults.push(format!(
                    "service {} has listener {} of load balancer {} already: choose another port",
                    other.name, listener.port, balancer.name
                ));
            }
            taken.push((listener.port, &other.name));
        }
    }
    if taken.len() > abilities.listeners_max {
        faults.push(format!(
            "load balancer {} would have {} listeners, and {} allows {}",
            balancer.name,
            taken.len(),
            abilities.provider,
            abilities.listeners_max
        ));
    }
}

fn word(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Http => "http",
        Protocol::Https => "https",
    }
}

/// As much of a text from outside as an error should repeat.
fn shown(text: &str) -> String {
    text.chars().take(NAME_MAX + 1).collect()
}

#[cfg(test)]
mod tests;
