use super::*;
use crate::block::Block;
use crate::cluster::{EndpointRecord, HostRecord};
use crate::epoch::{Epoch, Generation};
use crate::names::{Holder, Incarnation, Revision};
use crate::role::HostSeen;
use crate::transaction::Seen;

const REST: u64 = 600_000;

const NO_ADDRESS: [IpAddr; 0] = [];

fn at(secs: u64) -> Timestamp {
    Timestamp(secs * 1_000)
}

fn ip(last: u8) -> IpAddr {
    [10, 50, 0, last].into()
}

/// A block in which `h1`, evicted since, held these addresses.
fn swept(addresses: &[u8]) -> Block {
    let id = BlockId { subnet: "10.50.0.0/24".parse().unwrap(), index: 0 };
    let holder = Holder { host: "h1".into(), incarnation: Incarnation(1) };
    let addresses = addresses.iter().map(|last| ip(*last)).collect();
    let taken = Block::open(id, 0, &BTreeMap::new())
        .apply(BlockCommand::Take { holder, addresses, operation: 1 })
        .unwrap();
    let sweep = BlockCommand::Sweep { host: "h1".into(), below: Incarnation(2), why: "it is off".into() };
    taken.block.apply(sweep).unwrap().block
}

fn seen(block: Block) -> Vec<BlockSeen> {
    vec![BlockSeen { zone: "z".into(), block, revision: Revision(40) }]
}

fn hosts(alive: bool, witnessed: Option<u64>) -> HostsSeen {
    let record = HostRecord {
        instance: "i-1".into(),
        incarnation: Incarnation(2),
        boot: "b".into(),
        zones: BTreeSet::new(),
        left: BTreeSet::new(),
        answered: None,
    };
    let witnessed = witnessed.map(Incarnation);
    [("h1".into(), HostSeen { record, revision: Revision(30), alive, witnessed })].into()
}

/// `h1` was evicted with a witness.
fn witnessed() -> HostsSeen {
    hosts(false, Some(2))
}

fn asked(due: &BTreeMap<BlockId, BTreeSet<IpAddr>>) -> Vec<IpAddr> {
    due.values().flatten().copied().collect()
}

fn state(quarantines: &Quarantines, secs: u64, last: u8) -> QuarantineState {
    quarantines
        .states(at(secs))
        .find(|(address, ..)| *address == ip(last))
        .map(|(_, _, state)| state)
        .unwrap()
}

/// Rested, and heard that nobody uses it.
fn unused(blocks: &[BlockSeen]) -> Quarantines {
    let mut quarantines = Quarantines::new(REST);
    assert_eq!(asked(&quarantines.look(at(0), blocks, &witnessed())), NO_ADDRESS);
    for address in asked(&quarantines.look(at(600), blocks, &witnessed())) {
        quarantines.heard(at(600), address, UseWord::Nobody);
    }
    quarantines
}

#[test]
fn an_address_rests_for_its_time_before_anybody_is_asked() {
    let blocks = seen(swept(&[4, 5]));
    let mut quarantines = Quarantines::new(REST);
    assert_eq!(asked(&quarantines.look(at(100), &blocks, &witnessed())), NO_ADDRESS);
    assert_eq!(state(&quarantines, 100, 4), QuarantineState::Rests { until: at(700) });
    assert_eq!(quarantines.due(), Some(at(700)));
    assert_eq!(asked(&quarantines.look(at(699), &blocks, &witnessed())), NO_ADDRESS);
    assert_eq!(asked(&quarantines.look(at(700), &blocks, &witnessed())), vec![ip(4), ip(5)]);
    assert_eq!(quarantines.endings(at(700), &blocks), vec![], "nobody has answered");
}

#[test]
fn a_new_owner_of_the_role_waits_anew() {
    let blocks = seen(swept(&[4]));
    let former = unused(&blocks);
    assert_eq!(former.endings(at(600), &blocks).len(), 1);
    let mut present = Quarantines::new(REST);
    assert_eq!(asked(&present.look(at(600), &blocks, &witnessed())), NO_ADDRESS);
    assert_eq!(state(&present, 600, 4), QuarantineState::Rests { until: at(1_200) });
}

#[test]
fn a_quarantine_ends_by_a_transaction_that_compares_the_block_the_endpoint_and_what_names_it() {
    let blocks = seen(swept(&[4]));
    let endings = unused(&blocks).endings(at(601), &blocks);
    let [Ending { block, addresses, transaction }] = endings.as_slice() else { panic!("{endings:?}") };
    assert_eq!((*block, addresses), (blocks[0].block.id(), &BTreeSet::from([ip(4)])));
    let compares = [
        Compare::At { key: Key::Block { zone: "z".into(), block: *block }, revision: Revision(40) },
        Compare::Absent(Key::Endpoint(ip(4))),
        Compare::Empty(Prefix::Dependents(ip(4))),
    ];
    assert_eq!(transaction.compares, compares);
    let [Write::Put { key: Key::Block { .. }, value: Value::Block(freed) }] = transaction.writes.as_slice()
    else {
        panic!("{transaction:?}")
    };
    assert!(freed.is_free(ip(4)));
    assert_eq!(freed.take_number(), blocks[0].block.take_number());
}

#[test]
fn an_address_that_somebody_uses_stays_and_rests_anew() {
    let blocks = seen(swept(&[4, 5]));
    let mut quarantines = Quarantines::new(REST);
    let _ = quarantines.look(at(0), &blocks, &witnessed());
    let _ = quarantines.look(at(600), &blocks, &witnessed());
    quarantines.heard(at(601), ip(4), UseWord::Used("the wire: 02:00:00:00:00:01 answers for it".into()));
    quarantines.heard(at(601), ip(5), UseWord::Nobody);
    let freed: Vec<_> =
        quarantines.endings(at(601), &blocks).into_iter().flat_map(|ending| ending.addresses).collect();
    assert_eq!(freed, vec![ip(5)]);
    let by = "the wire: 02:00:00:00:00:01 answers for it".to_owned();
    assert_eq!(state(&quarantines, 602, 4), QuarantineState::InUse { by, again: at(1_201) });
    let left = seen(swept(&[4]));
    assert_eq!(asked(&quarantines.look(at(1_200), &left, &witnessed())), NO_ADDRESS);
    assert_eq!(asked(&quarantines.look(at(1_201), &left, &witnessed())), vec![ip(4)]);
}

#[test]
fn where_nobody_can_be_asked_nothing_is_freed() {
    let blocks = seen(swept(&[4]));
    let mut quarantines = Quarantines::new(REST);
    let _ = quarantines.look(at(0), &blocks, &witnessed());
    for round in 0..20 {
        let now = at(600 + 60 * round);
        assert_eq!(asked(&quarantines.look(now, &blocks, &witnessed())), vec![ip(4)]);
        quarantines.heard(now, ip(4), UseWord::Unknown("eth0 is down".into()));
        assert_eq!(quarantines.endings(now, &blocks), vec![]);
    }
    assert!(
        matches!(state(&quarantines, 1_741, 4), QuarantineState::Unasked { why, .. } if why == "eth0 is down")
    );
}

#[test]
fn an_open_endpoint_and_what_the_cloud_names_keep_an_address() {
    let blocks = seen(swept(&[4, 5, 6]));
    let mut quarantines = unused(&blocks);
    let ending = quarantines.endings(at(600), &blocks).remove(0);
    let epoch = Epoch { generation: Generation { number: 1, id: 1 }, take: 2, counter: 1 };
    let endpoint = EndpointRecord { epoch, endpoint: "e".into(), host: "h1".into() };
    let dependent = crate::cluster::Dependent { writers: BTreeSet::new() };
    let stands = [
        (Key::Endpoint(ip(4)), Some(Value::Endpoint(endpoint))),
        (Key::Dependent { address: ip(5), epoch, object: "lb/1".into() }, Some(Value::Dependent(dependent))),
        (Key::Endpoint(ip(6)), None),
    ];
    let now = stands.map(|(key, value)| Seen { key, value, revision: Revision(50) });
    quarantines.ended(at(600), &ending, &Sent::Conflict { now: now.to_vec() });
    assert_eq!(state(&quarantines, 601, 4), QuarantineState::EndpointOpen { again: at(615) });
    assert_eq!(state(&quarantines, 601, 5), QuarantineState::Named { again: at(615) });
    let next = quarantines.endings(at(601), &blocks);
    assert_eq!(next[0].addresses, BTreeSet::from([ip(6)]), "the others do not wait for them");
    assert_eq!(asked(&quarantines.look(at(615), &blocks, &witnessed())), vec![ip(4), ip(5)]);
}

#[test]
fn another_quarantine_of_the_same_address_rests_anew() {
    let first = seen(swept(&[4]));
    let mut quarantines = unused(&first);
    // Its last holder claimed it back, and was evicted again.
    let claim = BlockCommand::Claim {
        holder: Holder { host: "h1".into(), incarnation: Incarnation(2) },
        addresses: BTreeSet::from([ip(4)]),
        operation: 2,
    };
    let claimed = first[0].block.apply(claim).unwrap().block;
    let sweep = BlockCommand::Sweep { host: "h1".into(), below: Incarnation(3), why: "it is off".into() };
    let second = seen(claimed.apply(sweep).unwrap().block);
    assert_eq!(asked(&quarantines.look(at(601), &second, &hosts(false, Some(3)))), NO_ADDRESS);
    assert_eq!(quarantines.endings(at(601), &second), vec![]);
    assert_eq!(state(&quarantines, 601, 4), QuarantineState::Rests { until: at(1_201) });
}

#[test]
fn an_answer_that_became_old_is_not_acted_on() {
    let blocks = seen(swept(&[4]));
    let mut quarantines = unused(&blocks);
    assert_eq!(quarantines.endings(at(629), &blocks).len(), 1);
    assert_eq!(quarantines.endings(at(630), &blocks), vec![]);
    assert_eq!(asked(&quarantines.look(at(630), &blocks, &witnessed())), vec![ip(4)]);
}

#[test]
fn the_wires_silence_says_nothing_of_a_silent_host_that_gave_up_its_addresses_by_itself() {
    let blocks = seen(swept(&[4]));
    let mut quarantines = Quarantines::new(REST);
    let _ = quarantines.look(at(0), &blocks, &hosts(true, None));
    for (secs, unwitnessed) in
        [(600, hosts(false, None)), (700, hosts(false, Some(1))), (800, HostsSeen::new())]
    {
        assert_eq!(asked(&quarantines.look(at(secs), &blocks, &unwitnessed)), NO_ADDRESS);
        assert_eq!(state(&quarantines, secs, 4), QuarantineState::HolderSilent { host: "h1".into() });
    }
    // It is back, so it would answer; or a witness says that it is not.
    assert_eq!(asked(&quarantines.clone().look(at(900), &blocks, &hosts(true, None))), vec![ip(4)]);
    assert_eq!(asked(&quarantines.look(at(900), &blocks, &witnessed())), vec![ip(4)]);
}

#[test]
fn a_host_that_falls_silent_after_it_answered_takes_its_answer_with_it() {
    let blocks = seen(swept(&[4]));
    let mut quarantines = Quarantines::new(REST);
    let _ = quarantines.look(at(0), &blocks, &hosts(true, None));
    let _ = quarantines.look(at(600), &blocks, &hosts(true, None));
    quarantines.heard(at(600), ip(4), UseWord::Nobody);
    let _ = quarantines.look(at(601), &blocks, &hosts(false, None));
    assert_eq!(quarantines.endings(at(601), &blocks), vec![]);
}

#[test]
fn one_transaction_stays_within_what_a_store_takes() {
    let all: Vec<u8> = (2..250).collect();
    let blocks = seen(swept(&all));
    let ending = unused(&blocks).endings(at(600), &blocks).remove(0);
    let operations = ending.transaction.compares.len() + ending.transaction.writes.len();
    // The role's term and the cluster record are compared too.
    assert!(operations + 2 <= 128 && ending.addresses.len() == ENDED_AT_ONCE_MAX, "{operations}");
}
