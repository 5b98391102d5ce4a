use super::*;
use crate::docker::events::{Attachment, Container, SeenNetwork, Sight};
use crate::docker::{DRIVER, Endpoint, NetworkId, Pages, Stage};
use ::api::Finding;
use ::ledger::{End, Moment, Why};
use hostnet::{HostNet, IfName, Mac, Observed, Proxy};
use ipam::{
    AddressView, Block, BlockCommand, BlockCounts, BlockView, EndpointId, Epoch, Generation, Holder, HostId,
    Incarnation, Reservation, SetAside, Usage,
};
use provider::{CloudSubnet, ClusterTags, SubnetId, ZoneId};
use std::net::IpAddr;

const CIDR: &str = "10.11.4.0/28";

fn id() -> BlockId {
    BlockId { subnet: CIDR.parse().unwrap(), index: 0 }
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 11, 4, last])
}

fn epoch(counter: u64) -> Epoch {
    Epoch { generation: Generation { number: 1, id: 7 }, take: 1, counter }
}

fn holder(host: &str) -> Holder {
    Holder { host: host.into(), incarnation: Incarnation(1) }
}

fn endpoint() -> EndpointId {
    EndpointId("e1".into())
}

/// The block in the store: h1 holds .2 and .3, h2 holds .4.
fn stored() -> Block {
    let mut block = Block::open(id(), 0, &BTreeMap::from([(address(0), SetAside::Network)]));
    for (host, lasts) in [("h1", vec![2, 3]), ("h2", vec![4])] {
        let addresses = lasts.into_iter().map(address).collect();
        let take = BlockCommand::Take { holder: holder(host), addresses, operation: 1 };
        block = block.apply(take).unwrap().block;
    }
    block
}

/// What h1 sees: .2 is assigned there, .3 is free there.
fn view() -> View {
    let stored = stored();
    let shown = |address: IpAddr| AddressView {
        address,
        state: match address {
            it if it == self::address(2) => {
                AddressState::Assigned { epoch: epoch(1), usage: Usage::Bound(endpoint()) }
            }
            it if it == self::address(3) => AddressState::FreeHere,
            it => stored.state_of(it),
        },
        reservation: None,
    };
    let cidr = id().subnet;
    let pool = ipam::PoolName::from("default");
    View {
        host: "h1".into(),
        incarnation: Some(Incarnation(1)),
        not_ready: None,
        cluster: None,
        journalled: None,
        hosts: BTreeMap::from([("h1".into(), Incarnation(1)), ("h2".into(), Incarnation(1))]),
        lost: BTreeMap::new(),
        pools: BTreeMap::new(),
        subnets: vec![SubnetView {
            in_reach: true,
            subnet: ipam::Subnet { cidr, pool, zone: ipam::Zone::from("z"), gateway: None },
            blocks: vec![BlockView {
                id: id(),
                state: stored.state(),
                revision: ipam::Revision(1),
                take: stored.take_number(),
                counts: stored.counts(),
                holders: BTreeMap::from([("h1".into(), 2), ("h2".into(), 1)]),
                here: HoldingCounts { free: 1, assigned: 1, ..HoldingCounts::default() },
                operation: None,
                addresses: id().addresses().map(shown).collect(),
            }],
        }],
        reservations: Vec::new(),
        waiting: Vec::new(),
        revoked: Vec::new(),
    }
}

fn block(view: &mut View) -> &mut BlockView {
    &mut view.subnets[0].blocks[0]
}

/// An interval that runs.
fn running(host: &str, last: u8, counter: u64) -> Interval {
    Interval {
        address: address(last),
        epoch: epoch(counter),
        host: HostId::from(host),
        endpoint: Some(endpoint()),
        container: None,
        from: Moment(1_000),
        from_offset: 0,
        earlier: false,
        unknown: false,
        end: None,
    }
}

fn noted(interval: Interval) -> Entry {
    Entry { block: id(), interval, gone: false }
}

fn told(intervals: Vec<Interval>) -> BTreeMap<BlockId, Vec<Interval>> {
    BTreeMap::from([(id(), intervals)])
}

fn s6(own: &[Entry], running: Vec<Interval>) -> Vec<String> {
    let blocks = BTreeMap::from([(id(), Some(stored()))]);
    lines(&ledger::broken(&view(), own, &told(running), Some(&blocks)))
}

fn lines(findings: &[Finding]) -> Vec<String> {
    let line = |it: &Finding| {
        let promise = it.promise.as_deref().unwrap_or("-");
        format!("{promise} {}: {}", it.subject, it.problem)
    };
    findings.iter().map(line).collect()
}

fn sight(last: u8) -> Sight {
    let at = Attachment {
        network: NetworkId("n1".into()),
        network_name: "cloud".into(),
        endpoint: Some(endpoint()),
        address: Some(IpAddr::from([10, 99, 9, last])),
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
    let network = SeenNetwork {
        id: NetworkId("n1".into()),
        name: "cloud".into(),
        driver: DRIVER.into(),
        ipam_driver: DRIVER.into(),
        subnets: Vec::new(),
        auxiliary: BTreeMap::new(),
        internal: false,
        mtu: None,
        bridge: None,
    };
    Sight { containers: vec![container], networks: vec![network], ..Sight::default() }
}

#[test]
fn what_is_in_order_has_no_finding() {
    let view = view();
    assert_eq!(lines(&shared::broken_sums(&view)), Vec::<String>::new());
    assert_eq!(lines(&shared::lost(&view)), Vec::<String>::new());
    assert_eq!(lines(&shared::marks(&view)), Vec::<String>::new());
    assert_eq!(s6(&[noted(running("h1", 2, 1))], vec![running("h1", 2, 1), running("h2", 4, 1)]), [""; 0]);
    assert_eq!(concerning(&view), BTreeSet::from([id()]));
}

#[test]
fn the_store_is_not_asked_for_blocks_in_which_this_host_has_no_part() {
    let mut view = view();
    block(&mut view).holders.remove(&HostId::from("h1"));
    block(&mut view).here = HoldingCounts::default();
    assert_eq!(concerning(&view), BTreeSet::new());
}

#[test]
fn a_holding_that_the_journal_does_not_know_is_found() {
    let mut view = view();
    block(&mut view).here.free = 0;
    let found = shared::broken_sums(&view);
    assert_eq!(
        lines(&found),
        ["S5 10.11.4.0/28#0: 1 addresses of it are held by this host and not in its journal"]
    );
    // While something is under way, the journal is about to follow.
    let deed = ipam::Deed::Take(BTreeSet::from([address(3)]));
    let operation = ipam::Operation { number: 2, boot: "boot".into(), compared: ipam::Revision(1), deed };
    block(&mut view).operation = Some(operation);
    assert_eq!(shared::broken_sums(&view), []);
}

#[test]
fn a_block_that_does_not_add_up_is_found() {
    let mut view = view();
    block(&mut view).counts = BlockCounts { total: 16, ..BlockCounts::default() };
    assert_eq!(shared::broken_sums(&view)[0].promise.as_deref(), Some("S5"));
}

#[test]
fn an_address_whose_holder_is_no_host_any_more_is_found() {
    let mut view = view();
    view.lost = BTreeMap::from([(address(9), holder("h9")), (address(4), holder("h2"))]);
    view.hosts.insert("h2".into(), Incarnation(2));
    let found = shared::lost(&view);
    assert_eq!(lines(&found), ["L4 10.11.4.4: its holder is gone", "L4 10.11.4.9: its holder is gone"]);
    assert!(found[0].words[0].says.contains("which is in its incarnation 2 since"), "{found:?}");
    assert!(found[1].words[0].says.contains("no host of this cluster"), "{found:?}");
}

#[test]
fn a_reservation_without_a_mark_and_a_mark_without_a_reservation_are_found() {
    let mut view = view();
    let pool = ipam::PoolName::from("default");
    view.reservations = vec![Reservation { name: "db".into(), address: address(3), pool }];
    block(&mut view).addresses[5].reservation = Some("web".into());
    let subjects: Vec<_> = shared::marks(&view).into_iter().map(|it| it.subject).collect();
    assert_eq!(subjects, ["10.11.4.3", "10.11.4.5"]);
}

#[test]
fn an_endpoint_in_the_journal_without_an_assignment_is_found() {
    let of = |last: u8, counter: u64, stage| Endpoint {
        id: EndpointId(format!("e{last}")),
        network: NetworkId("n1".into()),
        address: format!("10.11.4.{last}/28").parse().unwrap(),
        gateway: None,
        epoch: epoch(counter),
        mac: Mac([2, 0, 0, 0, 0, last]),
        ports: Vec::new(),
        published: false,
        stage,
    };
    let endpoints = [of(2, 1, Stage::Joined), of(3, 5, Stage::Joined), of(6, 5, Stage::Released)];
    let endpoints = endpoints.into_iter().map(|it| (it.id.clone(), it)).collect();
    let pages = Pages { endpoints, ..Pages::default() };
    let found = here::unassigned(&view(), &pages);
    assert_eq!(lines(&found), ["L4 10.11.4.3: an endpoint has it without an assignment"]);
}

#[test]
fn what_the_kernel_has_for_an_address_of_no_subnet_is_found() {
    let on = IfName::parse("eth0").unwrap();
    let proxy = |address| Proxy { address, on: on.clone() };
    let strange = IpAddr::from([10, 99, 9, 9]);
    let observed = Observed { proxies: [proxy(strange), proxy(address(7))].into(), ..Observed::default() };
    let found = here::unlike(&view(), &HostNet::default(), &observed);
    // What concerns a known address is told with that address.
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].subject.contains("10.99.9.9") && found[0].promise.as_deref() == Some("L4"), "{found:?}");
}

#[test]
fn a_container_on_our_network_with_an_address_of_no_subnet_is_found() {
    let found = here::strangers(&view(), &sight(9));
    assert_eq!(
        lines(&found),
        ["S3 10.99.9.9: a container has it, and it is in no subnet of this host's zones"]
    );
    let mut others = sight(9);
    others.networks[0].driver = "bridge".into();
    others.networks[0].ipam_driver = "default".into();
    assert_eq!(here::strangers(&view(), &others), []);
}

#[test]
fn a_subnet_that_the_cloud_has_for_us_and_nobody_knows_is_found() {
    let tags = ClusterTags::of("demo").unwrap();
    let subnet = |cidr: &str| CloudSubnet {
        id: SubnetId::new("17"),
        cidr: cidr.parse().unwrap(),
        gateway: None,
        zone: ZoneId::new("z"),
        tags: tags.opening().applied_to(&[]),
        note: None,
    };
    let fresh = CloudSubnet { tags: tags.claiming().applied_to(&[]), ..subnet("10.11.7.0/28") };
    let unknown = cloud::unknown_to(&tags, &view(), &[subnet(CIDR), subnet("10.11.6.0/28"), fresh]);
    let found = cloud::orphans(&unknown, &[]);
    assert_eq!(
        lines(&found),
        ["L4 10.11.6.0/28: the cloud has it for this cluster, and the cluster does not know it"]
    );
}

#[test]
fn an_assignment_without_an_interval_and_an_interval_without_an_assignment_are_found() {
    assert_eq!(s6(&[], vec![]), ["S6 10.11.4.2: the ledger and the assignment differ"]);
    let own = [noted(running("h1", 2, 1)), noted(running("h1", 3, 2))];
    let found = s6(&own, vec![running("h1", 2, 1), running("h1", 3, 2)]);
    assert_eq!(found, ["S6 10.11.4.3: the ledger and the assignment differ"]);
}

#[test]
fn intervals_of_one_address_that_overlap_are_found() {
    let mut before = running("h1", 2, 0);
    before.end = Some(End { at: Moment(2_000), offset: 0, why: Why::Released });
    let own = [noted(before), noted(running("h1", 2, 1))];
    let found = s6(&own, vec![running("h1", 2, 1)]);
    assert!(found.len() == 1 && found[0].starts_with("S6 the journal's ledger: 10.11.4.2"), "{found:?}");
}

#[test]
fn a_ledger_that_is_behind_in_the_store_is_found() {
    let found = s6(&[noted(running("h1", 2, 1))], vec![]);
    assert_eq!(found, ["- 10.11.4.2: the ledger in the store is behind"]);
}

#[test]
fn an_address_that_two_hosts_say_they_use_is_found() {
    let own = [noted(running("h1", 2, 1))];
    let found = s6(&own, vec![running("h1", 2, 1), running("h2", 2, 0)]);
    let expected = [
        "S6 10.11.4.2: 2 hosts say that it is used there",
        "S6 10.11.4.2: h2 says that it is used there, and does not hold it",
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_is_in_quarantine_is_left_to_who_closes_it() {
    let sweep = BlockCommand::Sweep { host: "h2".into(), below: Incarnation(2), why: "dead".into() };
    let swept = stored().apply(sweep).unwrap().block;
    let own = [noted(running("h1", 2, 1))];
    let running = told(vec![running("h1", 2, 1), running("h2", 4, 1)]);
    let blocks = BTreeMap::from([(id(), Some(swept))]);
    assert_eq!(ledger::broken(&view(), &own, &running, Some(&blocks)), []);
}
