use api::Service;
use ipam::Generation;
use ipnetwork::IpNetwork;
use provider::{FirewallTransport, InstanceId, ZoneId};

use super::*;
use crate::member::Member;

fn zone() -> Firewall {
    Firewall::Zone(ZoneId::new("1405"))
}

fn group() -> Firewall {
    Firewall::Group("web".into())
}

fn at(number: u8) -> IpAddr {
    [169, 60, 0, number].into()
}

fn epoch(counter: u64) -> Epoch {
    Epoch { generation: Generation { number: 1, id: 1 }, take: 1, counter }
}

fn rule(to: Option<IpAddr>, from: &str) -> FirewallRule {
    FirewallRule { to, transport: FirewallTransport::Tcp, port: 80, from: from.parse().unwrap() }
}

/// Port 80 of these containers, to everybody.
fn wants(members: &[(u8, u64)]) -> Wanted {
    let rules = members.iter().map(|(number, _)| rule(Some(at(*number)), "0.0.0.0/0"));
    let of_members = members.iter().map(|(number, counter)| (at(*number), epoch(*counter)));
    Wanted { rules: rules.collect(), members: of_members.collect(), interfaces: BTreeSet::new(), named: true }
}

fn placed(members: &[(u8, u64)]) -> Placed {
    members.iter().map(|(number, counter)| (at(*number), epoch(*counter))).collect()
}

/// The list of a zone with a rule of somebody else's, and ours for these containers.
fn shows(members: &[u8]) -> Seen {
    let ours = members.iter().map(|number| rule(Some(at(*number)), "0.0.0.0/0"));
    let firewall = FirewallSeen {
        whose: Whose::Shared,
        ours: ours.collect(),
        odd: 0,
        let_in_by_others: BTreeSet::new(),
        foreign: 1,
        rules_max: 200,
        interfaces: BTreeMap::new(),
    };
    Seen { firewall: Some(firewall), awaited: false, settled: true }
}

fn with(mut seen: Seen, change: impl FnOnce(&mut FirewallSeen)) -> Seen {
    if let Some(firewall) = &mut seen.firewall {
        change(firewall);
    }
    seen
}

#[track_caller]
fn step(wanted: &Wanted, placed: &Placed, seen: &Seen, expected: Step<FirewallChange, Edit>) {
    assert_eq!(next(&zone(), wanted, placed, seen), expected);
}

fn set(members: &[u8]) -> Step<FirewallChange, Edit> {
    let rules = members.iter().map(|number| rule(Some(at(*number)), "0.0.0.0/0"));
    Step::Change(FirewallChange::SetRules(rules.collect()))
}

#[test]
fn an_address_waits_for_us_before_it_is_let_in_and_until_it_is_let_in_no_more() {
    let one = wants(&[(1, 1)]);
    step(&one, &placed(&[]), &shows(&[]), Step::Record(vec![Edit::Place(at(1), epoch(1))]));
    step(&one, &placed(&[(1, 1)]), &shows(&[]), set(&[1]));
    step(&one, &placed(&[(1, 1)]), &shows(&[1]), Step::Rest(vec![]));
    step(&wants(&[]), &placed(&[(1, 1)]), &shows(&[1]), set(&[]));
    step(&wants(&[]), &placed(&[(1, 1)]), &shows(&[]), Step::Record(vec![Edit::Forget(at(1), epoch(1))]));
}

#[test]
fn nothing_is_forgotten_while_a_call_may_still_land() {
    let seen = Seen { settled: false, ..shows(&[]) };
    step(&wants(&[]), &placed(&[(1, 1)]), &seen, Step::Rest(vec![]));
}

#[test]
fn while_accepted_rules_are_awaited_nothing_else_is_done() {
    let seen = Seen { awaited: true, ..shows(&[]) };
    let waits = next(&zone(), &wants(&[(2, 2)]), &placed(&[(1, 1)]), &seen);
    assert!(matches!(waits, Step::Wait(_)), "{waits:?}");
}

#[test]
fn a_rule_that_an_earlier_user_of_the_address_left_goes_before_the_next_one_gets_his() {
    let next_user = wants(&[(1, 2)]);
    step(&next_user, &placed(&[(1, 1)]), &shows(&[1]), set(&[]));
    step(&next_user, &placed(&[(1, 1)]), &shows(&[]), Step::Record(vec![Edit::Forget(at(1), epoch(1))]));
}

#[test]
fn orphans_of_ours_go_and_what_somebody_made_of_a_rule_of_ours_is_set_right() {
    step(&wants(&[]), &placed(&[]), &shows(&[9]), set(&[]));
    let odd = with(shows(&[1]), |it| it.odd = 1);
    step(&wants(&[(1, 1)]), &placed(&[(1, 1)]), &odd, set(&[1]));
}

#[test]
fn what_somebody_else_lets_in_already_is_not_said_twice() {
    let same = with(shows(&[]), |it| it.let_in_by_others = [rule(Some(at(1)), "0.0.0.0/0")].into());
    step(&wants(&[(1, 1)]), &placed(&[(1, 1)]), &same, Step::Rest(vec![]));
}

#[test]
fn a_firewall_that_lets_everything_in_does_not_get_its_first_rule_from_us() {
    let open = with(shows(&[]), |it| it.foreign = 0);
    let rests = next(&zone(), &wants(&[(1, 1)]), &placed(&[(1, 1)]), &open);
    let Step::Rest(troubles) = rests else { panic!("{rests:?}") };
    assert!(troubles[0].contains("drops all else"), "{troubles:?}");
}

#[test]
fn what_does_not_fit_is_told_and_what_is_there_stays() {
    let full = with(shows(&[2]), |it| it.rules_max = 2);
    let rests = next(&zone(), &wants(&[(1, 1), (2, 2)]), &placed(&[(1, 1), (2, 2)]), &full);
    let Step::Rest(troubles) = rests else { panic!("{rests:?}") };
    assert!(troubles[0].contains("takes 2 rules, 1 of them are others', and 1 more"), "{troubles:?}");
}

#[test]
fn a_zone_without_a_firewall_is_told_and_its_addresses_wait_for_nobody() {
    let none = Seen { firewall: None, settled: true, awaited: false };
    step(&wants(&[]), &placed(&[(1, 1)]), &none, Step::Record(vec![Edit::Forget(at(1), epoch(1))]));
    let rests = next(&zone(), &wants(&[]), &placed(&[]), &none);
    assert!(matches!(&rests, Step::Rest(troubles) if troubles[0].contains("is not there")), "{rests:?}");
}

fn interface(machine: &str) -> Interface {
    Interface { machine: InstanceId::new(machine), zone: ZoneId::new("1405") }
}

fn wants_group(machines: &[&str]) -> Wanted {
    Wanted {
        rules: machines.iter().map(|_| rule(None, "10.0.0.0/8")).collect(),
        members: BTreeMap::new(),
        interfaces: machines.iter().map(|it| interface(it)).collect(),
        named: true,
    }
}

/// Our group with its rule, at these interfaces: by machine, whether it is attached, and how many others are.
fn group_at(interfaces: &[(&str, bool, usize)]) -> Seen {
    let seen = |(machine, attached, others): &(&str, bool, usize)| {
        (interface(machine), InterfaceSeen { attached: *attached, others: *others, groups_max: 5 })
    };
    let firewall = FirewallSeen {
        whose: Whose::Ours,
        ours: [rule(None, "10.0.0.0/8")].into(),
        odd: 0,
        let_in_by_others: BTreeSet::new(),
        foreign: 0,
        rules_max: 50,
        interfaces: interfaces.iter().map(seen).collect(),
    };
    Seen { firewall: Some(firewall), awaited: false, settled: true }
}

#[track_caller]
fn group_step(wanted: &Wanted, seen: &Seen, expected: Step<FirewallChange, Edit>) {
    assert_eq!(next(&group(), wanted, &placed(&[]), seen), expected);
}

#[track_caller]
fn group_troubles(wanted: &Wanted, seen: &Seen, words: &str) {
    let rests = next(&group(), wanted, &placed(&[]), seen);
    let Step::Rest(troubles) = rests else { panic!("{rests:?}") };
    assert!(troubles.len() == 1 && troubles[0].contains(words), "{troubles:?}");
}

#[test]
fn a_group_is_made_gets_its_rules_and_is_attached_beside_others_only() {
    let none = Seen { firewall: None, settled: true, awaited: false };
    group_step(&wants_group(&["virtual-1"]), &none, Step::Change(FirewallChange::Make));
    let empty = with(group_at(&[("virtual-1", false, 1)]), |it| it.ours.clear());
    let rules = BTreeSet::from([rule(None, "10.0.0.0/8")]);
    group_step(&wants_group(&["virtual-1"]), &empty, Step::Change(FirewallChange::SetRules(rules)));
    group_step(
        &wants_group(&["virtual-1", "virtual-2"]),
        &group_at(&[("virtual-1", false, 1), ("virtual-2", false, 0)]),
        Step::Change(FirewallChange::Attach([interface("virtual-1")].into())),
    );
    let seen = group_at(&[("virtual-1", true, 1), ("virtual-2", false, 0)]);
    group_troubles(&wants_group(&["virtual-1", "virtual-2"]), &seen, "attach a first one");
    group_troubles(&wants_group(&["virtual-1"]), &group_at(&[("virtual-1", false, 5)]), "takes no more");
    group_troubles(&wants_group(&["hardware-1"]), &group_at(&[]), "bare metal has none");
}

#[test]
fn a_group_that_is_wanted_nowhere_is_detached_and_deleted_but_never_the_last_of_an_interface() {
    let seen = group_at(&[("virtual-1", true, 1), ("virtual-2", true, 0)]);
    let detach = Step::Change(FirewallChange::Detach([interface("virtual-1")].into()));
    group_step(&Wanted::default(), &seen, detach.clone());
    group_step(&wants_group(&["virtual-2"]), &seen, detach);
    let last = group_at(&[("virtual-2", true, 0)]);
    group_step(&Wanted::default(), &last, Step::Change(FirewallChange::SetRules(BTreeSet::new())));
    let last = with(last, |it| it.ours.clear());
    group_troubles(&Wanted::default(), &last, "is the last one at host virtual-2");
    group_step(&Wanted::default(), &group_at(&[]), Step::Change(FirewallChange::Remove));
}

#[test]
fn a_group_of_somebody_else_is_left_alone() {
    let theirs = with(group_at(&[("virtual-1", true, 1)]), |it| it.whose = Whose::Others);
    group_troubles(&wants_group(&["virtual-1"]), &theirs, "was not made by this cluster");
    group_step(&Wanted::default(), &theirs, Step::Rest(vec![]));
}

fn web() -> Service {
    let text = r#"{"name": "web", "port": [{"port": 80}], "policy": [{"from": ["any"]}, {"from": ["service/front"]}],
        "firewall": {"zones": ["1405"], "security_groups": ["web"]}}"#;
    serde_json::from_str(text).unwrap()
}

fn member(number: u8, zone: &str) -> Member {
    Member {
        address: at(number),
        epoch: epoch(u64::from(number)),
        container: format!("c{number}"),
        host: "virtual-1".into(),
        zone: zone.into(),
        port: None,
        weight: 50,
        readiness: api::Readiness::Starting,
        draining: None,
    }
}

#[test]
fn a_zone_s_firewall_lets_in_to_each_member_there_and_a_group_to_each_host() {
    let (web, members) = (web(), [member(1, "1405"), member(2, "1405"), member(3, "1406")]);
    let services: [(&Service, &[Member]); 1] = [(&web, &members)];
    let cluster: [IpNetwork; 1] = ["10.60.0.0/24".parse().unwrap()];
    let at_zone = wanted(&zone(), &services, &cluster);
    let rules = [1, 2]
        .into_iter()
        .flat_map(|number| ["0.0.0.0/0", "10.60.0.0/24"].map(|from| rule(Some(at(number)), from)));
    assert_eq!(at_zone.rules, rules.collect());
    assert_eq!(at_zone.members, placed(&[(1, 1), (2, 2)]));
    let at_group = wanted(&group(), &services, &cluster);
    assert_eq!(at_group.rules, ["0.0.0.0/0", "10.60.0.0/24"].map(|from| rule(None, from)).into());
    assert_eq!(at_group.interfaces.len(), 2, "a host in two zones has two");
    assert!(at_group.members.is_empty(), "no address waits for a group");
    assert!(wanted(&Firewall::Group("other".into()), &services, &cluster).is_nothing());
}
