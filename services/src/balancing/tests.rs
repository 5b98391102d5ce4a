use std::collections::BTreeMap;

use ipam::Generation;
use provider::{ListenerProtocol, ListenerSeen};

use super::*;

const LIMITS: Limits = Limits { members: 50, listeners_ordered: 2, zone: None };

fn at(number: u8) -> IpAddr {
    [10, 60, 0, number].into()
}

fn epoch(counter: u64) -> Epoch {
    Epoch { generation: Generation { number: 1, id: 1 }, take: 1, counter }
}

fn spec(port: u16) -> ListenerSpec {
    ListenerSpec { port, protocol: ListenerProtocol::Tcp, to_port: 8080 }
}

/// What the spec of this port says, as a look shows it.
fn listens(id: &str, port: u16, weighs: bool) -> ListenerSeen {
    let ListenerSpec { port, protocol, to_port } = spec(port);
    ListenerSeen { id: ListenerId(id.into()), port, protocol, to_port: Some(to_port), weighs, health: None }
}

/// Adding these members, at the one listener.
fn adds(members: &[(u8, u8)]) -> Step<BalancerChange, Edit> {
    let members = members.iter().map(|(number, weight)| (at(*number), *weight)).collect();
    Step::Change(BalancerChange::AddMembers { members, listeners: vec![spec(80)] })
}

fn wants(members: &[(u8, u64, u8)]) -> Wanted {
    let members = members.iter().map(|(number, counter, weight)| {
        (at(*number), MemberWanted { epoch: epoch(*counter), weight: *weight })
    });
    Wanted { order: None, listeners: BTreeMap::from([(80, (spec(80), None))]), members: members.collect() }
}

fn knows(members: &[(u8, u64, Option<u8>)]) -> Known {
    let placed = members.iter().map(|(number, counter, weight)| {
        (at(*number), Placed { epoch: epoch(*counter), weight: *weight, up: None })
    });
    Known { listeners: BTreeSet::from([80]), placed: placed.collect() }
}

/// A load balancer with these members, listening on 80; addresses up to 99 are ours.
fn shows(members: &[(u8, u8)]) -> Seen {
    let listener = listens("l80", 80, true);
    let seen = |(number, weight): &(u8, u8)| MemberSeen {
        id: MemberId(format!("m{number}")),
        address: at(*number),
        weight: *weight,
        behind: None,
    };
    let balancer = BalancerSeen {
        reached_at: Some("web.example".into()),
        state: BalancerState::Ready,
        complaint: None,
        listeners: vec![listener],
        members: members.iter().map(seen).collect(),
    };
    let ours = members.iter().filter(|(number, _)| *number < 100).map(|(number, _)| at(*number));
    Seen { balancer: Some(balancer), ours: ours.collect(), settled: true, ..Seen::default() }
}

fn busy(mut seen: Seen) -> Seen {
    if let Some(balancer) = &mut seen.balancer {
        balancer.state = BalancerState::Busy("UPDATE_PENDING".into());
    }
    seen
}

fn removes(numbers: &[u8]) -> Step<BalancerChange, Edit> {
    let ids = numbers.iter().map(|number| MemberId(format!("m{number}")));
    Step::Change(BalancerChange::RemoveMembers(ids.collect()))
}

#[test]
fn a_member_is_in_the_store_before_it_is_at_the_provider() {
    let wanted = wants(&[(1, 1, 50), (2, 2, 50)]);
    let step = next(&wanted, &knows(&[]), &shows(&[]), &LIMITS);
    assert_eq!(step, Step::Record(vec![Edit::Place(at(1), epoch(1)), Edit::Place(at(2), epoch(2))]));
    let step = next(&wanted, &knows(&[(1, 1, None), (2, 2, None)]), &shows(&[]), &LIMITS);
    assert_eq!(step, adds(&[(1, 50), (2, 50)]), "all of them are one change");
}

#[test]
fn what_stands_as_it_should_is_left_alone() {
    let wanted = wants(&[(1, 1, 50)]);
    let step = next(&wanted, &knows(&[(1, 1, Some(50))]), &shows(&[(1, 50), (200, 7)]), &LIMITS);
    assert_eq!(step, Step::Rest(vec![]));
}

#[test]
fn who_is_drained_gets_weight_0_and_who_is_gone_is_removed_first() {
    let known = knows(&[(1, 1, Some(50)), (2, 2, Some(50))]);
    let seen = shows(&[(1, 50), (2, 50)]);
    assert_eq!(next(&wants(&[(1, 1, 0)]), &known, &seen, &LIMITS), removes(&[2]));
    let step = next(&wants(&[(1, 1, 0), (2, 2, 50)]), &known, &seen, &LIMITS);
    assert_eq!(step, Step::Change(BalancerChange::WeighMembers(vec![(MemberId("m1".into()), 0)])));
}

#[test]
fn who_is_not_ready_is_not_put_there() {
    let step = next(&wants(&[(1, 1, 0)]), &knows(&[]), &shows(&[]), &LIMITS);
    assert_eq!(step, Step::Rest(vec![]));
}

#[test]
fn an_address_waits_until_the_provider_was_read_back_without_it() {
    let known = knows(&[(1, 1, Some(50))]);
    assert_eq!(
        next(&wants(&[]), &known, &busy(shows(&[(1, 50)])), &LIMITS),
        Step::Wait("UPDATE_PENDING".into())
    );
    assert_eq!(next(&wants(&[]), &known, &shows(&[(1, 50)]), &LIMITS), removes(&[1]));
    // While the change is under way, traffic goes by what was before.
    assert_eq!(next(&wants(&[]), &known, &busy(shows(&[])), &LIMITS), Step::Wait("UPDATE_PENDING".into()));
    let step = next(&wants(&[]), &known, &shows(&[]), &LIMITS);
    assert_eq!(step, Step::Record(vec![Edit::Forget(at(1), epoch(1))]));
}

#[test]
fn late_member_an_address_waits_while_somebody_s_call_may_still_land() {
    let unsettled = Seen { settled: false, ..shows(&[]) };
    let known = knows(&[(1, 1, None)]);
    assert_eq!(next(&wants(&[]), &known, &unsettled, &LIMITS), Step::Rest(vec![]));
    // It landed.
    let landed = Seen { settled: false, ..shows(&[(1, 50)]) };
    assert_eq!(next(&wants(&[]), &known, &landed, &LIMITS), removes(&[1]));
}

#[test]
fn inherited_weight_the_next_user_of_an_address_is_another_member() {
    let (wanted, known) = (wants(&[(1, 2, 50)]), knows(&[(1, 1, Some(0))]));
    assert_eq!(next(&wanted, &known, &shows(&[(1, 0)]), &LIMITS), removes(&[1]));
    let gone = Step::Record(vec![Edit::Forget(at(1), epoch(1))]);
    assert_eq!(next(&wanted, &known, &shows(&[]), &LIMITS), gone);
    let placed = Step::Record(vec![Edit::Place(at(1), epoch(2))]);
    assert_eq!(next(&wanted, &knows(&[]), &shows(&[]), &LIMITS), placed);
}

#[test]
fn foreign_members_and_listeners_are_never_touched() {
    let mut seen = shows(&[(200, 3), (201, 0)]);
    let other = listens("l443", 443, false);
    seen.balancer.as_mut().unwrap().listeners.push(other);
    assert_eq!(next(&wants(&[]), &knows(&[]), &seen, &LIMITS), Step::Rest(vec![]));
    let nothing = Wanted::default();
    let step = next(&nothing, &knows(&[]), &seen, &LIMITS);
    let own = Step::Change(BalancerChange::RemoveListeners(vec![ListenerId("l80".into())]));
    assert_eq!(step, own, "our own is");
}

#[test]
fn a_foreign_listener_in_the_way_is_named_and_left() {
    let mut seen = shows(&[]);
    seen.balancer.as_mut().unwrap().listeners[0].to_port = Some(9999);
    let known = Known { listeners: BTreeSet::new(), ..knows(&[]) };
    let Step::Rest(words) = next(&wants(&[]), &known, &seen, &LIMITS) else { panic!("it is changed") };
    assert!(words[0].contains("listener 80") && words[0].contains("9999"), "{words:?}");
}

#[test]
fn an_orphan_of_ours_is_removed_also_after_the_store_was_lost() {
    let nothing_known = Known::default();
    assert_eq!(next(&wants(&[]), &nothing_known, &shows(&[(1, 50), (200, 1)]), &LIMITS), removes(&[1]));
    // One that is wanted is taken into the store as it stands, and not called away.
    let known = knows(&[]);
    let step = next(&wants(&[(1, 7, 50)]), &known, &shows(&[(1, 50)]), &LIMITS);
    assert_eq!(step, Step::Record(vec![Edit::Place(at(1), epoch(7))]));
}

#[test]
fn what_was_edited_by_hand_is_mended() {
    let (wanted, known) = (wants(&[(1, 1, 50)]), knows(&[(1, 1, Some(50))]));
    let step = next(&wanted, &known, &shows(&[(1, 3)]), &LIMITS);
    assert_eq!(step, Step::Change(BalancerChange::WeighMembers(vec![(MemberId("m1".into()), 50)])));
    // A member that somebody removed: first it is noted, then it is put there again.
    let Step::Record(edits) = next(&wanted, &known, &shows(&[]), &LIMITS) else { panic!("not noted") };
    assert!(matches!(edits[..], [Edit::Note(_, Placed { weight: None, .. })]));
    let step = next(&wanted, &knows(&[(1, 1, None)]), &shows(&[]), &LIMITS);
    assert_eq!(step, adds(&[(1, 50)]));
}

#[test]
fn a_member_gets_less_only_once_that_is_in_force() {
    let (wanted, known) = (wants(&[]), knows(&[(1, 1, Some(50)), (2, 2, Some(50))]));
    let unproven = |seen| Seen { unproven: [at(1)].into(), ..seen };
    let step = next(&wanted, &known, &unproven(shows(&[])), &LIMITS);
    assert_eq!(step, Step::Record(vec![Edit::Forget(at(2), epoch(2))]));
    let drained = wants(&[(1, 1, 0)]);
    let known = knows(&[(1, 1, Some(50))]);
    assert_eq!(next(&drained, &known, &unproven(shows(&[(1, 0)])), &LIMITS), Step::Rest(vec![]));
    let more = Placed { epoch: epoch(1), weight: Some(50), up: None };
    let (wanted, known) = (wants(&[(1, 1, 50)]), knows(&[(1, 1, None)]));
    let step = next(&wanted, &known, &unproven(shows(&[(1, 50)])), &LIMITS);
    assert_eq!(step, Step::Record(vec![Edit::Note(at(1), more)]), "what it gets more is known at once");
}

#[test]
fn a_member_that_serves_some_of_our_listeners_is_added_to_the_others() {
    let mut wanted = wants(&[(1, 1, 50)]);
    wanted.listeners.insert(81, (spec(81), None));
    let mut known = knows(&[(1, 1, Some(50))]);
    known.listeners.insert(81);
    let mut seen = shows(&[(1, 50)]);
    let balancer = seen.balancer.as_mut().unwrap();
    let new = ListenerSeen { to_port: None, ..listens("l81", 81, true) };
    balancer.listeners.push(new);
    balancer.members[0].behind = Some([ListenerId("l80".into())].into());
    let Step::Change(BalancerChange::AddMembers { members, listeners }) =
        next(&wanted, &known, &seen, &LIMITS)
    else {
        panic!("it is not added")
    };
    assert_eq!((members, listeners), (BTreeMap::from([(at(1), 50)]), vec![spec(80), spec(81)]));
    seen.balancer.as_mut().unwrap().members[0].behind =
        Some(["l80", "l81"].map(|id| ListenerId(id.into())).into());
    assert_eq!(next(&wanted, &known, &seen, &LIMITS), Step::Rest(vec![]));
}

#[test]
fn a_listener_is_ours_before_it_is_there_and_until_it_is_gone() {
    let mut seen = shows(&[]);
    seen.balancer.as_mut().unwrap().listeners.clear();
    let none = Known::default();
    assert_eq!(next(&wants(&[]), &none, &seen, &LIMITS), Step::Record(vec![Edit::Claim(80)]));
    let step = next(&wants(&[]), &knows(&[]), &seen, &LIMITS);
    assert_eq!(step, Step::Change(BalancerChange::AddListeners(vec![spec(80)])));
    let gone = next(&Wanted::default(), &knows(&[]), &seen, &LIMITS);
    assert_eq!(gone, Step::Record(vec![Edit::Disclaim(80)]));
}

#[test]
fn more_members_than_the_provider_takes_are_said() {
    let wanted = wants(&[(1, 1, 50), (2, 2, 50)]);
    let known = knows(&[(1, 1, Some(50)), (2, 2, None)]);
    let limits = Limits { members: 2, ..LIMITS };
    let Step::Rest(words) = next(&wanted, &known, &shows(&[(1, 50), (200, 1)]), &limits) else {
        panic!("it does something")
    };
    assert!(words[0].contains("takes 2 members"), "{words:?}");
}

#[test]
fn one_that_is_not_there_is_ordered_where_the_operator_says_so_and_else_missed() {
    let nothing = Seen { settled: true, ..Seen::default() };
    let known = Known { listeners: BTreeSet::from([80]), placed: BTreeMap::new() };
    let Step::Rest(words) = next(&wants(&[]), &known, &nothing, &LIMITS) else { panic!("ordered unasked") };
    assert!(words[0].contains("no load balancer of this name"), "{words:?}");
    let wanted = Wanted { order: Some(Exposure::Public), ..wants(&[]) };
    let limits = Limits { zone: Some(ZoneId::new("1234")), ..LIMITS };
    let order = BalancerChange::Order {
        exposure: Exposure::Public,
        zone: ZoneId::new("1234"),
        listeners: vec![spec(80)],
    };
    assert_eq!(next(&wanted, &known, &nothing, &limits), Step::Change(order));
}

#[test]
fn a_load_balancer_that_was_deleted_under_us_keeps_no_address() {
    let nothing = Seen { settled: true, ..Seen::default() };
    let known = Known { listeners: BTreeSet::new(), ..knows(&[(1, 1, Some(50))]) };
    let step = next(&Wanted::default(), &known, &nothing, &LIMITS);
    assert_eq!(step, Step::Record(vec![Edit::Forget(at(1), epoch(1))]));
}
