//! What a lab is made of: the simulated cloud's description, and which of its machines run Docker.

use std::collections::BTreeMap;

use ipnetwork::Ipv4Network;
use provider_mock::{
    AccountSpec, CloudSpec, DatacenterSpec, Delays, FabricSpec, Limits, MachineKind, MachineSpec,
    NetworkSpace, SubnetSpec, UserSpec, VlanSpec,
};

use super::config::{BerthConfig, StoreChoice};

/// The VLAN of [`Layout::one_vlan`].
pub const VLAN: u64 = 1421;

/// The description of a lab.
#[derive(Debug, Clone)]
pub struct Layout {
    /// The cloud: VLANs, machines, delays, limits. Its first user is berthd's.
    pub cloud: CloudSpec,
    /// The Docker hosts, by the host name of their machine.
    pub hosts: BTreeMap<String, DockerHost>,
    /// The machines that run a member of etcd, by host name.
    pub etcd: Vec<String>,
}

/// How a Docker host is set up.
#[derive(Debug, Clone)]
pub struct DockerHost {
    /// dockerd manages iptables, as Debian's does (FORWARD policy DROP); off keeps the lab quiet.
    pub iptables: bool,
    /// Containers survive dockerd.
    pub live_restore: bool,
    /// The lab holds berthd's sockets open and passes them on, as systemd does.
    pub sockets_held: bool,
    /// The boot id of the first boot.
    pub boot_id: String,
    /// berthd's configuration.
    pub berth: BerthConfig,
}

impl Layout {
    /// One private VLAN with a Docker host `h1` (virtual), a plain virtual machine `vm1` and a plain
    /// bare-metal server `bm1`.
    pub fn one_host() -> Layout {
        Layout::one_host_with(DockerHost::default())
    }

    /// The same, with the Docker host set up as given.
    pub fn one_host_with(options: DockerHost) -> Layout {
        Layout::one_vlan()
            .docker_host("h1", options)
            .machine("vm1", MachineKind::Virtual)
            .machine("bm1", MachineKind::Hardware)
    }

    /// One private VLAN with Docker hosts `h1`, `h2` … set up alike on etcd with this many members, a plain
    /// virtual machine `vm1` and a plain bare-metal server `bm1`.
    pub fn fleet(hosts: u32, members: usize, berth: &BerthConfig) -> Layout {
        let berth = BerthConfig { store: StoreChoice::Etcd, ..berth.clone() };
        let host = |number| DockerHost {
            sockets_held: true,
            boot_id: boot_id(number, 1),
            berth: berth.clone(),
            ..DockerHost::default()
        };
        let alone = Layout::one_vlan().etcd_members(members);
        let fleet =
            (1..=hosts).fold(alone, |layout, number| layout.docker_host(&format!("h{number}"), host(number)));
        fleet.machine("vm1", MachineKind::Virtual).machine("bm1", MachineKind::Hardware)
    }

    /// One private VLAN and nobody on it: machines get their addresses from 10.40.0.0/24, ordered subnets
    /// are cut from 10.50.0.0/16.
    pub fn one_vlan() -> Layout {
        let vlan = VlanSpec {
            id: VLAN,
            number: 1421,
            name: "lab".to_owned(),
            space: NetworkSpace::Private,
            router: "bcr01a.dal05".to_owned(),
            primary: network([10, 40, 0, 0], 24),
            portable: vec![network([10, 50, 0, 0], 16)],
            hsrp: false,
            firewall: false,
        };
        let cloud = CloudSpec {
            seed: 1,
            account: AccountSpec::default(),
            users: vec![UserSpec { username: "lab".to_owned(), api_key: "key-of-the-lab".to_owned() }],
            datacenters: vec![DatacenterSpec { name: "dal05".to_owned(), long_name: "Dallas 5".to_owned() }],
            vlans: vec![vlan],
            subnets: Vec::new(),
            machines: Vec::new(),
            local_balancers: Vec::new(),
            delays: Delays::default(),
            limits: Limits::default(),
            fabric: FabricSpec::default(),
        };
        Layout { cloud, hosts: BTreeMap::new(), etcd: Vec::new() }
    }

    /// Adds a public VLAN in the same datacenter, from which public load balancers get the address that users reach.
    #[must_use]
    pub fn public_vlan(mut self) -> Layout {
        self.cloud.vlans.push(VlanSpec {
            id: VLAN + 1,
            number: 1422,
            name: "front".to_owned(),
            space: NetworkSpace::Public,
            router: "fcr01a.dal05".to_owned(),
            primary: network([203, 0, 113, 0], 26),
            portable: Vec::new(),
            hsrp: false,
            firewall: false,
        });
        self
    }

    /// Adds a public VLAN behind a dedicated firewall that lets everything in, with a subnet that somebody ordered for
    /// the lab's cluster, and puts every Docker host on it.
    #[must_use]
    pub fn firewalled_vlan(self) -> Layout {
        let mut layout = self.public_vlan();
        for vlan in layout.cloud.vlans.iter_mut().filter(|vlan| vlan.space == NetworkSpace::Public) {
            vlan.firewall = true;
            let cidr = network([198, 51, 100, 0], 26);
            vlan.portable = vec![cidr];
            let tags = vec!["berth:lab".to_owned()];
            layout.cloud.subnets.push(SubnetSpec { vlan: vlan.id, cidr, tags, note: String::new() });
        }
        for machine in &mut layout.cloud.machines {
            machine.public_vlan = layout.hosts.contains_key(&machine.hostname).then_some(VLAN + 1);
        }
        layout
    }

    /// Adds a virtual machine that runs Docker, on the first VLAN.
    #[must_use]
    pub fn docker_host(mut self, name: &str, options: DockerHost) -> Layout {
        self.hosts.insert(name.to_owned(), options);
        self.machine(name, MachineKind::Virtual)
    }

    /// Adds machines `etcd1`, `etcd2` … on the first VLAN, each with a member of one etcd.
    #[must_use]
    pub fn etcd_members(mut self, count: usize) -> Layout {
        for number in 1..=count {
            let name = format!("etcd{number}");
            self.etcd.push(name.clone());
            self = self.machine(&name, MachineKind::Virtual);
        }
        self
    }

    /// Adds a plain machine, on the first VLAN.
    #[must_use]
    pub fn machine(mut self, name: &str, kind: MachineKind) -> Layout {
        let vlan = self.cloud.vlans.first().map_or(VLAN, |vlan| vlan.id);
        self.cloud.machines.push(MachineSpec::new(name, kind, vlan));
        self
    }

    /// Every node one can name: the machines, the router, the client on the Internet and the fabric itself.
    pub(super) fn node_names(&self) -> Vec<String> {
        let machines = self.cloud.machines.iter().map(|machine| machine.hostname.clone());
        machines.chain(["router", "client", "fabric"].map(str::to_owned)).collect()
    }
}

impl Default for DockerHost {
    fn default() -> DockerHost {
        DockerHost {
            iptables: false,
            live_restore: false,
            sockets_held: false,
            boot_id: "00000000-0000-4000-8000-000000000001".to_owned(),
            berth: BerthConfig::default(),
        }
    }
}

/// The id of a host's boot; no two of a lab are the same.
pub fn boot_id(host: u32, boot: u32) -> String {
    format!("00000000-0000-4000-8000-{host:06}{boot:06}")
}

fn network(address: [u8; 4], prefix: u8) -> Ipv4Network {
    Ipv4Network::new(address.into(), prefix).expect("the prefixes of this file are at most 32")
}
