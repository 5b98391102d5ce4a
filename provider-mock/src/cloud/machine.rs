//! Machines: virtual guests and bare metal servers, their ports, power and transactions.

use std::net::{IpAddr, Ipv4Addr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::spec::{MachineKind, MachineSpec, NetworkSpace, SpecError};
use super::{Cloud, Event, Id};

/// A machine.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Its id.
    pub id: Id,
    /// Its UUID.
    pub global_identifier: String,
    /// Its host name.
    pub hostname: String,
    /// The rest of its full name.
    pub domain: String,
    /// Virtual or bare metal.
    pub kind: MachineKind,
    /// Whether it runs.
    pub power: PowerState,
    /// Whether the cloud reaches it (a guest's hypervisor, a server's management card); if not, its power state
    /// is old news.
    pub connected: bool,
    /// What the cloud is doing to it.
    pub transaction: Option<Transaction>,
    /// Its network ports: 0 private, 1 public.
    pub ports: Vec<Port>,
    /// Other addresses by which the metadata service knows it.
    pub also_from: Vec<IpAddr>,
    /// When it was provisioned.
    pub provisioned: Timestamp,
}

/// A network port of a machine.
#[derive(Clone, Debug, Serialize)]
pub struct Port {
    /// The id of its network component.
    pub id: Id,
    /// 0 private, 1 public.
    pub number: u8,
    /// As `06:00:00:00:00:01`.
    pub mac: String,
    /// The VLAN it is in.
    pub vlan: Id,
    /// The primary subnet its address is from.
    pub subnet: Id,
    /// Its primary address.
    pub address: Ipv4Addr,
    /// Whether it minds the security groups that are attached to it: not before a reboot.
    pub security_ready: bool,
}

/// Whether a machine runs. Names as in `SoftLayer_Virtual_Guest_Power_State`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PowerState {
    /// Runs.
    Running,
    /// Off, its memory lost.
    Halted,
    /// Stopped for a while, its memory kept.
    Paused,
    /// Stopped, its memory kept on disk.
    Suspended,
    /// The cloud cannot tell.
    Unknown,
}

impl PowerState {
    /// SoftLayer's key name.
    pub fn key(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Halted => "HALTED",
            Self::Paused => "PAUSED",
            Self::Suspended => "SUSPENDED",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// SoftLayer's name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Halted => "Halted",
            Self::Paused => "Paused",
            Self::Suspended => "Suspended",
            Self::Unknown => "Unknown",
        }
    }
}

/// Something the cloud is doing to a machine.
#[derive(Clone, Debug, Serialize)]
pub struct Transaction {
    /// Its id.
    pub id: Id,
    /// The name of its status, as `REBOOT`.
    pub name: String,
    /// Since when.
    pub began: Timestamp,
}

impl Machine {
    /// Host name and domain.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.hostname, self.domain)
    }

    /// The port in this network.
    pub fn port(&self, space: NetworkSpace) -> Option<&Port> {
        self.ports.iter().find(|port| port.number == space.port())
    }
}

impl Cloud {
    /// The machine of this host name.
    pub fn machine(&self, hostname: &str) -> Option<&Machine> {
        self.machines.values().find(|machine| machine.hostname == hostname)
    }

    /// The machine that a packet from this address comes from.
    pub(crate) fn machine_at(&self, source: IpAddr) -> Option<&Machine> {
        let owns = |machine: &&Machine| {
            machine.ports.iter().any(|port| IpAddr::V4(port.address) == source)
                || machine.also_from.contains(&source)
        };
        self.machines.values().find(owns)
    }

    /// The machine with this primary address.
    pub(crate) fn machine_with(&self, address: Ipv4Addr) -> Option<&Machine> {
        self.machines.values().find(|machine| machine.ports.iter().any(|port| port.address == address))
    }

    /// Adds a machine, running.
    pub fn add_machine(&mut self, spec: &MachineSpec) -> Result<Id, SpecError> {
        check_hostname(&spec.hostname)?;
        if self.machine(&spec.hostname).is_some() {
            return Err(SpecError::Contradiction(format!("there are two machines {}", spec.hostname)));
        }
        let id = self.new_id();
        let mut ports = vec![self.new_port(spec, NetworkSpace::Private, spec.vlan)?];
        if let Some(vlan) = spec.public_vlan {
            ports.push(self.new_port(spec, NetworkSpace::Public, vlan)?);
        }
        let machine = Machine {
            id,
            global_identifier: format!("b3e7a000-0000-4000-8000-{id:012x}"),
            hostname: spec.hostname.clone(),
            domain: spec.domain.clone(),
            kind: spec.kind,
            power: PowerState::Running,
            connected: true,
            transaction: None,
            ports,
            also_from: spec.also_from.clone(),
            provisioned: self.today(),
        };
        self.machines.insert(id, machine);
        Ok(id)
    }

    /// Deletes a machine; false if there is none of this name.
    pub fn delete_machine(&mut self, hostname: &str) -> bool {
        let id = self.machine(hostname).map(|machine| machine.id);
        id.and_then(|id| self.machines.remove(&id)).is_some()
    }

    /// Changes the power state of a machine; false if there is none of this name.
    pub fn set_power(&mut self, hostname: &str, power: PowerState) -> bool {
        let found = self.machines.values_mut().find(|machine| machine.hostname == hostname);
        found.map(|machine| machine.power = power).is_some()
    }

    /// Lets the cloud reach a machine or not; false if there is none of this name.
    pub fn set_connected(&mut self, hostname: &str, connected: bool) -> bool {
        let found = self.machines.values_mut().find(|machine| machine.hostname == hostname);
        found.map(|machine| machine.connected = connected).is_some()
    }

    /// Starts a transaction on a machine, which ends by itself; false if there is none of this name.
    pub fn begin_transaction(&mut self, hostname: &str, name: &str) -> bool {
        let Some(machine) = self.machine(hostname).map(|machine| machine.id) else { return false };
        let transaction = self.new_id();
        let began = self.today();
        if let Some(machine) = self.machines.get_mut(&machine) {
            machine.transaction = Some(Transaction { id: transaction, name: name.to_owned(), began });
        }
        self.schedule(self.delays.transaction_ms, Event::TransactionEnded { machine, transaction });
        true
    }

    pub(super) fn end_transaction(&mut self, id: Id, transaction: Id) {
        if let Some(machine) = self.machines.get_mut(&id) {
            let ended = machine.transaction.take_if(|running| running.id == transaction);
            if ended.is_some_and(|ended| ended.name == "REBOOT") {
                self.ready_for_security(id);
            }
        }
    }

    fn new_port(&mut self, spec: &MachineSpec, space: NetworkSpace, vlan: Id) -> Result<Port, SpecError> {
        let wrong = |text: String| SpecError::Contradiction(format!("machine {}: {text}", spec.hostname));
        let found = self.vlans.get(&vlan).filter(|vlan| vlan.space == space);
        let subnet =
            found.ok_or_else(|| wrong(format!("VLAN {vlan} is not a {} one", space.key())))?.primary_subnet;
        let private = space == NetworkSpace::Private;
        let free = || self.free_primary_address(subnet);
        let address =
            spec.ip.filter(|_| private).or_else(free).ok_or_else(|| wrong("no address left".into()))?;
        let inside = self.subnets.get(&subnet).is_some_and(|subnet| subnet.cidr.contains(address));
        if !inside || self.is_taken(address) {
            return Err(wrong(format!("{address} is taken, or not in the primary subnet of VLAN {vlan}")));
        }
        let id = self.new_id();
        let mac = spec.mac.clone().filter(|_| private).unwrap_or_else(|| mac_for(self.spec.seed, id));
        let mac = parse_mac(&mac).map_err(wrong)?;
        Ok(Port { id, number: space.port(), mac, vlan, subnet, address, security_ready: false })
    }

    /// The lowest free address of a primary subnet, from the 20th on: those below are left for `ip = …`.
    fn free_primary_address(&self, subnet: Id) -> Option<Ipv4Addr> {
        let cidr = self.subnets.get(&subnet)?.cidr;
        let last = cidr.broadcast();
        cidr.iter().skip(20).chain(cidr.iter().skip(2)).find(|ip| *ip != last && !self.is_taken(*ip))
    }
}

/// A locally administered address, as Xen's that SoftLayer's guests have (`06:…`).
pub(super) fn mac_for(seed: u64, port: Id) -> String {
    let [.., seed] = seed.to_be_bytes();
    let [.., a, b, c] = port.to_be_bytes();
    format!("06:be:{seed:02x}:{a:02x}:{b:02x}:{c:02x}")
}

fn parse_mac(text: &str) -> Result<String, String> {
    let text = text.to_ascii_lowercase().replace('-', ":");
    let bytes: Vec<_> =
        text.split(':').map(|byte| (byte.len() == 2).then(|| u8::from_str_radix(byte, 16).ok())).collect();
    let valid = bytes.len() == 6 && bytes.iter().all(|byte| byte.flatten().is_some());
    if valid { Ok(text) } else { Err(format!("{text} is not a MAC address")) }
}

/// A host name becomes part of a namespace's name and of commands.
fn check_hostname(name: &str) -> Result<(), SpecError> {
    let valid = !name.is_empty()
        && name.len() <= 40
        && !matches!(name, "fabric" | "router" | "client")
        && !name.starts_with("balancer-")
        && name.chars().all(|letter| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-')
        && !name.starts_with('-');
    if valid {
        return Ok(());
    }
    Err(SpecError::Contradiction(format!(
        "machine {name:?}: a name is up to 40 of a-z, 0-9, -; not fabric, router, client, balancer-…"
    )))
}
