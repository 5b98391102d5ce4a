use super::*;

fn request(host: (u16, u16), port: u16) -> PortRequest {
    PortRequest { proto: 6, port, host_ip: None, host_port: host.0, host_port_end: host.1 }
}

fn any(port: u16) -> PortRequest {
    request((0, 0), port)
}

/// A port that the container `web` has.
fn of_web(host_port: u16, host_address: Option<&str>) -> Taken {
    let host_address = host_address.map(|address| address.parse().unwrap());
    let port = PublishedPort { protocol: Protocol::Tcp, host_address, host_port, container_port: 80 };
    Taken { port, by: "web".to_owned() }
}

fn chosen(requests: &[PortRequest], taken: Vec<Taken>) -> Result<Vec<u16>, String> {
    let ports = choose(requests, taken).map_err(|error| error.to_string())?;
    Ok(ports.iter().map(|port| port.host_port).collect())
}

#[test]
fn the_first_free_port_of_a_range_is_taken() {
    let taken = vec![of_web(8000, None)];
    assert_eq!(chosen(&[request((8000, 8003), 80), request((8000, 8003), 81)], taken), Ok(vec![8001, 8002]));
}

#[test]
fn a_taken_port_is_refused_with_who_has_it() {
    let error = chosen(&[request((8000, 8000), 80)], vec![of_web(8000, None)]).unwrap_err();
    assert!(error.starts_with("host port 8000 is taken by web"), "{error}");
    let error = chosen(&[request((9000, 9000), 80), request((9000, 9000), 81)], vec![]).unwrap_err();
    assert!(error.starts_with("host port 9000 is taken by another -p of this container"), "{error}");
    let sshd = Listener { protocol: Protocol::Tcp, address: None, port: 22 };
    let error = chosen(&[request((22, 22), 22)], vec![sshd.into()]).unwrap_err();
    assert!(error.starts_with("host port 22 is taken by a process of this host"), "{error}");
}

#[test]
fn one_port_on_two_addresses_of_the_host_is_two_ports() {
    let on = |address: &str| PortRequest { host_ip: address.parse().ok(), ..request((80, 80), 80) };
    let taken = || vec![of_web(80, Some("10.40.0.11"))];
    assert_eq!(chosen(&[on("127.0.0.1")], taken()), Ok(vec![80]));
    assert!(chosen(&[on("10.40.0.11")], taken()).is_err());
    // Every address of the host includes that one.
    assert!(chosen(&[on("0.0.0.0")], taken()).is_err());
}

#[test]
fn a_container_that_names_no_host_port_gets_the_first_that_nobody_has() {
    let listens = Listener { protocol: Protocol::Tcp, address: None, port: 49154 };
    let taken = vec![of_web(49153, None), listens.into()];
    assert_eq!(chosen(&[any(80), any(443)], taken), Ok(vec![49155, 49156]));
    let udp = PortRequest { proto: 17, ..any(53) };
    assert_eq!(chosen(&[udp], vec![of_web(49153, None)]), Ok(vec![49153]));
    let all = ANY.map(|port| of_web(port, None)).collect();
    let error = chosen(&[any(80)], all).unwrap_err();
    assert!(error.starts_with("every host port from 49153 to 65535 is taken"), "{error}");
}

#[test]
fn what_cannot_be_published_is_refused() {
    let sctp = PortRequest { proto: 132, ..request((80, 80), 80) };
    assert!(chosen(&[sctp], vec![]).unwrap_err().contains("number 132"));
    assert!(chosen(&[request((80, 80), 0)], vec![]).is_err());
}
