use super::*;

const SIX: [&str; 6] = ["h1", "h2", "h3", "h4", "h5", "h6"];

fn set(hosts: &[&str]) -> BTreeSet<HostId> {
    hosts.iter().map(|host| HostId::from(*host)).collect()
}

fn zone(hosts: &[&str]) -> BTreeMap<Zone, BTreeSet<HostId>> {
    [("vlan-1".into(), set(hosts))].into()
}

/// Who is silent after these looks, each so many milliseconds after the one before.
fn silent_after(
    zones: &BTreeMap<Zone, BTreeSet<HostId>>,
    looks: &[(u64, &[&str])],
) -> (Vigil, BTreeSet<HostId>) {
    let (mut vigil, mut now) = (Vigil::default(), Timestamp(1_000));
    for (millis, alive) in looks {
        now = now.after(*millis);
        vigil.look(now, zones, &set(alive));
    }
    let silent = zones.values().flatten().filter(|host| vigil.is_silent(host)).cloned().collect();
    (vigil, silent)
}

#[test]
fn a_host_is_judged_when_it_was_waited_for_others() {
    let zones = zone(&SIX);
    let (vigil, silent) =
        silent_after(&zones, &[(0, &SIX), (10, &SIX[1..]), (TOGETHER_MILLIS - 1, &SIX[1..])]);
    assert_eq!(silent, set(&[]));
    assert_eq!(vigil.next_deadline(), Some(Timestamp(1_010).after(TOGETHER_MILLIS)));
    let (vigil, silent) = silent_after(&zones, &[(0, &SIX[1..]), (TOGETHER_MILLIS, &SIX[1..])]);
    assert_eq!(silent, set(&["h1"]));
    assert_eq!(vigil.next_deadline(), None);
}

#[test]
fn more_than_a_third_of_a_zone_together_changes_nothing_also_if_they_lapse_one_after_the_other() {
    let looks: &[(u64, &[&str])] =
        &[(0, &SIX[1..]), (1_500, &SIX[2..]), (1_500, &SIX[3..]), (60_000, &SIX[3..])];
    let (vigil, silent) = silent_after(&zone(&SIX), looks);
    assert_eq!(silent, set(&[]));
    assert!(SIX[..3].iter().all(|host| vigil.is_spared(&HostId::from(*host))));
    // Two of six are a third, and no more.
    let (_, silent) = silent_after(&zone(&SIX), &[(0, &SIX[2..]), (TOGETHER_MILLIS, &SIX[2..])]);
    assert_eq!(silent, set(&["h1", "h2"]));
}

#[test]
fn who_was_silent_before_a_mass_lapse_does_not_come_back_by_it() {
    let looks: &[(u64, &[&str])] =
        &[(0, &SIX[1..]), (TOGETHER_MILLIS, &SIX[1..]), (0, &SIX[4..]), (TOGETHER_MILLIS, &SIX[4..])];
    assert_eq!(silent_after(&zone(&SIX), looks).1, set(&["h1"]));
}

#[test]
fn those_who_are_still_silent_when_the_others_speak_again_are_judged_then() {
    let looks: &[(u64, &[&str])] = &[(0, &SIX[3..]), (TOGETHER_MILLIS, &SIX[3..]), (1, &SIX[1..])];
    assert_eq!(silent_after(&zone(&SIX), looks).1, set(&["h1"]));
}

#[test]
fn a_host_that_speaks_again_is_silent_no_more() {
    let looks: &[(u64, &[&str])] = &[(0, &SIX[1..]), (TOGETHER_MILLIS, &SIX[1..]), (1, &SIX)];
    assert_eq!(silent_after(&zone(&SIX), looks).1, set(&[]));
}

#[test]
fn the_only_host_of_a_zone_and_one_of_two_are_no_mass() {
    let zones: BTreeMap<Zone, BTreeSet<HostId>> =
        [("vlan-1".into(), set(&["h1"])), ("vlan-2".into(), set(&["h2", "h3"]))].into();
    let (_, silent) = silent_after(&zones, &[(0, &["h3"]), (TOGETHER_MILLIS, &["h3"])]);
    assert_eq!(silent, set(&["h1", "h2"]));
}

#[test]
fn a_host_of_two_zones_is_spared_if_it_is_in_one() {
    let zones: BTreeMap<Zone, BTreeSet<HostId>> =
        [("vlan-1".into(), set(&["h1", "h2", "h3"])), ("vlan-2".into(), set(&["h1", "h4", "h5", "h6"]))]
            .into();
    let alive = ["h3", "h4", "h5", "h6"];
    let (_, silent) = silent_after(&zones, &[(0, &alive), (TOGETHER_MILLIS, &alive)]);
    assert_eq!(silent, set(&[]));
}
