//! What a simulated cloud is made of at the start: the `cloud.toml` file, as a value.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::Ipv4Network;
use serde::{Deserialize, Serialize};

/// A cloud to simulate. `provider-mock/examples/cloud.toml` shows every key with a comment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudSpec {
    /// Decides everything that would otherwise be chance: MAC addresses, which calls a fault hits.
    #[serde(default)]
    pub seed: u64,
    /// The account that owns everything here.
    #[serde(default)]
    pub account: AccountSpec,
    /// Who may call the API. Each user has a rate limit of its own.
    #[serde(rename = "user")]
    pub users: Vec<UserSpec>,
    /// The failure domains.
    #[serde(rename = "datacenter")]
    pub datacenters: Vec<DatacenterSpec>,
    /// The L2 domains.
    #[serde(rename = "vlan")]
    pub vlans: Vec<VlanSpec>,
    /// Portable subnets that exist before anybody orders one.
    #[serde(rename = "subnet", default)]
    pub subnets: Vec<SubnetSpec>,
    /// The machines that exist before anybody adds one.
    #[serde(rename = "machine", default)]
    pub machines: Vec<MachineSpec>,
    /// Local load balancers: nobody can order one any more.
    #[serde(rename = "local_balancer", default)]
    pub local_balancers: Vec<LocalBalancerSpec>,
    /// How long the cloud takes for what it does later.
    #[serde(default)]
    pub delays: Delays,
    /// How much the API lets a user ask.
    #[serde(default)]
    pub limits: Limits,
    /// How the real packets behave, where a fabric is asked for.
    #[serde(default)]
    pub fabric: FabricSpec,
}

/// The account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountSpec {
    /// SoftLayer's account number.
    pub id: u64,
    /// The name on the account.
    #[serde(default)]
    pub company: String,
}

/// A user of the API.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserSpec {
    /// The name for HTTP Basic authentication.
    pub username: String,
    /// The key for HTTP Basic authentication.
    pub api_key: String,
}

/// A datacenter. Its routers and pods follow from the VLANs that name them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatacenterSpec {
    /// Short name, as `dal05`.
    pub name: String,
    /// Name for people, as `Dallas 5`.
    pub long_name: String,
}

/// Which of the two networks a VLAN belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum NetworkSpace {
    /// The backend network: port 0 of a machine.
    Private,
    /// The frontend network: port 1 of a machine.
    Public,
}

impl NetworkSpace {
    /// The spelling of SoftLayer's `networkSpace` and `addressSpace`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Private => "PRIVATE",
            Self::Public => "PUBLIC",
        }
    }

    /// The number of the machine port that is wired to this network.
    pub fn port(self) -> u8 {
        match self {
            Self::Private => 0,
            Self::Public => 1,
        }
    }
}

/// A VLAN behind one router.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VlanSpec {
    /// SoftLayer's id: what names the VLAN. Below 1,000,000, where the cloud's own ids begin.
    pub id: u64,
    /// The 802.1Q number; two VLANs of a cloud may share one.
    pub number: u16,
    /// A name for people.
    #[serde(default)]
    pub name: String,
    /// Private or public.
    pub space: NetworkSpace,
    /// The router, as `bcr01a.dal05` (private) or `fcr01a.dal05` (public): the datacenter comes after the dot,
    /// the pod is that of the router's number.
    pub router: String,
    /// The subnet from which machines get their own addresses.
    pub primary: Ipv4Network,
    /// Where ordered subnets are cut from: lowest free one first, so a returned one is soon ordered again.
    #[serde(default)]
    pub portable: Vec<Ipv4Network>,
    /// Whether two addresses at the end of each portable subnet are reserved for HSRP.
    #[serde(default)]
    pub hsrp: bool,
    /// Whether a dedicated firewall stands before it: a public one only.
    #[serde(default)]
    pub firewall: bool,
}

/// A portable subnet that exists from the start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SubnetSpec {
    /// The id of its VLAN.
    pub vlan: u64,
    /// Its addresses; /24 to /30.
    pub cidr: Ipv4Network,
    /// Tags on it.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The note on it.
    #[serde(default)]
    pub note: String,
}

/// A local load balancer, which somebody ordered when that could be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalBalancerSpec {
    /// The id of the VLAN from whose primary subnet its virtual address is.
    pub vlan: u64,
}

/// Virtual or bare metal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineKind {
    /// `SoftLayer_Virtual_Guest`.
    Virtual,
    /// `SoftLayer_Hardware_Server`.
    Hardware,
}

/// A machine. Left-out MACs and addresses are chosen by the cloud, always the same way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MachineSpec {
    /// Host name, unique in this cloud; with a fabric also the last part of its namespace's name.
    pub hostname: String,
    /// The rest of its full name.
    #[serde(default = "MachineSpec::default_domain")]
    pub domain: String,
    /// Virtual or bare metal.
    pub kind: MachineKind,
    /// The id of its private VLAN (`eth0`).
    pub vlan: u64,
    /// MAC of `eth0`, as `06:00:00:00:00:01`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
    /// Primary address of `eth0`, out of its VLAN's primary subnet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<Ipv4Addr>,
    /// The id of its public VLAN (`eth1`), if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_vlan: Option<u64>,
    /// Addresses by which the metadata service knows this machine besides its own: for callers on loopback.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_from: Vec<IpAddr>,
}

impl MachineSpec {
    /// A machine with nothing out of the ordinary.
    pub fn new(hostname: &str, kind: MachineKind, vlan: u64) -> Self {
        Self {
            hostname: hostname.to_owned(),
            domain: Self::default_domain(),
            kind,
            vlan,
            mac: None,
            ip: None,
            public_vlan: None,
            also_from: Vec::new(),
        }
    }

    fn default_domain() -> String {
        "example.com".to_owned()
    }
}

/// How long the cloud takes, in milliseconds of its own clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delays {
    /// From a placed order to a subnet that is listed, not yet on its VLAN.
    pub order_visible_ms: u64,
    /// From listed to routed to its VLAN.
    pub order_routed_ms: u64,
    /// From a cancelled billing item to a subnet that is gone.
    pub reclaim_ms: u64,
    /// How long a machine's transaction (reboot, reload) runs.
    pub transaction_ms: u64,
    /// From an ordered load balancer to one that works.
    pub balancer_create_ms: u64,
    /// From a change of a load balancer to its effect; until then no other is taken.
    pub balancer_update_ms: u64,
    /// From a cancelled load balancer to none.
    pub balancer_delete_ms: u64,
    /// From a change of a local load balancer to its effect; until then no other is taken.
    pub local_balancer_ms: u64,
    /// From a change of a security group to its effect, which the event log then tells.
    pub security_group_ms: u64,
    /// From an accepted update of a firewall to its effect.
    pub firewall_ms: u64,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            order_visible_ms: 2_000,
            order_routed_ms: 1_000,
            reclaim_ms: 3_000,
            transaction_ms: 5_000,
            balancer_create_ms: 5_000,
            balancer_update_ms: 2_000,
            balancer_delete_ms: 2_000,
            local_balancer_ms: 1_000,
            security_group_ms: 1_000,
            firewall_ms: 2_000,
        }
    }
}

impl Delays {
    /// Everything at once.
    pub const NONE: Self = Self {
        order_visible_ms: 0,
        order_routed_ms: 0,
        reclaim_ms: 0,
        transaction_ms: 0,
        balancer_create_ms: 0,
        balancer_update_ms: 0,
        balancer_delete_ms: 0,
        local_balancer_ms: 0,
        security_group_ms: 0,
        firewall_ms: 0,
    };
}

/// Limits of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Calls of one user in any second. SoftLayer's own is 50 (softlayer-go issue 75).
    pub requests_per_second: u32,
    /// Subnets on one VLAN. IBM's documentation says 40.
    pub subnets_per_vlan: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests_per_second: 50, subnets_per_vlan: 40 }
    }
}

/// How the fabric behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FabricSpec {
    /// The address of the API and the metadata service, on the router. SoftLayer's own lie in 10.0.80.0/24.
    pub service_address: Ipv4Addr,
    /// Its TCP port.
    pub service_port: u16,
    /// What the router does with gratuitous ARP.
    pub gratuitous_arp: GratuitousArp,
    /// How long the router keeps a neighbour it has heard of, in seconds. Four hours is what IBM's
    /// documentation warns of.
    pub neighbour_secs: u32,
}

impl Default for FabricSpec {
    fn default() -> Self {
        Self {
            service_address: Ipv4Addr::new(10, 0, 80, 11),
            service_port: 80,
            gratuitous_arp: GratuitousArp::Accept,
            neighbour_secs: 4 * 3600,
        }
    }
}

/// What a router does with an ARP packet that nobody asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GratuitousArp {
    /// Learns from it.
    Accept,
    /// Learns only from who asks for one of its own addresses, or answers its own question.
    Ignore,
}

/// A `cloud.toml` that cannot be simulated.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// Not TOML, or not these keys.
    #[error("the cloud's description could not be read; provider-mock/examples/cloud.toml shows every key")]
    Syntax(#[source] toml::de::Error),
    /// The parts contradict each other.
    #[error("the cloud's description is wrong: {0}")]
    Contradiction(String),
}

impl Default for AccountSpec {
    fn default() -> Self {
        Self { id: 307_608, company: "Berth Simulated Cloud".to_owned() }
    }
}

impl CloudSpec {
    /// Reads a `cloud.toml`.
    pub fn from_toml(text: &str) -> Result<Self, SpecError> {
        let spec: Self = toml::from_str(text).map_err(SpecError::Syntax)?;
        spec.check()?;
        Ok(spec)
    }

    /// The cloud of `provider-mock/examples/cloud.toml`: one datacenter, a private and a public VLAN,
    /// `host1`, `vm1` and `metal1`; user `SL307608` with key `simulated-key`.
    pub fn small() -> Self {
        Self::from_toml(include_str!("../../examples/cloud.toml")).expect("a test starts the example file")
    }

    /// Says the first contradiction between the parts.
    pub fn check(&self) -> Result<(), SpecError> {
        let wrong = |text: String| Err(SpecError::Contradiction(text));
        if self.users.is_empty() {
            return wrong("no [[user]]: nobody could call the API".to_owned());
        }
        let mut ids = BTreeSet::new();
        for vlan in &self.vlans {
            if vlan.id >= FIRST_ID || !ids.insert(vlan.id) {
                return wrong(format!("VLAN id {}: must be unique and below {FIRST_ID}", vlan.id));
            }
            if vlan.firewall && vlan.space == NetworkSpace::Private {
                return wrong(format!("VLAN {}: only public VLANs have firewalls", vlan.id));
            }
            if self.datacenter_of(&vlan.router).is_none() {
                return wrong(format!("router {}: must be named as bcr01a.DATACENTER", vlan.router));
            }
        }
        for subnet in &self.subnets {
            if !ids.contains(&subnet.vlan) {
                return wrong(format!("subnet {}: there is no VLAN {}", subnet.cidr, subnet.vlan));
            }
            if !(24..=30).contains(&subnet.cidr.prefix()) || subnet.cidr.ip() != subnet.cidr.network() {
                return wrong(format!("subnet {}: a /24 to /30 without host bits", subnet.cidr));
            }
        }
        Ok(())
    }

    /// The datacenter named after the dot of a router's name.
    pub(crate) fn datacenter_of(&self, router: &str) -> Option<&DatacenterSpec> {
        let (_, name) = router.split_once('.')?;
        self.datacenters.iter().find(|datacenter| datacenter.name == name)
    }
}

/// Where the ids that the cloud gives out begin: VLAN ids of the file stay below.
pub(crate) const FIRST_ID: u64 = 1_000_000;
