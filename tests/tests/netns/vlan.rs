//! A VLAN as a provider has it: a router, a virtual machine, a bare-metal server, and a host that keeps
//! its own interface. The host's default route leads elsewhere, as on SoftLayer, and it has a docker0.

use std::net::IpAddr;

use hostnet::{
    Address, Bridge, Brought, HostNet, IfName, Mac, Maker, Netlink, Observed, Port, Reach, Subnet, bring_to,
};

use crate::namespace::Namespace;

/// The portable subnet of most tests, and its gateway.
pub(crate) const SUBNET: &str = "10.50.0.0/26";
pub(crate) const GATEWAY: &str = "10.50.0.1";
/// A second one.
pub(crate) const SUBNET2: &str = "10.50.1.0/26";
pub(crate) const GATEWAY2: &str = "10.50.1.1";
pub(crate) const HOST: &str = "10.40.0.11";
pub(crate) const VM: &str = "10.40.0.5";
pub(crate) const BARE_METAL: &str = "10.40.0.6";
/// Somewhere behind the VLAN's router.
pub(crate) const BEYOND: &str = "198.51.100.1";
/// A container on the host's docker0.
pub(crate) const FOREIGN: &str = "172.17.0.9";

pub(crate) struct Vlan {
    pub(crate) router: Namespace,
    pub(crate) vm: Namespace,
    pub(crate) bare_metal: Namespace,
    pub(crate) host: Namespace,
    pub(crate) foreign: Namespace,
    /// Where the host's default route leads.
    pub(crate) public: Namespace,
    fabric: Namespace,
}

impl Vlan {
    pub(crate) fn new() -> Self {
        let fabric = Namespace::new("fabric");
        fabric.ip("link add vlan type bridge stp_state 0 forward_delay 0");
        fabric.ip("link set vlan up");
        let vlan = Self {
            router: Namespace::new("router"),
            vm: Namespace::new("vm"),
            bare_metal: Namespace::new("metal"),
            host: Namespace::new("host"),
            foreign: Namespace::new("docker0"),
            public: Namespace::new("public"),
            fabric,
        };
        for (machine, address) in
            [(&vlan.router, "10.40.0.1"), (&vlan.vm, VM), (&vlan.bare_metal, BARE_METAL), (&vlan.host, HOST)]
        {
            vlan.plug(machine, address);
        }
        vlan.set_up_router();
        for machine in [&vlan.vm, &vlan.bare_metal] {
            machine.ip("route add default via 10.40.0.1");
        }
        vlan.set_up_host();
        vlan
    }

    fn plug(&self, machine: &Namespace, address: &str) {
        let port = format!("p{}", address.replace("10.40.0.", ""));
        self.fabric.ip(&format!("link add {port} type veth peer name eth0 netns {}", machine.name));
        self.fabric.ip(&format!("link set {port} master vlan up"));
        machine.ip(&format!("addr add {address}/24 dev eth0"));
        machine.ip("link set eth0 up");
    }

    fn set_up_router(&self) {
        self.router.ip(&format!("addr add {GATEWAY}/26 dev eth0"));
        self.router.ip(&format!("addr add {GATEWAY2}/26 dev eth0"));
        self.router.ip(&format!("addr add {BEYOND}/32 dev lo"));
        self.router.sysctl("ip_forward", "1");
        self.router.sysctl("conf/all/send_redirects", "0");
        self.router.sysctl("conf/eth0/send_redirects", "0");
    }

    fn set_up_host(&self) {
        let host = &self.host;
        host.ip("route add 10.0.0.0/8 via 10.40.0.1");
        host.ip(&format!("link add eth1 type veth peer name eth0 netns {}", self.public.name));
        host.ip("addr add 203.0.113.11/24 dev eth1");
        host.ip("link set eth1 up");
        self.public.ip("addr add 203.0.113.1/24 dev eth0");
        self.public.ip("link set eth0 up");
        host.ip("route add default via 203.0.113.1");
        host.ip("link add docker0 type bridge");
        host.ip("addr add 172.17.0.1/16 dev docker0");
        host.ip("link set docker0 up");
        host.ip(&format!("link add vethd type veth peer name eth0 netns {}", self.foreign.name));
        host.ip("link set vethd master docker0 up");
        self.foreign.ip(&format!("addr add {FOREIGN}/16 dev eth0"));
        self.foreign.ip("link set eth0 up");
        self.foreign.ip("route add default via 172.17.0.1");
        // What dockerd does; we must not depend on it, and it must not lead anybody astray.
        host.sysctl("ip_forward", "1");
    }

    /// Looks, plans and does on the host.
    pub(crate) fn bring_to(&self, wanted: &HostNet) -> Brought {
        self.host.block_on(|| async { bring_to(&Netlink::open().unwrap(), wanted).await.unwrap() })
    }

    /// The same, and nothing may fail or be in the way.
    pub(crate) fn must_bring_to(&self, wanted: &HostNet) {
        let brought = self.bring_to(wanted);
        assert!(brought.is_complete(), "{brought:#?}");
    }

    pub(crate) fn observe(&self) -> Observed {
        use hostnet::Kernel;
        self.host.block_on(|| async { Netlink::open().unwrap().observe().await.unwrap() })
    }

    /// Does what dockerd does after `Join`: moves the container's end into a namespace of its own.
    pub(crate) fn start(&self, wanted: &HostNet, container: &Container) -> Namespace {
        let namespace = Namespace::new("container");
        self.join(&namespace, "eth0", container);
        let gateway = wanted.subnets[&container.subnet.parse().unwrap()].gateway;
        if wanted.bridges[&wanted.ports[&container.port()].bridge].reach == Reach::Vlan {
            namespace.ip(&format!("route add default via {gateway}"));
        }
        namespace
    }

    /// Moves the container's end into this namespace, under this name.
    pub(crate) fn join(&self, namespace: &Namespace, name: &str, container: &Container) {
        let end = container.end();
        self.host.ip(&format!("link set {end} netns {}", namespace.name));
        namespace.ip(&format!("link set {end} name {name}"));
        let prefix = container.subnet.split('/').next_back().unwrap();
        namespace.ip(&format!("addr add {}/{prefix} dev {name}", container.address));
        namespace.ip(&format!("link set {name} up"));
    }

    /// The MAC of the host's own VLAN interface.
    pub(crate) fn host_mac(&self) -> Mac {
        self.host.ip_json("link show eth0")[0]["address"].as_str().unwrap().parse().unwrap()
    }
}

/// A container as the tests want it.
#[derive(Clone)]
pub(crate) struct Container {
    pub(crate) address: &'static str,
    pub(crate) subnet: &'static str,
    pub(crate) bridge: IfName,
}

impl Container {
    pub(crate) fn new(address: &'static str) -> Self {
        Self { address, subnet: SUBNET, bridge: bridge() }
    }

    pub(crate) fn port(&self) -> IfName {
        IfName::port(&self.id())
    }

    pub(crate) fn end(&self) -> IfName {
        IfName::container_end(&self.id())
    }

    fn id(&self) -> String {
        let bytes = self.address.split('.').map(|byte| byte.parse::<u8>().unwrap());
        bytes.map(|byte| format!("{byte:02x}")).collect()
    }
}

pub(crate) fn bridge() -> IfName {
    IfName::bridge("blue")
}

pub(crate) fn eth0() -> IfName {
    IfName::parse("eth0").unwrap()
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A bridge towards the VLAN, both subnets, and these containers.
pub(crate) fn wanted(containers: &[&Container]) -> HostNet {
    let mut net = HostNet::default();
    for (subnet, gateway) in [(SUBNET, GATEWAY), (SUBNET2, GATEWAY2)] {
        let at = Subnet { gateway: ip(gateway), interface: eth0() };
        net.subnets.insert(subnet.parse().unwrap(), at);
    }
    for container in containers {
        net.bridges.insert(container.bridge.clone(), routed(container.bridge.as_str()));
        add(&mut net, container);
    }
    net
}

pub(crate) fn add(net: &mut HostNet, container: &Container) {
    let port = Port {
        bridge: container.bridge.clone(),
        container_end: container.end(),
        mac: Mac::derived(container.address),
        label: container.address.to_owned(),
    };
    net.ports.insert(container.port(), port);
    let at = Address { subnet: container.subnet.parse().unwrap(), bridge: container.bridge.clone() };
    net.addresses.insert(ip(container.address), at);
}

pub(crate) fn routed(name: &str) -> Bridge {
    Bridge { mac: Mac::derived(name), interface: eth0(), mtu: None, reach: Reach::Vlan, maker: Maker::Berth }
}
