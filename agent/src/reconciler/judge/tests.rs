use hostnet::{Mac, PortSeen};
use ipam::Generation;

use super::*;
use crate::docker::events::{Attachment, Container, SeenNetwork};
use crate::docker::{DRIVER, Network};

const N: &str = "4f1c9a52e0b7d368";
const E: &str = "aa11c9a52e0b7d36";

fn epoch() -> Epoch {
    Epoch { generation: Generation { number: 1, id: 1 }, take: 1, counter: 7 }
}

fn address() -> IpAddr {
    "10.50.0.2".parse().unwrap()
}

fn network() -> Network {
    let subnet = "10.50.0.0/26".parse().unwrap();
    Network {
        id: NetworkId(N.into()),
        pool: "default".into(),
        zone: "vlan".into(),
        subnet,
        internal: false,
        mtu: None,
    }
}

fn endpoint(stage: Stage) -> Endpoint {
    Endpoint {
        id: E.into(),
        network: NetworkId(N.into()),
        address: "10.50.0.2/26".parse().unwrap(),
        gateway: None,
        epoch: epoch(),
        mac: Mac([2, 0x42, 0, 0, 0, 1]),
        ports: vec![],
        published: false,
        stage,
    }
}

fn lent(endpoint: Option<&str>, released: bool) -> Lent {
    Lent {
        address: "10.50.0.2/26".parse().unwrap(),
        gateway: None,
        epoch: epoch(),
        zone: "vlan".into(),
        bridge: Some(IfName::parse("brcloud").unwrap()),
        endpoint: endpoint.map(Into::into),
        former: None,
        released,
    }
}

/// A case in a few words: what each side knows.
#[derive(Default)]
struct Case {
    endpoint: Option<Stage>,
    lent: Option<Lent>,
    unassigned: bool,
    unknown: bool,
    stopped: bool,
    docker_lists_endpoint: bool,
    docker_lists_address: bool,
    port_in_container: bool,
    port_on_host: bool,
    bridge_ports: usize,
}

impl Case {
    /// What comes of looks at Docker at these seconds.
    fn over(&self, seconds: &[u64]) -> Vec<Step> {
        let mut suspicions = Suspicions::default();
        seconds.iter().flat_map(|at| self.look(Some(*at), &mut suspicions).0).collect()
    }

    fn look(&self, at: Option<u64>, suspicions: &mut Suspicions) -> (Vec<Step>, Vec<Finding>) {
        let mut pages = Pages::default();
        pages.networks.insert(NetworkId(N.into()), network());
        pages.endpoints.extend(self.endpoint.map(|stage| (E.into(), endpoint(stage))));
        pages.lent.extend(self.lent.clone().map(|lent| (address(), lent)));
        let assigned = if self.unassigned || self.unknown {
            vec![]
        } else {
            vec![Assigned { address: address(), epoch: epoch() }]
        };
        let unassigned = if self.unassigned { BTreeSet::from([address()]) } else { BTreeSet::new() };
        let mut observed = Observed::default();
        if self.port_in_container || self.port_on_host {
            let container_end = self.port_on_host.then(|| IfName::container_end(E));
            let alias = Some("berth:port 10.50.0.2".to_owned());
            observed.ports.insert(IfName::port(E), PortSeen { bridge: None, up: true, alias, container_end });
        }
        let sight = at.map(|secs| self.sight(secs));
        let bridge_ports = BTreeMap::from([(IfName::parse("brcloud").unwrap(), self.bridge_ports)]);
        let look = Look {
            pages: &pages,
            assigned: &assigned,
            unassigned: &unassigned,
            sight: sight.as_ref(),
            observed: &observed,
            bridge_ports: &bridge_ports,
        };
        judge(look, suspicions)
    }

    fn sight(&self, secs: u64) -> Sight {
        let attachment = Attachment {
            network: NetworkId(N.into()),
            network_name: "cloud".into(),
            endpoint: self.docker_lists_endpoint.then(|| E.into()),
            address: self.docker_lists_address.then(address),
            mac: None,
        };
        let container = Container {
            id: "c1".into(),
            name: "web".into(),
            labels: BTreeMap::new(),
            running: !self.stopped,
            readiness: api::Readiness::Ready,
            ending: false,
            attachments: vec![attachment],
        };
        let network = SeenNetwork {
            id: NetworkId(N.into()),
            name: "cloud".into(),
            driver: DRIVER.into(),
            ipam_driver: DRIVER.into(),
            subnets: vec![],
            auxiliary: BTreeMap::new(),
            internal: false,
            mtu: None,
            bridge: Some(IfName::parse("brcloud").unwrap()),
        };
        Sight { at: Timestamp(secs * 1000), containers: vec![container], networks: vec![network] }
    }
}

fn bind() -> Vec<Step> {
    let bridge = IfName::parse("brcloud").ok();
    vec![Step::Bind { address: address(), endpoint: E.into(), bridge }]
}

fn release() -> Vec<Step> {
    vec![Step::Release(E.into())]
}

fn reap() -> Vec<Step> {
    vec![Step::Reap { address: address(), epoch: epoch() }]
}

fn take_back(lent: Lent) -> Vec<Step> {
    vec![Step::TakeBack(lent)]
}

#[test]
fn an_endpoint_that_both_witnesses_miss_for_long_is_released() {
    for stage in [Stage::Created, Stage::Joined, Stage::Left] {
        let case = Case { endpoint: Some(stage), ..Case::default() };
        assert_eq!(case.over(&[100, 159]), vec![], "{stage:?}");
        assert_eq!(case.over(&[100, 160]), release(), "{stage:?}");
    }
}

#[test]
fn one_witness_for_an_endpoint_is_enough_to_keep_it() {
    let joined = || Case { endpoint: Some(Stage::Joined), ..Case::default() };
    for case in [
        Case { docker_lists_endpoint: true, ..joined() },
        Case { docker_lists_address: true, ..joined() },
        Case { port_in_container: true, ..joined() },
    ] {
        assert_eq!(case.over(&[100, 200, 300]), vec![]);
    }
}

#[test]
fn a_port_whose_other_end_is_on_the_host_is_no_witness() {
    let case = Case { endpoint: Some(Stage::Joined), port_on_host: true, ..Case::default() };
    assert_eq!(case.over(&[100, 160]), release());
}

#[test]
fn a_witness_in_between_ends_the_suspicion() {
    let missed = Case { endpoint: Some(Stage::Joined), ..Case::default() };
    let shown = Case { docker_lists_endpoint: true, endpoint: Some(Stage::Joined), ..Case::default() };
    let mut suspicions = Suspicions::default();
    for (case, at) in [(&missed, 100), (&shown, 130), (&missed, 170), (&missed, 220)] {
        assert_eq!(case.look(Some(at), &mut suspicions).0, vec![], "at {at}");
    }
    assert_eq!(missed.look(Some(230), &mut suspicions).0, release());
}

#[test]
fn while_docker_is_silent_nothing_is_freed_and_nothing_forgotten() {
    let missed = Case { endpoint: Some(Stage::Joined), ..Case::default() };
    let mut suspicions = Suspicions::default();
    assert_eq!(missed.look(Some(100), &mut suspicions).0, vec![]);
    assert_eq!(missed.look(None, &mut suspicions).0, vec![]);
    assert_eq!(missed.look(Some(160), &mut suspicions).0, release());
}

#[test]
fn the_same_look_at_docker_seen_twice_is_one_look() {
    let missed = Case { endpoint: Some(Stage::Joined), ..Case::default() };
    assert_eq!(missed.over(&[100, 100, 100]), vec![]);
}

#[test]
fn an_assignment_nobody_knows_is_reaped_after_as_long() {
    assert_eq!(Case::default().over(&[100, 159]), vec![]);
    assert_eq!(Case::default().over(&[100, 160]), reap());
    assert_eq!(Case { docker_lists_address: true, ..Case::default() }.over(&[100, 160]), vec![]);
    // The book may have lost it, but the port in a container says whose address it has.
    assert_eq!(Case { port_in_container: true, ..Case::default() }.over(&[100, 160]), vec![]);
}

#[test]
fn what_docker_deleted_is_paid_at_every_look_and_by_docker_s_word_alone() {
    for stage in [Stage::Deleted, Stage::Released] {
        let case = Case { endpoint: Some(stage), docker_lists_endpoint: true, ..Case::default() };
        assert_eq!(case.over(&[100]), vec![Step::Pay(E.into())], "{stage:?}");
    }
}

#[test]
fn a_deleted_endpoint_whose_release_never_came_is_released_in_dockers_place() {
    let case = Case { endpoint: Some(Stage::Deleted), ..Case::default() };
    let pay = || Step::Pay(E.into());
    assert_eq!(case.over(&[100, 160]), vec![pay(), Step::Release(E.into()), pay()]);
}

#[test]
fn an_auxiliary_address_needs_no_container() {
    assert_eq!(Case { endpoint: Some(Stage::Aside), ..Case::default() }.over(&[100, 200]), vec![]);
}

#[test]
fn an_endpoint_without_an_assignment_is_struck_from_the_book_or_said_loudly() {
    let gone = Case { endpoint: Some(Stage::Joined), unassigned: true, ..Case::default() };
    assert_eq!(gone.over(&[100]), release());
    let runs = Case { docker_lists_endpoint: true, ..gone };
    let (steps, findings) = runs.look(Some(100), &mut Suspicions::default());
    assert_eq!(steps, vec![]);
    assert_eq!(findings, vec![Finding::NotAssigned { address: address(), container: "web".into() }]);
}

#[test]
fn a_lent_address_is_bound_once_docker_shows_its_container() {
    let seen = Case { docker_lists_endpoint: true, docker_lists_address: true, ..Case::default() };
    let unbound = Case { lent: Some(lent(None, false)), ..seen };
    assert_eq!(unbound.over(&[100]), bind());
    let bound = Case { lent: Some(lent(Some(E), false)), ..unbound };
    assert_eq!(bound.over(&[100]), vec![]);
    let nowhere = Lent { bridge: None, ..lent(Some(E), false) };
    assert_eq!(Case { lent: Some(nowhere), ..bound }.over(&[100]), bind(), "its bridge was not known");
    let anew = Lent { former: Some(E.into()), ..lent(None, false) };
    assert_eq!(Case { lent: Some(anew), ..bound }.over(&[100]), vec![], "the look is older than the restart");
}

#[test]
fn a_released_lent_address_is_taken_back_when_neither_docker_nor_the_bridge_shows_it() {
    let released = Case { lent: Some(lent(Some(E), true)), ..Case::default() };
    assert_eq!(released.over(&[100]), take_back(lent(Some(E), true)));
    let on_the_bridge = Case { bridge_ports: 1, ..released };
    assert_eq!(on_the_bridge.over(&[100, 200]), vec![]);
}

#[test]
fn a_lent_address_that_was_never_released_is_taken_back_only_after_long() {
    let forgotten = Case { lent: Some(lent(Some(E), false)), ..Case::default() };
    assert_eq!(forgotten.over(&[100, 159]), vec![]);
    assert_eq!(forgotten.over(&[100, 160]), take_back(lent(Some(E), false)));
}

#[test]
fn networks_that_only_one_side_knows_are_said() {
    let mut suspicions = Suspicions::default();
    let pages = Pages::default();
    let sight = Case::default().sight(100);
    let (observed, bridge_ports) = (Observed::default(), BTreeMap::new());
    let look = Look {
        pages: &pages,
        assigned: &[],
        unassigned: &BTreeSet::new(),
        sight: Some(&sight),
        observed: &observed,
        bridge_ports: &bridge_ports,
    };
    let (_, findings) = judge(look, &mut suspicions);
    assert_eq!(
        findings,
        vec![Finding::NetworkNotInBook { network: NetworkId(N.into()), name: "cloud".into() }]
    );

    let pages = Pages { networks: [(NetworkId(N.into()), network())].into(), ..Pages::default() };
    let sight = Sight { networks: vec![], ..sight.clone() };
    let look = Look { pages: &pages, sight: Some(&sight), ..look };
    let (_, findings) = judge(look, &mut suspicions);
    assert_eq!(findings, vec![Finding::NetworkNotAtDocker { network: NetworkId(N.into()) }]);
}

#[test]
fn of_an_address_nobody_has_a_word_about_nothing_is_concluded() {
    let unknown = Case { endpoint: Some(Stage::Joined), unknown: true, ..Case::default() };
    assert_eq!(unknown.over(&[100, 200, 300]), vec![]);
}

#[test]
fn what_docker_shows_of_a_container_that_does_not_run_is_no_witness() {
    let stopped = Case {
        endpoint: Some(Stage::Joined),
        docker_lists_endpoint: true,
        docker_lists_address: true,
        stopped: true,
        ..Case::default()
    };
    assert_eq!(stopped.over(&[100, 160]), release());
}
