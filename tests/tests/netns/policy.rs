//! Who may reach a container: what is open to whom, and what stays as it is when that changes.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use hostnet::policy::Count;
use hostnet::{HostNet, Netlink, Opening, Policy, Protocol};

use crate::namespace::Namespace;
use crate::published::publish;
use crate::talk::{Server, echoes, greets};
use crate::vlan::{BARE_METAL, Container, HOST, VM, Vlan, ip, wanted};

const ONE: &str = "10.50.0.10";
const TWO: &str = "10.50.0.11";

/// Two containers on one bridge; the first is guarded.
struct Site {
    vlan: Vlan,
    net: HostNet,
    one: Namespace,
    two: Namespace,
}

impl Site {
    fn new(openings: &[Opening]) -> Site {
        let vlan = Vlan::new();
        // Only our own bridges are to pass through netfilter.
        let switch = "/proc/sys/net/bridge/bridge-nf-call-iptables";
        vlan.host.enter(|| std::fs::write(switch, "0").unwrap());
        let (one, two) = (Container::new(ONE), Container::new(TWO));
        let mut net = wanted(&[&one, &two]);
        net.policy = Some(policy(openings));
        vlan.must_bring_to(&net);
        let (one, two) = (vlan.start(&net, &one), vlan.start(&net, &two));
        Site { vlan, net, one, two }
    }

    fn open(&mut self, openings: &[Opening]) {
        self.net.policy = Some(policy(openings));
        self.vlan.must_bring_to(&self.net);
    }

    /// Whether a greeting comes back from the first container.
    fn is_open_to(&self, from: &Namespace) -> bool {
        let (host, listener) = (&self.one, self.one.enter(|| TcpListener::bind(("0.0.0.0", 80)).unwrap()));
        let server = std::thread::spawn(move || {
            listener.set_nonblocking(false).unwrap();
            if let Ok((mut stream, _)) = listener.accept() {
                stream.write_all(b"hello").unwrap_or(());
            }
        });
        let heard = greets(from, &format!("{ONE}:80"));
        if !heard {
            // Nobody came: the server is let go by a connection of the container's own.
            host.enter(|| drop(TcpStream::connect((ONE, 80))));
        }
        server.join().unwrap();
        heard
    }

    fn counts(&self) -> Vec<(Opening, Count)> {
        let read = || async { Netlink::open().unwrap().policy_counts().await.unwrap() };
        self.vlan.host.block_on(read).into_iter().collect()
    }
}

fn policy(openings: &[Opening]) -> Policy {
    Policy::new([ip(ONE)].into(), openings.iter().cloned().collect())
}

fn opening(from: &str) -> Opening {
    Opening { to: ip(ONE), protocol: Protocol::Tcp, port: 80, from: from.parse().unwrap() }
}

#[test]
fn a_guarded_container_is_reached_by_those_it_is_open_to_and_by_nobody_else() {
    let mut site = Site::new(&[]);
    let (vm, metal) = (&site.vlan.vm, &site.vlan.bare_metal);
    for nobody in [vm, metal, &site.two] {
        assert!(!site.is_open_to(nobody), "{}", nobody.name);
    }
    assert!(vm.pings(ONE) && site.two.pings(ONE), "pings reach it always");
    assert!(site.is_open_to(&site.vlan.host), "its own host reaches it always");

    site.open(&[opening(VM)]);
    assert!(site.is_open_to(&site.vlan.vm));
    assert!(!site.is_open_to(&site.vlan.bare_metal) && !site.is_open_to(&site.two));

    site.open(&[opening("10.40.0.0/24")]);
    assert!(site.is_open_to(&site.vlan.bare_metal) && !site.is_open_to(&site.two));

    site.open(&[opening(TWO)]);
    assert!(site.is_open_to(&site.two), "a neighbour on its bridge is told from others");
    assert!(!site.is_open_to(&site.vlan.vm));

    site.open(&[opening("0.0.0.0/0")]);
    assert!(site.is_open_to(&site.two) && site.is_open_to(&site.vlan.bare_metal));
}

#[test]
fn a_container_that_is_not_guarded_is_reached_as_without_any_policy_and_a_guarded_one_reaches_out() {
    let site = Site::new(&[]);
    let _server = Server::start(&site.two, 80);
    assert!(greets(&site.vlan.vm, &format!("{TWO}:80")));
    let server = Server::start(&site.vlan.vm, 80);
    assert!(greets(&site.one, &format!("{VM}:80")), "replies reach it always");
    assert_eq!(server.saw(), ip(ONE));
    assert!(!echoes(&site.vlan.vm, &format!("{ONE}:53"), &site.one, 53), "datagrams are refused as well");
}

#[test]
fn a_published_port_is_open_to_the_same_clients_as_the_container() {
    let mut site = Site::new(&[opening(VM)]);
    site.net.published.insert(publish(8080, &Container::new(ONE), 80));
    site.vlan.must_bring_to(&site.net);
    assert!(!greets(&site.vlan.bare_metal, &format!("{HOST}:8080")));
    let _server = Server::start(&site.one, 80);
    assert!(greets(&site.vlan.vm, &format!("{HOST}:8080")));
}

#[test]
fn a_connection_that_stands_survives_a_change_that_would_not_let_it_begin() {
    let mut site = Site::new(&[opening(VM)]);
    let listener = site.one.enter(|| TcpListener::bind(("0.0.0.0", 80)).unwrap());
    let mut client = site.vlan.vm.enter(|| TcpStream::connect((ONE, 80)).unwrap());
    client.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
    let (mut server, _) = listener.accept().unwrap();
    site.open(&[opening(BARE_METAL)]);
    client.write_all(b"ping").unwrap();
    let mut heard = [0; 4];
    server.read_exact(&mut heard).unwrap();
    server.write_all(b"pong").unwrap();
    client.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"pong");
    drop(listener);
    assert!(!site.is_open_to(&site.vlan.vm), "a new one is refused");
}

#[test]
fn what_uses_an_opening_is_counted_and_other_openings_keep_their_counts() {
    let mut site = Site::new(&[opening(VM)]);
    assert!(site.is_open_to(&site.vlan.vm));
    let packets =
        |counts: &[(Opening, Count)]| counts.iter().map(|(_, count)| count.packets).collect::<Vec<_>>();
    assert_eq!(packets(&site.counts()), [1]);
    site.open(&[opening(VM), opening(BARE_METAL)]);
    assert!(site.is_open_to(&site.vlan.bare_metal));
    assert_eq!(packets(&site.counts()), [1, 1]);
}

#[test]
fn an_unknown_policy_leaves_the_kernels_as_it_is_and_an_empty_one_removes_it() {
    let mut site = Site::new(&[opening(VM)]);
    let unknown = HostNet { policy: None, ..site.net.clone() };
    site.vlan.must_bring_to(&unknown);
    assert!(site.is_open_to(&site.vlan.vm) && !site.is_open_to(&site.two));
    site.net.policy = Some(Policy::default());
    site.vlan.must_bring_to(&site.net);
    assert_eq!(site.vlan.observe().policy, None);
    assert!(site.is_open_to(&site.two));
}

#[test]
fn five_thousand_endpoints_are_read_back_as_they_were_written_and_one_change_is_one_element() {
    let many = |count: u32| {
        let address = |number: u32| std::net::IpAddr::from((0x0A32_0000 + number).to_be_bytes());
        let openings = (0..count).flat_map(|number| {
            ["10.0.0.0/8", "192.0.2.7/32"].map(|from| Opening { to: address(number), ..opening(from) })
        });
        Policy::new((0..count).map(address).collect::<BTreeSet<_>>(), openings.collect())
    };
    let vlan = Vlan::new();
    let mut net = wanted(&[]);
    net.policy = Some(many(5_000));
    vlan.must_bring_to(&net);
    assert_eq!(vlan.observe().policy, net.policy);
    net.policy = Some(many(5_001));
    let brought = vlan.bring_to(&net);
    let made: Vec<String> = brought.made.iter().map(ToString::to_string).collect();
    assert_eq!(made, ["guard 1 more and 0 fewer addresses, open 2 more and 0 fewer ports"]);
    assert!(vlan.bring_to(&net).made.is_empty());
}
