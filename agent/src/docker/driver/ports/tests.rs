use ipam::{Epoch, Generation};

use super::*;
use crate::docker::NetworkId;

fn request(host: (u16, u16), port: u16) -> PortRequest {
    PortRequest { proto: 6, port, host_ip: None, host_port: host.0, host_port_end: host.1 }
}

fn pages_with(ports: Vec<PublishedPort>, stage: Stage) -> Pages {
    let other = Endpoint {
        id: "other".into(),
        network: NetworkId("n".into()),
        address: "10.50.0.2/26".parse().unwrap(),
        gateway: None,
        epoch: Epoch { generation: Generation { number: 1, id: 1 }, take: 1, counter: 1 },
        mac: hostnet::Mac([2, 0, 0, 0, 0, 1]),
        ports,
        published: true,
        stage,
    };
    Pages { endpoints: [(other.id.clone(), other)].into(), ..Pages::default() }
}

fn open(host_port: u16, host_address: Option<&str>) -> PublishedPort {
    let host_address = host_address.map(|address| address.parse().unwrap());
    PublishedPort { protocol: Protocol::Tcp, host_address, host_port, container_port: 80 }
}

fn chosen(requests: &[PortRequest], pages: &Pages) -> Result<Vec<u16>, String> {
    let ports = choose(requests, &"own".into(), pages).map_err(|error| error.to_string())?;
    Ok(ports.iter().map(|port| port.host_port).collect())
}

#[test]
fn the_first_free_port_of_a_range_is_taken() {
    let pages = pages_with(vec![open(8000, None)], Stage::Joined);
    assert_eq!(chosen(&[request((8000, 8003), 80), request((8000, 8003), 81)], &pages), Ok(vec![8001, 8002]));
}

#[test]
fn a_taken_port_is_refused_with_who_has_it() {
    let pages = pages_with(vec![open(8000, None)], Stage::Joined);
    let error = chosen(&[request((8000, 8000), 80)], &pages).unwrap_err();
    assert!(error.starts_with("host port 8000 is taken by 10.50.0.2"), "{error}");
    let error = chosen(&[request((9000, 9000), 80), request((9000, 9000), 81)], &pages).unwrap_err();
    assert!(error.starts_with("host port 9000 is taken by another -p of this container"), "{error}");
}

#[test]
fn a_deleted_endpoint_keeps_no_port() {
    let pages = pages_with(vec![open(8000, None)], Stage::Deleted);
    assert_eq!(chosen(&[request((8000, 8000), 80)], &pages), Ok(vec![8000]));
}

#[test]
fn one_port_on_two_addresses_of_the_host_is_two_ports() {
    let on = |address: &str| PortRequest { host_ip: address.parse().ok(), ..request((80, 80), 80) };
    let pages = pages_with(vec![open(80, Some("10.40.0.11"))], Stage::Joined);
    assert_eq!(chosen(&[on("127.0.0.1")], &pages), Ok(vec![80]));
    assert!(chosen(&[on("10.40.0.11")], &pages).is_err());
    // Every address of the host includes that one.
    assert!(chosen(&[on("0.0.0.0")], &pages).is_err());
}

#[test]
fn what_nobody_could_find_again_is_refused() {
    let error = chosen(&[request((0, 0), 80)], &Pages::default()).unwrap_err();
    assert!(error.contains("-p 8080:80"), "{error}");
    let sctp = PortRequest { proto: 132, ..request((80, 80), 80) };
    assert!(chosen(&[sctp], &Pages::default()).unwrap_err().contains("number 132"));
}
