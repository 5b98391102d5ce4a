use super::*;
use crate::docker::NetworkId;
use crate::docker::events::{Attachment, Container};
use hostnet::{Address, IfName, Proxy, Route};
use ipam::{EndpointId, Epoch, Generation};

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 11, 4, 18));

fn view(state: AddressState) -> AddressView {
    AddressView { address: ADDRESS, state, reservation: None }
}

fn assigned(usage: Usage) -> AddressView {
    let epoch = Epoch { generation: Generation { number: 1, id: 1 }, take: 3, counter: 41 };
    view(AddressState::Assigned { epoch, usage })
}

fn bound() -> AddressView {
    assigned(Usage::Bound(EndpointId("e1".into())))
}

fn wanted() -> HostNet {
    let bridge = IfName::bridge("n1");
    let at = Address { subnet: "10.11.4.0/26".parse().unwrap(), bridge };
    HostNet { addresses: [(ADDRESS, at)].into(), ..HostNet::default() }
}

fn observed() -> Observed {
    let (bridge, eth0) = (IfName::bridge("n1"), IfName::parse("eth0").unwrap());
    let route = Route { table: Table::MAIN, to: ADDRESS.into(), through: bridge, via: None, source: None };
    let proxy = Proxy { address: ADDRESS, on: eth0 };
    Observed { routes: [route].into(), proxies: [proxy].into(), ..Observed::default() }
}

fn sight() -> Sight {
    let at = Attachment {
        network: NetworkId("n1".into()),
        network_name: "cloud".into(),
        endpoint: Some(EndpointId("e1".into())),
        address: Some(ADDRESS),
        mac: None,
    };
    let container = Container {
        id: "c1".into(),
        name: "web".into(),
        labels: BTreeMap::new(),
        running: true,
        readiness: api::Readiness::Ready,
        ending: false,
        attachments: vec![at],
    };
    Sight { containers: vec![container], ..Sight::default() }
}

#[test]
fn of_a_zone_that_was_left_the_provider_was_not_asked() {
    let subnet = ipam::Subnet {
        cidr: "10.11.4.0/26".parse().unwrap(),
        pool: "default".into(),
        zone: "vlan-1".into(),
        gateway: None,
    };
    let seen = |in_reach| SubnetView { subnet: subnet.clone(), in_reach, blocks: Vec::new() };
    assert!(in_cloud(&[], &seen(true)).is_some_and(|word| word.differs));
    assert!(in_cloud(&[], &seen(false)).is_none());
}

#[test]
fn a_container_in_order_is_said_the_same_of_by_everybody() {
    let kernel = in_kernel(&wanted(), &observed(), &bound());
    assert_eq!((kernel.says.as_str(), kernel.differs), ("route to berth-bn1, answered for on eth0", false));
    let docker = in_docker(&sight(), &bound());
    assert_eq!((docker.says.as_str(), docker.differs), ("web on network cloud", false));
}

#[test]
fn a_missing_route_differs_and_so_does_one_too_many() {
    assert!(in_kernel(&wanted(), &Observed::default(), &bound()).differs);
    assert!(in_kernel(&HostNet::default(), &observed(), &view(AddressState::Free)).differs);
    assert!(!in_kernel(&HostNet::default(), &Observed::default(), &view(AddressState::Free)).differs);
}

#[test]
fn a_container_with_an_address_that_is_not_assigned_differs() {
    assert!(in_docker(&sight(), &view(AddressState::FreeHere)).differs);
}

#[test]
fn a_bound_address_without_a_container_differs_and_an_unbound_or_auxiliary_one_does_not() {
    let nobody = Sight::default();
    assert!(in_docker(&nobody, &bound()).differs);
    assert!(!in_docker(&nobody, &assigned(Usage::Unbound)).differs);
    assert!(!in_docker(&nobody, &assigned(Usage::Bound(EndpointId("aux:n1:router".into())))).differs);
}

#[test]
fn a_container_with_an_address_that_is_assigned_to_another_endpoint_differs() {
    let other = assigned(Usage::Bound(EndpointId("e2".into())));
    assert!(in_docker(&sight(), &other).differs);
}
