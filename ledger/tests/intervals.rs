//! What the ledger promises, under any sequence of what a host may write.
#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipam::{
    BlockId, BootId, EndpointId, Epoch, Generation, Holding, HostId, Incarnation, Life, Record, Usage,
};
use ledger::{
    Cause, Container, End, Hearing, Interval, Moment, Note, Query, Segment, Shelf, Tally, Why, check,
};
use proptest::prelude::*;

fn block() -> BlockId {
    BlockId { subnet: "10.50.0.0/26".parse().unwrap(), index: 0 }
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 50, 0, last])
}

fn epoch(counter: u64) -> Epoch {
    Epoch { generation: Generation { number: 1, id: 7 }, take: 3, counter }
}

fn record(address: IpAddr, state: Life) -> Record {
    let generation = epoch(1).generation;
    let holding = Holding { generation, incarnation: Incarnation(1), take: 3, reserved: None, state };
    Record::Address { block: block(), address, holding: Some(holding) }
}

fn assigned(counter: u64, endpoint: Option<&str>) -> Life {
    let usage = endpoint.map_or(Usage::Unbound, |name| Usage::Bound(EndpointId::from(name)));
    Life::Assigned { epoch: epoch(counter), usage, exact: false, published: false }
}

fn cooling(counter: u64) -> Life {
    let boot = BootId::from("boot-1");
    Life::Cooling { epoch: epoch(counter), until: ipam::Timestamp(0), boot, exact: false, published: false }
}

fn hearing(cause: Cause, now: u64) -> Hearing {
    Hearing { cause, now: Moment(now), offset: 0, booted: Moment(1_000) }
}

fn tally() -> Tally {
    Tally::replay(HostId::from("h1"), [])
}

/// What the journal takes in one append.
fn append(tally: &mut Tally, journal: &mut Vec<Note>, records: &[Record], hearing: &Hearing) {
    let notes = tally.consider(records, hearing);
    notes.iter().for_each(|note| tally.learn(note));
    journal.extend(notes);
}

#[test]
fn an_assignment_is_one_interval_from_its_opening_to_its_release() {
    let (mut tally, mut journal) = (tally(), Vec::new());
    let at = address(2);
    append(&mut tally, &mut journal, &[record(at, assigned(1, None))], &hearing(Cause::Other, 2_000));
    append(&mut tally, &mut journal, &[record(at, assigned(1, Some("e1")))], &hearing(Cause::Other, 2_500));
    append(&mut tally, &mut journal, &[record(at, cooling(1))], &hearing(Cause::Release, 9_000));
    let ended: Vec<&Interval> = tally.ended().map(|entry| &entry.interval).collect();
    assert_eq!(ended.len(), 1);
    assert_eq!((ended[0].from, ended[0].endpoint.clone()), (Moment(2_000), Some("e1".into())));
    assert_eq!(ended[0].end, Some(End { at: Moment(9_000), offset: 0, why: Why::Released }));
    assert_eq!(tally.running().count(), 0);
}

#[test]
fn what_is_appended_at_once_is_noted_in_its_order_and_each_for_its_own_reason() {
    let tally = tally();
    let mut draft = tally.draft();
    draft.consider(&[record(address(2), assigned(1, None))], &hearing(Cause::Other, 2_000));
    draft.consider(&[record(address(2), cooling(1))], &hearing(Cause::Reap, 2_001));
    draft.consider(&[record(address(2), assigned(2, Some("e")))], &hearing(Cause::Other, 2_002));
    let notes = draft.into_notes();
    let told: Vec<(u64, Option<Why>)> = notes
        .iter()
        .map(|note| match note {
            Note::Interval(entry) => (entry.interval.epoch.counter, entry.interval.end.map(|end| end.why)),
            Note::Written { .. } => panic!("nobody said so"),
        })
        .collect();
    assert_eq!(told, [(1, None), (1, Some(Why::Reaped)), (2, None)]);
}

#[test]
fn why_an_assignment_ended_is_told_by_what_was_asked_and_what_became_of_the_address() {
    let lost = Record::Address { block: block(), address: address(2), holding: None };
    let cases = [
        (Cause::Release, record(address(2), cooling(1)), 2_000, Why::Released),
        (Cause::Reap, record(address(2), cooling(1)), 2_000, Why::Reaped),
        (Cause::Other, lost, 2_000, Why::Evicted),
        // Before this boot began.
        (Cause::Other, record(address(2), cooling(1)), 500, Why::Reboot),
    ];
    for (cause, record_after, opened, why) in cases {
        let (mut tally, mut journal) = (tally(), Vec::new());
        let opening = record(address(2), assigned(1, None));
        append(&mut tally, &mut journal, &[opening], &hearing(Cause::Other, opened));
        append(&mut tally, &mut journal, &[record_after], &hearing(cause, 3_000));
        assert_eq!(tally.ended().next().unwrap().interval.end.unwrap().why, why);
    }
}

#[test]
fn what_docker_let_go_of_was_released_whoever_closes_it() {
    let (mut tally, mut journal) = (tally(), Vec::new());
    let Life::Assigned { epoch, exact, published, .. } = assigned(1, None) else { unreachable!() };
    let gone = Life::Assigned { epoch, usage: Usage::Gone("e".into()), exact, published };
    let opening = record(address(2), assigned(1, Some("e")));
    append(&mut tally, &mut journal, &[opening], &hearing(Cause::Other, 2_000));
    append(&mut tally, &mut journal, &[record(address(2), gone)], &hearing(Cause::Other, 2_100));
    append(&mut tally, &mut journal, &[record(address(2), cooling(1))], &hearing(Cause::Reap, 2_200));
    assert_eq!(tally.ended().next().unwrap().interval.end.unwrap().why, Why::Released);
}

#[test]
fn what_ran_in_an_earlier_boot_ended_when_this_one_began() {
    let (mut tally, mut journal) = (tally(), Vec::new());
    let opening = record(address(2), assigned(1, None));
    append(&mut tally, &mut journal, std::slice::from_ref(&opening), &hearing(Cause::Other, 500));
    let notes = tally.consider_start(&[opening], &BTreeMap::new(), &hearing(Cause::Other, 7_000));
    notes.iter().for_each(|note| tally.learn(note));
    let end = tally.ended().next().unwrap().interval.end.unwrap();
    assert_eq!(end, End { at: Moment(1_000), offset: 0, why: Why::Reboot });
}

#[test]
fn what_runs_unheard_of_is_said_to_have_begun_earlier() {
    let running = record(address(2), assigned(4, Some("e")));
    let assigned = BTreeMap::from([(address(2), epoch(4))]);
    let notes = tally().consider_start(&[running], &assigned, &hearing(Cause::Other, 7_000));
    let [Note::Interval(entry)] = notes.as_slice() else { panic!("{notes:?}") };
    assert!(entry.interval.earlier);
}

#[test]
fn a_container_that_docker_shows_late_is_named_and_said_once() {
    let (mut tally, mut journal) = (tally(), Vec::new());
    let opening = record(address(2), assigned(1, Some("e")));
    append(&mut tally, &mut journal, &[opening], &hearing(Cause::Other, 2_000));
    append(&mut tally, &mut journal, &[record(address(2), cooling(1))], &hearing(Cause::Release, 3_000));
    let container = Container { id: "c".repeat(64), name: "web".into(), network: "cloud".into() };
    let note = tally.consider_name(address(2), epoch(1), &container).unwrap();
    tally.learn(&note);
    assert_eq!(tally.ended().next().unwrap().interval.container, Some(container.clone()));
    assert_eq!(tally.consider_name(address(2), epoch(1), &container), None);
    assert_eq!(tally.consider_name(address(2), epoch(2), &container), None);
}

/// One thing that happens to one of few addresses.
#[derive(Clone, Copy, Debug)]
enum Event {
    Assign(u8),
    Bind(u8),
    Release(u8),
    Lose(u8),
    Write,
    Crash,
    Compact,
}

fn event() -> impl Strategy<Value = Event> {
    let which = 1u8..4;
    prop_oneof![
        4 => which.clone().prop_map(Event::Assign),
        2 => which.clone().prop_map(Event::Bind),
        4 => which.clone().prop_map(Event::Release),
        1 => which.prop_map(Event::Lose),
        2 => Just(Event::Write),
        2 => Just(Event::Crash),
        1 => Just(Event::Compact),
    ]
}

proptest! {
    /// Whatever happens and wherever it crashes: every assignment is told once, disjoint from the others
    /// of its address, and none is forgotten.
    #[test]
    fn every_assignment_is_told_once_and_the_intervals_of_an_address_are_disjoint(
        events in prop::collection::vec(event(), 1..120)
    ) {
        let (mut tally, mut journal) = (tally(), Vec::<Note>::new());
        let mut holds: BTreeMap<u8, Option<u64>> = BTreeMap::new();
        let (mut counter, mut now, mut written) = (0, 2_000, Vec::<Interval>::new());
        for event in events {
            now += 10;
            let other = hearing(Cause::Other, now);
            match event {
                Event::Assign(which) if holds.get(&which).copied().flatten().is_none() => {
                    counter += 1;
                    holds.insert(which, Some(counter));
                    append(&mut tally, &mut journal, &[record(address(which), assigned(counter, None))], &other);
                }
                Event::Bind(which) => if let Some(Some(n)) = holds.get(&which) {
                    append(&mut tally, &mut journal, &[record(address(which), assigned(*n, Some("e")))], &other);
                },
                Event::Release(which) => if let Some(Some(n)) = holds.insert(which, None) {
                    let release = hearing(Cause::Release, now);
                    append(&mut tally, &mut journal, &[record(address(which), cooling(n))], &release);
                },
                Event::Lose(which) => if holds.insert(which, None).flatten().is_some() {
                    let gone = Record::Address { block: block(), address: address(which), holding: None };
                    append(&mut tally, &mut journal, &[gone], &other);
                },
                Event::Assign(_) => {}
                // The store has them; whether the journal hears of it is another matter.
                Event::Write => written.extend(tally.ended().map(|entry| entry.interval.clone())),
                Event::Crash => {
                    let again = Tally::replay(HostId::from("h1"), &journal);
                    prop_assert_eq!(&again, &tally);
                    tally = again;
                }
                Event::Compact => {
                    journal = tally.snapshot();
                    for interval in &written {
                        let note = Note::Written { address: interval.address, epoch: interval.epoch };
                        tally.learn(&note);
                        journal.push(note);
                    }
                }
            }
        }
        let left = tally.ended().chain(tally.running()).map(|entry| entry.interval.clone());
        let told = ledger::merged(written.into_iter().chain(left));
        prop_assert_eq!(told.len() as u64, counter);
        prop_assert_eq!(check::broken(&told, 0), Vec::<String>::new());
    }

    /// What was packed is found again, by whatever it is looked for, and nothing else is.
    #[test]
    fn a_segment_finds_what_a_look_at_every_interval_finds(
        seeds in prop::collection::vec((1u8..40, 0u64..1_000, 0u64..500, 0u8..3), 0..400),
        which in prop::option::of(1u8..40),
        during in prop::option::of((0u64..1_500, 0u64..300)),
        host in prop::option::of(0u8..3),
    ) {
        let mut intervals: Vec<Interval> = seeds.iter().enumerate().map(|(at, (last, from, length, host))| {
            closed(address(*last), at as u64, &format!("h{host}"), *from, from + length)
        }).collect();
        intervals.sort_by_key(Interval::order);
        let (_, bytes) = Segment::pack(block(), 9, &HostId::from("h1"), intervals.clone()).unwrap();
        let query = Query {
            address: which.map(address),
            host: host.map(|host| HostId(format!("h{host}"))),
            during: during.map(|(first, length)| (Moment(first), Moment(first + length))),
            container: None,
        };
        let found = Segment::check(&bytes).unwrap().find(&bytes.as_slice(), &query).unwrap();
        let expected: Vec<Interval> = intervals.into_iter().filter(|it| query.wants(it)).collect();
        prop_assert_eq!(found, expected);
    }

    /// A byte that changed is noticed before the segment is kept.
    #[test]
    fn a_damaged_segment_is_not_kept(at in 0usize..10_000, bit in 0u8..8) {
        let intervals = (0..50).map(|n| closed(address(2), n, "h1", n * 10, n * 10 + 5)).collect();
        let (_, mut bytes) = Segment::pack(block(), 9, &HostId::from("h1"), intervals).unwrap();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        prop_assert!(Segment::check(&bytes).is_err());
    }
}

fn closed(address: IpAddr, counter: u64, host: &str, from: u64, to: u64) -> Interval {
    Interval {
        address,
        epoch: epoch(counter),
        host: HostId::from(host),
        endpoint: Some(EndpointId(format!("{counter:064x}"))),
        container: Some(Container {
            id: format!("{counter:064x}"),
            name: "web".into(),
            network: "cloud".into(),
        }),
        from: Moment(from),
        from_offset: 0,
        earlier: false,
        unknown: false,
        end: Some(End { at: Moment(to), offset: 0, why: Why::Released }),
    }
}

#[test]
fn overlapping_intervals_are_told_with_both_hosts() {
    let first = closed(address(2), 1, "h1", 1_000, 2_000);
    let second = closed(address(2), 2, "h2", 1_900, 3_000);
    assert_eq!(check::broken([&first, &second], 100), Vec::<String>::new());
    let told = check::broken([&first, &second], 99);
    assert_eq!(told.len(), 1);
    assert!(told[0].contains("on h2 before") && told[0].contains("on h1 had ended"), "{told:?}");
}

#[test]
fn an_address_that_still_runs_under_an_older_epoch_is_told() {
    let mut first = closed(address(2), 1, "h1", 1_000, 2_000);
    first.end = None;
    let second = closed(address(2), 2, "h1", 3_000, 4_000);
    assert!(check::broken([&first, &second], 0)[0].contains("still runs"));
    assert!(check::broken([&second, &second], 0)[0].contains("twice"));
}

#[test]
fn a_clock_that_was_set_back_is_no_overlap() {
    // An hour back between the two, as the boot-time clock shows.
    let first = closed(address(2), 1, "h1", 10_000_000, 10_001_000);
    let mut second = closed(address(2), 2, "h1", 6_402_000, 6_403_000);
    assert_eq!(check::broken([&first, &second], 0).len(), 1);
    second.from_offset = -3_600_000;
    second.end = Some(End { at: Moment(6_403_000), offset: -3_600_000, why: Why::Released });
    assert_eq!(check::broken([&first, &second], 0), Vec::<String>::new());
}

#[test]
fn a_shelf_finds_after_a_restart_what_was_put_on_it_and_forgets_what_was_taken_off() {
    let directory = tempfile::tempdir().unwrap();
    let host = HostId::from("h/1");
    let (mut shelf, _) = Shelf::open(directory.path().join("ledger")).unwrap();
    for period in 0..3 {
        let intervals = (0..300).map(|n| {
            let n = period * 300 + n;
            closed(address((n % 30) as u8 + 1), n, "h1", n * 10, n * 10 + 5)
        });
        let (_, bytes) = Segment::pack(block(), period, &host, intervals.collect()).unwrap();
        shelf.put(&bytes).unwrap();
    }
    let query = Query { address: Some(address(7)), ..Query::default() };
    let before = shelf.find(&query).0;
    assert_eq!(before.len(), 30);
    let (mut shelf, unread) = Shelf::open(directory.path().join("ledger")).unwrap();
    assert!(unread.is_empty());
    assert_eq!(shelf.find(&query).0, before);
    let oldest = shelf.oldest().unwrap().clone();
    assert_eq!(oldest.period, 0);
    shelf.remove(oldest.block, oldest.period, &oldest.writer).unwrap();
    assert_eq!(shelf.find(&query).0.len(), 20);
    assert_eq!(shelf.bytes(), shelf.all().map(|(_, bytes)| bytes).sum::<u64>());
}

#[test]
fn a_file_that_is_cut_off_is_told_and_the_others_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let (mut shelf, _) = Shelf::open(directory.path()).unwrap();
    for period in 0..2 {
        let one = vec![closed(address(2), period, "h1", period * 100, period * 100 + 50)];
        shelf.put(&Segment::pack(block(), period, &HostId::from("h1"), one).unwrap().1).unwrap();
    }
    let path = directory.path().join("10.50.0.0-26-0/0-h1.jsonl.zst");
    let whole = std::fs::read(&path).unwrap();
    std::fs::write(&path, &whole[..whole.len() - 3]).unwrap();
    let (shelf, unread) = Shelf::open(directory.path()).unwrap();
    assert_eq!(unread.len(), 1);
    assert!(unread[0].to_string().contains("0-h1.jsonl.zst"), "{}", unread[0]);
    assert_eq!(shelf.find(&Query::default()).0.len(), 1);
}

#[test]
fn a_container_is_found_by_its_name_and_by_the_beginning_of_its_id() {
    let mut one = closed(address(2), 1, "h1", 0, 5);
    one.container = Some(Container { id: "abcdef0123".into(), name: "web".into(), network: "n".into() });
    let asked = |text: &str| Query { container: Some(text.into()), ..Query::default() };
    assert!(asked("web").wants(&one) && asked("abcd").wants(&one));
    assert!(!asked("abc").wants(&one) && !asked("we").wants(&one));
}
