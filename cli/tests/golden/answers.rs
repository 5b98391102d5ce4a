use crate::fake::FakeAgent;
use api::*;
use expect_test::expect;
use jiff::Timestamp;

fn at(time: &str) -> Timestamp {
    format!("2026-11-22T{time}Z").parse().expect("a time of day")
}

fn counts() -> Counts {
    Counts { assigned: 2, cooling: 1, free: 29, unheld: 28, set_aside: 4, ..Counts::default() }
}

fn failing_order() -> Order {
    Order {
        id: "default-1404267-1".into(),
        provider_order: Some("83211".into()),
        pool: "default".into(),
        zone: "vlan-1234".into(),
        prefix: 26,
        state: OrderState::Placed,
        trouble: Some("SoftLayer is not answering".into()),
        subnet: None,
        since: Some(at("14:02:00")),
        next_try: Some(at("14:05:00")),
    }
}

pub(crate) fn status() -> Answer<Status> {
    let part = |part, what: &str| Part { part, what: what.into(), condition: Condition::Good };
    let cloud = Part {
        part: Source::Cloud,
        what: "softlayer at https://api.service.softlayer.com/rest/v3.1/".into(),
        condition: Condition::Failing {
            problem: "SoftLayer refused the API key of user demo".into(),
            hint: Some("put a valid key into /etc/berth/softlayer.toml".into()),
            since: at("14:02:00"),
            next_try: Some(at("14:05:00")),
        },
    };
    let status = Status {
        agent: "0.1.0".into(),
        cluster: "demo".into(),
        host: Some("vm-1001".into()),
        started: at("14:00:00"),
        mode: Mode::Serving,
        parts: vec![
            part(Source::Journal, "/var/lib/berth/allocator.journal"),
            part(Source::Store, "embedded, /var/lib/berth/store.redb"),
            part(Source::Docker, "20.10.24 at /var/run/docker.sock"),
            cloud,
        ],
        pools: vec![PoolLine { pool: "default".into(), zone: "vlan-1234".into(), counts: counts() }],
        orders: vec![failing_order()],
        hosts: Vec::new(),
        quarantine: Vec::new(),
    };
    Answer::new([Source::Agent], status)
}

fn pools() -> Answer<Vec<Pool>> {
    let pool = Pool {
        name: "default".into(),
        network: "private".into(),
        watermarks: Watermarks { free_min: 8, subnets_max: 2, prefix: 26 },
        cooling_secs: 30,
        exclude: vec!["10.11.4.8/30".parse().expect("a range")],
        zones: vec![PoolZone {
            zone: "vlan-1234".into(),
            subnets: vec!["10.11.4.0/26".parse().expect("a subnet")],
            counts: counts(),
        }],
    };
    Answer::new([Source::Journal, Source::Store], vec![pool])
}

fn subnets() -> Answer<Vec<Subnet>> {
    let subnet = Subnet {
        subnet: "10.11.4.0/26".parse().expect("a subnet"),
        gateway: Some("10.11.4.1".parse().expect("an address")),
        zone: "vlan-1234".into(),
        pool: Some("default".into()),
        provider_id: Some("77201".into()),
        state: SubnetState::Open,
        in_cloud: Some(true),
        blocks: 1,
        counts: counts(),
        quarantine: Vec::new(),
    };
    Answer::new([Source::Store, Source::Cloud], vec![subnet])
}

fn address(last: u8, state: AddressState) -> Address {
    let assigned = state == AddressState::Assigned;
    Address {
        address: [10, 11, 4, last].into(),
        pool: "default".into(),
        subnet: "10.11.4.0/26".parse().expect("a subnet"),
        zone: "vlan-1234".into(),
        state,
        epoch: Some("1.3.41".into()),
        endpoint: assigned.then(|| "e".repeat(64)),
        container: assigned.then(|| "web-7f".into()),
        network: assigned.then(|| "cloud".into()),
        reservation: None,
    }
}

pub(crate) fn address_report() -> Answer<AddressReport> {
    let report = AddressReport {
        address: address(18, AddressState::Assigned),
        ports: vec!["49153->80/tcp".into()],
        words: vec![
            Word::of(Source::Journal, "assigned, epoch 1.3.41"),
            Word::of(Source::Store, "held by vm-1001, take 3"),
            Word::of(Source::Kernel, "no route").differing(true),
            Word::of(Source::Docker, "endpoint eeeeeeeeeeee of web-7f on cloud"),
        ],
        hint: Some("`berth host plan` shows what the agent will do about it".into()),
    };
    let silence = Silence { source: Source::Cloud, because: "SoftLayer is not answering".into() };
    let words_of = [Source::Journal, Source::Store, Source::Kernel, Source::Docker, Source::Cloud];
    Answer::new(words_of, report).without(vec![silence])
}

#[test]
fn status_shows_what_is_not_well_and_the_next_try() {
    FakeAgent::new().answers("GET /v1/status", status()).check("status", expect![[r#"
        cluster  demo
        host     vm-1001
        agent    0.1.0, since 2026-11-22 14:00:00
        mode     serving

        PART     CONDITION  WHAT
        journal  good       /var/lib/berth/allocator.journal
        store    good       embedded, /var/lib/berth/store.redb
        docker   good       20.10.24 at /var/run/docker.sock
        cloud    failing    softlayer at https://api.service.softlayer.com/rest/v3.1/
        cloud: SoftLayer refused the API key of user demo, since 2026-11-22 14:02:00; next try 2026-11-22 14:05:00

        POOL     ZONE       ASSIGNED  COOLING  FREE  UNHELD  ELSEWHERE  LEAVING  NOT RE-TAKEN  QUARANTINED  SET ASIDE
        default  vlan-1234         2        1    29      28          0        0             0            0          4

        ORDER              POOL     ZONE       SIZE  STATE   SUBNET  NEXT TRY             TROUBLE
        default-1404267-1  default  vlan-1234  /26   placed  -       2026-11-22 14:05:00  SoftLayer is not answering
        --- exit 1
        hint: put a valid key into /etc/berth/softlayer.toml
    "#]]);
}

#[test]
fn status_of_an_agent_with_a_bad_configuration_lists_the_mistakes() {
    let reasons = vec!["line 3, column 1: `clutser` is not an option; write `cluster`".into()];
    let mut answer = status();
    answer.answer.mode = Mode::ReleasesOnly { reasons };
    answer.answer.host = None;
    answer.answer.parts.clear();
    answer.answer.pools.clear();
    answer.answer.orders.clear();
    FakeAgent::new().answers("GET /v1/status", answer).check(
        "status",
        expect![[r#"
            cluster  demo
            host     -
            agent    0.1.0, since 2026-11-22 14:00:00
            mode     releases only, because of
              line 3, column 1: `clutser` is not an option; write `cluster`
            --- exit 1
        "#]],
    );
}

#[test]
fn pools_are_listed_with_their_addresses_by_state() {
    FakeAgent::new().answers("GET /v1/pools", pools()).check(
        "pool list",
        expect![[r#"
            POOL     NETWORK  SUBNETS  ASSIGNED  COOLING  FREE  UNHELD  ELSEWHERE  LEAVING  NOT RE-TAKEN  QUARANTINED  SET ASIDE
            default  private  1 of 2          2        1    29      28          0        0             0            0          4
            --- exit 0
        "#]],
    );
}

#[test]
fn a_pool_shows_its_limits() {
    FakeAgent::new().answers("GET /v1/pools", pools()).check(
        "pool show default",
        expect![[r#"
            pool      default
            network   private
            orders    a /26 when fewer than 8 are free
            limit     2 subnets a zone
            cooling   30 s
            excluded  10.11.4.8/30

            ZONE       SUBNETS       ASSIGNED  COOLING  FREE  UNHELD  ELSEWHERE  LEAVING  NOT RE-TAKEN  QUARANTINED  SET ASIDE
            vlan-1234  10.11.4.0/26         2        1    29      28          0        0             0            0          4
            --- exit 0
        "#]],
    );
}

#[test]
fn a_pool_that_is_not_there_is_a_no() {
    FakeAgent::new().answers("GET /v1/pools", pools()).check(
        "pool show blue",
        expect![[r#"
        --- exit 1
        error: there is no pool blue
        hint: `berth pool list` shows those there are
    "#]],
    );
}

#[test]
fn subnets_are_listed_with_the_clouds_word() {
    FakeAgent::new().answers("GET /v1/subnets", subnets()).check("subnet list", expect![[r#"
        SUBNET        POOL     ZONE       STATE  IN THE CLOUD  ASSIGNED  COOLING  FREE  UNHELD  ELSEWHERE  LEAVING  NOT RE-TAKEN  QUARANTINED  SET ASIDE
        10.11.4.0/26  default  vlan-1234  open   yes                  2        1    29      28          0        0             0            0          4
        --- exit 0
    "#]]);
}

#[test]
fn a_subnet_shows_its_gateway_and_its_id_at_the_provider() {
    FakeAgent::new().answers("GET /v1/subnets", subnets()).check(
        "subnet show 10.11.4.0/26",
        expect![[r#"
            subnet        10.11.4.0/26
            pool          default
            zone          vlan-1234
            gateway       10.11.4.1
            state         open
            in the cloud  yes, id 77201
            blocks        1

            ASSIGNED  COOLING  FREE  UNHELD  ELSEWHERE  LEAVING  NOT RE-TAKEN  QUARANTINED  SET ASIDE
                   2        1    29      28          0        0             0            0          4
            --- exit 0
        "#]],
    );
}

#[test]
fn addresses_are_listed_with_whom_they_belong_to_and_until_when_they_cool() {
    let cooling =
        AddressState::Cooling { until: Some(at("14:02:30")), why: "released, 30 s by timer".into() };
    let aside = AddressState::SetAside { why: "gateway".into() };
    let mut reserved = address(20, AddressState::Free);
    reserved.reservation = Some("database".into());
    let listed = vec![address(1, aside), address(18, AddressState::Assigned), address(19, cooling), reserved];
    let answer = Answer::new([Source::Journal, Source::Store], listed);
    FakeAgent::new()
        .answers("GET /v1/addresses?pool=default&all=true", answer)
        .check("address list --pool default --all", expect![[r#"
            ADDRESS     POOL     STATE      DETAIL                                              CONTAINER  NETWORK  RESERVED AS
            10.11.4.1   default  set aside  gateway                                             -          -        -
            10.11.4.18  default  assigned   epoch 1.3.41                                        web-7f     cloud    -
            10.11.4.19  default  cooling    released, 30 s by timer, until 2026-11-22 14:02:30  -          -        -
            10.11.4.20  default  free       -                                                   -          -        database
            --- exit 0
        "#]]);
}

#[test]
fn an_address_is_shown_on_everybodys_word_with_a_mark_where_they_differ() {
    FakeAgent::new().answers("GET /v1/addresses/10.11.4.18", address_report()).check(
        "address show 10.11.4.18",
        expect![[r#"
            10.11.4.18  assigned  web-7f  ports 49153->80/tcp  pool default  subnet 10.11.4.0/26  zone vlan-1234
              journal  assigned, epoch 1.3.41
              store    held by vm-1001, take 3
              kernel   no route                                  <- differs
              docker   endpoint eeeeeeeeeeee of web-7f on cloud
              cloud    silent
            --- exit 0
            cloud is silent: SoftLayer is not answering
            hint: `berth host plan` shows what the agent will do about it
        "#]],
    );
}

#[test]
fn a_request_that_would_be_refused_is_explained_with_a_no() {
    let explanation = Explanation {
        pool: "default".into(),
        granted: false,
        address: None,
        because: "pool default has no free address in vlan-1234: 60 assigned, 1 cooling, 3 set aside; \
                  limit of 1 subnet reached"
            .into(),
        hint: Some("raise subnets_max of pool default, or wait for what cools".into()),
    };
    FakeAgent::new()
        .answers("GET /v1/explain?pool=default", Answer::new([Source::Journal, Source::Store], explanation))
        .check("address explain --pool default", expect![[r#"
            no: pool default has no free address in vlan-1234: 60 assigned, 1 cooling, 3 set aside; limit of 1 subnet reached
            --- exit 1
            hint: raise subnets_max of pool default, or wait for what cools
        "#]]);
}

#[test]
fn a_request_that_would_be_granted_is_explained_with_a_yes() {
    let explanation = Explanation {
        pool: "default".into(),
        granted: true,
        address: Some([10, 11, 4, 21].into()),
        because: "it is free and held by this host".into(),
        hint: None,
    };
    FakeAgent::new()
        .answers("GET /v1/explain?address=10.11.4.21", Answer::new([Source::Journal], explanation))
        .check(
            "address explain 10.11.4.21",
            expect![[r#"
            yes: 10.11.4.21, it is free and held by this host
            --- exit 0
        "#]],
        );
}

#[test]
fn a_reservation_is_confirmed_with_its_address() {
    let reservation =
        Reservation { name: "web".into(), address: [10, 11, 4, 21].into(), pool: "default".into() };
    FakeAgent::new()
        .answers(
            r#"POST /v1/reservations {"name":"web","pool":"default"}"#,
            Answer::new([Source::Journal], reservation),
        )
        .check(
            "address reserve web --pool default",
            expect![[r#"
            10.11.4.21  reserved as web  pool default
            --- exit 0
        "#]],
        );
}

#[test]
fn a_reservation_is_ended_by_its_name() {
    let reservation =
        Reservation { name: "web/1".into(), address: [10, 11, 4, 21].into(), pool: "default".into() };
    FakeAgent::new()
        .answers("DELETE /v1/reservations?name=web%2F1", Answer::new([Source::Journal], reservation))
        .check(
            "address release web/1",
            expect![[r#"
                10.11.4.21  no longer reserved as web/1  pool default
                --- exit 0
            "#]],
        );
}

fn networks() -> Answer<Vec<Network>> {
    let endpoint = Endpoint {
        id: "e".repeat(64),
        address: Some([10, 11, 4, 18].into()),
        mac: Some("02:42:0a:0b:04:12".into()),
        container: Some("web-7f".into()),
        ports: vec!["49153->80/tcp".into()],
    };
    let network = Network {
        id: "c".repeat(64),
        name: Some("cloud".into()),
        pool: "default".into(),
        subnets: vec!["10.11.4.0/26".parse().expect("a subnet")],
        internal: false,
        bridge: Some("berth-cccccccc".into()),
        endpoints: vec![endpoint],
        in_docker: Some(true),
    };
    Answer::new([Source::Journal, Source::Docker], vec![network])
}

#[test]
fn networks_are_listed_with_their_pools() {
    FakeAgent::new().answers("GET /v1/networks", networks()).check(
        "network list",
        expect![[r#"
        ID            NAME   POOL     SUBNETS       BRIDGE          CONTAINERS  IN DOCKER
        cccccccccccc  cloud  default  10.11.4.0/26  berth-cccccccc           1  yes
        --- exit 0
    "#]],
    );
}

#[test]
fn a_network_is_found_by_the_beginning_of_its_id_and_shows_its_containers() {
    FakeAgent::new().answers("GET /v1/networks", networks()).check(
        "network show cccc",
        expect![[r#"
        network    cloud
        id         cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc
        pool       default
        subnets    10.11.4.0/26
        bridge     berth-cccccccc
        internal   no
        in docker  yes

        ADDRESS     CONTAINER  MAC                PORTS          ENDPOINT
        10.11.4.18  web-7f     02:42:0a:0b:04:12  49153->80/tcp  eeeeeeeeeeee
        --- exit 0
    "#]],
    );
}

fn hosts() -> Answer<Vec<Host>> {
    let host = Host {
        id: "vm-1001".into(),
        this: true,
        hostname: Some("docker1".into()),
        instance: Some("1001".into()),
        kind: Some(MachineKind::Virtual),
        datacenter: Some("dal05".into()),
        incarnation: 1,
        boot_id: Some("0b7e".into()),
        attachments: vec![Attachment {
            zone: "vlan-1234".into(),
            network: "private".into(),
            interface: Some("eth0".into()),
            vlan: Some(1234),
        }],
        identity_from: Source::Cloud,
        life: HostLife::Alive,
        holds: 12,
        unswept: 0,
        eviction: None,
    };
    Answer::new([Source::Store, Source::Cloud], vec![host])
}

#[test]
fn hosts_are_listed_with_their_zones() {
    FakeAgent::new().answers("GET /v1/hosts", hosts()).check(
        "host list",
        expect![[r#"
            HOST            HOSTNAME  MACHINE  DATACENTER  ZONES      LIFE   HOLDS  INCARNATION
            vm-1001 (this)  docker1   virtual  dal05       vlan-1234  alive     12            1
            --- exit 0
        "#]],
    );
}

#[test]
fn this_host_is_shown_with_whose_word_its_identity_is() {
    FakeAgent::new().answers("GET /v1/hosts", hosts()).check(
        "host show",
        expect![[r#"
            host           vm-1001
            hostname       docker1
            instance       1001
            machine        virtual
            datacenter     dal05
            life           alive
            holds          12 addresses
            incarnation    1
            boot           0b7e
            identity from  cloud

            ZONE       NETWORK  INTERFACE  VLAN
            vlan-1234  private  eth0       1234
            --- exit 0
        "#]],
    );
}

fn silent_host() -> Host {
    let said = Some("paused or suspended".into());
    let life = HostLife::Silent { since: Some(at("14:02:00")), said, next: Some(at("14:05:00")) };
    Host { id: "vm-1002".into(), this: false, life, holds: 3, ..hosts().answer.swap_remove(0) }
}

fn evicted_host() -> Host {
    let eviction = Eviction {
        at: "2026-11-22T14:02:00Z".into(),
        by: "vm-1001".into(),
        why: "forced by ann: the rack burnt down".into(),
    };
    Host {
        id: "vm-1003".into(),
        this: false,
        life: HostLife::Evicted,
        holds: 0,
        unswept: 2,
        eviction: Some(eviction),
        incarnation: 2,
        ..hosts().answer.swap_remove(0)
    }
}

#[test]
fn a_silent_host_is_shown_with_what_the_provider_says() {
    let answer = Answer::new([Source::Store], vec![silent_host()]);
    FakeAgent::new().answers("GET /v1/hosts", answer).check("host show vm-1002", expect![[r#"
        host           vm-1002
        hostname       docker1
        instance       1001
        machine        virtual
        datacenter     dal05
        life           silent
        holds          3 addresses
        incarnation    1
        boot           0b7e
        identity from  cloud
        vm-1002 has been silent since 2026-11-22 14:02:00; the provider says: paused or suspended; asked next 2026-11-22 14:05:00

        ZONE       NETWORK  INTERFACE  VLAN
        vlan-1234  private  eth0       1234
        --- exit 0
    "#]]);
}

#[test]
fn an_eviction_is_answered_with_its_record_and_what_is_left_to_do() {
    let answer = Answer::new([Source::Store], evicted_host());
    FakeAgent::new()
        .answers(
            r#"POST /v1/hosts/evict {"host":"vm-1003","who":"ann","powered_off":false,"force":"fire"}"#,
            answer,
        )
        .check(
            "host evict vm-1003 --force --because fire",
            expect![[r#"
            HOST     HOSTNAME  MACHINE  DATACENTER  ZONES      LIFE     HOLDS  INCARNATION
            vm-1003  docker1   virtual  dal05       vlan-1234  evicted      0            2
            vm-1003 was evicted 2026-11-22T14:02:00Z by vm-1001: forced by ann: the rack burnt down
            vm-1003: 2 addresses still to go to quarantine; the zone's role does it by itself
            --- exit 0
            hint: its addresses are in quarantine and then free; `berth status` shows what keeps one there
        "#]],
        );
}

#[test]
fn the_status_names_hosts_and_quarantines_that_need_a_look() {
    let kept = Quarantined {
        address: "10.11.4.18".parse().expect("an address"),
        was: Some("vm-1002".into()),
        why: "the host evicted itself".into(),
        state: "still used, says this host: Docker shows a container with it on network cloud".into(),
        kept: true,
        next: Some(at("14:05:00")),
    };
    let answer = status().map(|status| Status {
        orders: Vec::new(),
        parts: Vec::new(),
        pools: Vec::new(),
        hosts: vec![silent_host(), evicted_host()],
        quarantine: vec![kept],
        ..status
    });
    FakeAgent::new().answers("GET /v1/status", answer).check("status", expect![[r#"
        cluster  demo
        host     vm-1001
        agent    0.1.0, since 2026-11-22 14:00:00
        mode     serving

        HOST     HOSTNAME  MACHINE  DATACENTER  ZONES      LIFE     HOLDS  INCARNATION
        vm-1002  docker1   virtual  dal05       vlan-1234  silent       3            1
        vm-1003  docker1   virtual  dal05       vlan-1234  evicted      0            2
        vm-1002 has been silent since 2026-11-22 14:02:00; the provider says: paused or suspended; asked next 2026-11-22 14:05:00
        vm-1003 was evicted 2026-11-22T14:02:00Z by vm-1001: forced by ann: the rack burnt down
        vm-1003: 2 addresses still to go to quarantine; the zone's role does it by itself

        QUARANTINED  HELD BY  HOW IT STANDS                                                                  LOOKED AT            BECAUSE
        10.11.4.18   vm-1002  still used, says this host: Docker shows a container with it on network cloud  2026-11-22 14:05:00  the host evicted itself
        --- exit 0
    "#]]);
}

#[test]
fn a_plan_with_changes_is_a_no() {
    let plan = HostPlan { changes: vec!["add route 10.11.4.18/32 to berth-cccccccc".into()] };
    let answer = Answer::new([Source::Journal, Source::Kernel], plan);
    FakeAgent::new().answers("GET /v1/host/plan", answer).check(
        "host plan",
        expect![[r#"
        add route 10.11.4.18/32 to berth-cccccccc
        --- exit 1
    "#]],
    );
}

#[test]
fn a_host_that_is_right_has_nothing_to_change() {
    let answer = Answer::new([Source::Journal, Source::Kernel], HostPlan { changes: vec![] });
    FakeAgent::new().answers("GET /v1/host/plan", answer).check(
        "host plan",
        expect![[r#"
        nothing to change: this host is as it should be
        --- exit 0
    "#]],
    );
}

#[test]
fn check_says_who_differs_and_about_what() {
    let finding = Finding {
        promise: Some("L4".into()),
        subject: "10.11.4.19".into(),
        problem: "it has a route and nobody is assigned it".into(),
        words: vec![
            Word::of(Source::Journal, "cooling, epoch 1.3.40"),
            Word::of(Source::Kernel, "route to berth-cccccccc").differing(true),
        ],
        hint: Some("`berth host plan` shows what the agent will do about it".into()),
    };
    let report = CheckReport { addresses: 64, endpoints: 2, findings: vec![finding] };
    let answer = Answer::new([Source::Journal, Source::Store, Source::Kernel], report);
    FakeAgent::new().answers("GET /v1/check", answer).check(
        "check",
        expect![[r#"
        1 found in 64 addresses and 2 endpoints, asked journal, store, kernel

        10.11.4.19  it has a route and nobody is assigned it  breaks L4
          journal  cooling, epoch 1.3.40
          kernel   route to berth-cccccccc  <- differs
        --- exit 1
        hint: `berth host plan` shows what the agent will do about it
    "#]],
    );
}

#[test]
fn check_could_not_tell_while_someone_is_silent() {
    let report = CheckReport { addresses: 64, endpoints: 2, findings: vec![] };
    let silence = Silence { source: Source::Docker, because: "connection refused".into() };
    let answer = Answer::new([Source::Journal, Source::Store, Source::Docker], report).without(vec![silence]);
    FakeAgent::new().answers("GET /v1/check", answer).check(
        "check",
        expect![[r#"
            those who answered agree: 64 addresses and 2 endpoints, asked journal, store
            --- exit 2
            docker is silent: connection refused
        "#]],
    );
}

#[test]
fn doctor_names_each_trouble_with_its_cure() {
    let examination = |name: &str, verdict, found: &str, cure: Option<&str>| Examination {
        name: name.into(),
        verdict,
        found: found.into(),
        cure: cure.map(Into::into),
    };
    let report = DoctorReport {
        examinations: vec![
            examination("configuration", Verdict::Good, "no mistakes", None),
            examination(
                "forwarding",
                Verdict::Bad,
                "net.ipv4.ip_forward is 0",
                Some("run `sysctl -w net.ipv4.ip_forward=1`"),
            ),
        ],
    };
    let answer = Answer::new([Source::Agent, Source::Kernel], report);
    FakeAgent::new().answers("GET /v1/doctor", answer).check(
        "doctor",
        expect![[r#"
        EXAMINED       VERDICT  FOUND
        configuration  good     no mistakes
        forwarding     bad      net.ipv4.ip_forward is 0
        --- exit 1
        hint: forwarding: run `sysctl -w net.ipv4.ip_forward=1`
    "#]],
    );
}
