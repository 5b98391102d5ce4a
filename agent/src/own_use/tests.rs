use super::*;
use crate::docker::NetworkId;
use crate::docker::events::{Attachment, Container};
use hostnet::{IfName, Proxy, Route, Table};
use ipam::Generation;

fn address() -> IpAddr {
    "10.50.0.4".parse().unwrap()
}

/// Nobody shows anything.
#[derive(Default)]
struct Host {
    assigned: BTreeMap<IpAddr, Epoch>,
    pages: Pages,
    sight: Sight,
    observed: Observed,
}

impl Host {
    fn says(&self) -> Option<String> {
        let Self { assigned, pages, sight, observed } = self;
        Witnesses { assigned, pages, sight, observed }.who_shows(address())
    }
}

fn container(running: bool) -> Container {
    let attachment = Attachment {
        network: NetworkId("n".into()),
        network_name: "cloud".into(),
        endpoint: Some("e".into()),
        address: Some(address()),
        mac: None,
    };
    let (id, name, labels) = ("c".into(), "web".into(), BTreeMap::new());
    Container {
        id,
        name,
        labels,
        running,
        readiness: api::Readiness::Ready,
        ending: false,
        attachments: vec![attachment],
    }
}

#[test]
fn an_address_that_nobody_shows_is_not_used() {
    let mut host = Host::default();
    host.sight.containers.push(container(false));
    assert_eq!(host.says(), None);
}

/// A host that lost both journals does not know what it uses; whoever else shows it is believed.
#[test]
fn one_witness_is_enough() {
    let epoch = Epoch { generation: Generation { number: 1, id: 1 }, take: 2, counter: 3 };
    let assigned = Host { assigned: [(address(), epoch)].into(), ..Host::default() };
    assert_eq!(assigned.says(), Some(format!("the journal has it assigned, epoch {epoch}")));

    let mut docker = Host::default();
    docker.sight.containers.push(container(true));
    assert_eq!(docker.says().as_deref(), Some("Docker shows a container with it on network cloud"));

    let (bridge, vlan) = (IfName::parse("berth-a").unwrap(), IfName::parse("eth0").unwrap());
    let mut kernel = Host::default();
    kernel.observed.proxies.insert(Proxy { address: address(), on: vlan });
    assert_eq!(kernel.says().as_deref(), Some("the kernel answers for it on eth0"));

    let to = ipnetwork::IpNetwork::from(address());
    let route = Route { to, through: bridge, via: None, source: None, table: Table::MAIN };
    kernel.observed.routes.insert(route);
    assert_eq!(kernel.says().as_deref(), Some("the kernel routes it to berth-a"));
}
