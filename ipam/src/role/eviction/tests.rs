use super::*;
use crate::block::Block;
use crate::cluster::EvictionWord;
use crate::epoch::{Epoch, Generation};
use crate::names::Holder;

const PATIENCE: Patience = Patience { staleness_millis: 60_000, pause_millis: 15_000 };

fn at(secs: u64) -> Timestamp {
    Timestamp(secs * 1_000)
}

fn me() -> HostId {
    "h2".into()
}

fn dead() -> HostId {
    "h1".into()
}

fn host(incarnation: u64, alive: bool) -> HostSeen {
    let record = HostRecord {
        instance: "virtual-1".into(),
        incarnation: Incarnation(incarnation),
        boot: "b".into(),
        zones: BTreeSet::new(),
        left: BTreeSet::new(),
        answered: None,
    };
    HostSeen { record, revision: Revision(30), alive, witnessed: None }
}

/// `h1` as given, and `h2`, who has the role and whose session stands.
fn hosts(h1: HostSeen) -> HostsSeen {
    [(dead(), h1), (me(), host(1, true))].into()
}

fn open() -> Block {
    let id = BlockId { subnet: "10.50.0.0/24".parse().unwrap(), index: 0 };
    Block::open(id, 0, &BTreeMap::new())
}

fn taken(block: Block, host: &str, incarnation: u64, addresses: impl IntoIterator<Item = u8>) -> Block {
    let holder = Holder { host: host.into(), incarnation: Incarnation(incarnation) };
    let addresses = addresses.into_iter().map(|last| [10, 50, 0, last].into()).collect();
    let operation = block.operation_of(&holder.host) + 1;
    block.apply(BlockCommand::Take { holder, addresses, operation }).unwrap().block
}

fn seen(block: Block) -> Vec<BlockSeen> {
    vec![BlockSeen { zone: "z".into(), block, revision: Revision(40) }]
}

/// `h1` holds two addresses, `h2` one.
fn held() -> Vec<BlockSeen> {
    seen(taken(taken(open(), "h1", 1, [4, 5]), "h2", 1, [6]))
}

fn ask() -> Vec<EvictionStep> {
    vec![EvictionStep::Ask { host: dead(), instance: "virtual-1".into() }]
}

fn running() -> ProviderWord {
    ProviderWord::NoWitness("running".into())
}

fn eviction() -> Eviction {
    let word = EvictionWord::Provider { said: "the provider said twice that it is deleted".into() };
    Eviction { incarnation: Incarnation(0), by: me(), at: "2026-11-22T03:00:00Z".into(), word }
}

#[test]
fn a_host_whose_session_stands_is_never_asked_about() {
    let mut evictions = Evictions::new(PATIENCE);
    for secs in 0..1_000 {
        assert_eq!(evictions.look(at(secs), &me(), &hosts(host(1, true)), &held()), vec![]);
    }
}

#[test]
fn who_has_the_role_is_never_suspected() {
    let mut evictions = Evictions::new(PATIENCE);
    let hosts = [(me(), host(1, false))].into();
    for secs in 0..1_000 {
        assert_eq!(evictions.look(at(secs), &me(), &hosts, &held()), vec![]);
    }
}

#[test]
fn the_provider_is_first_asked_when_its_answer_can_no_longer_be_older_than_the_silence() {
    let mut evictions = Evictions::new(PATIENCE);
    let silent = hosts(host(1, false));
    assert_eq!(evictions.look(at(0), &me(), &silent, &held()), vec![]);
    assert_eq!(evictions.due(), Some(at(60)));
    assert_eq!(evictions.look(at(59), &me(), &silent, &held()), vec![]);
    // It came back for a moment: the silence begins anew.
    assert_eq!(evictions.look(at(60), &me(), &hosts(host(1, true)), &held()), vec![]);
    assert_eq!(evictions.look(at(61), &me(), &silent, &held()), vec![]);
    assert_eq!(evictions.look(at(120), &me(), &silent, &held()), vec![]);
    assert_eq!(evictions.look(at(121), &me(), &silent, &held()), ask());
}

#[test]
fn a_record_that_changes_begins_the_wait_anew_even_between_the_two_questions() {
    let mut evictions = Evictions::new(PATIENCE);
    let silent = hosts(host(1, false));
    let _ = evictions.look(at(0), &me(), &silent, &held());
    assert_eq!(evictions.look(at(60), &me(), &silent, &held()), ask());
    evictions.heard(at(60), &dead(), ProviderWord::Off);
    // It boots, registers, and loses the store again.
    let booted = hosts(HostSeen { revision: Revision(31), ..host(1, false) });
    assert_eq!(evictions.look(at(75), &me(), &booted, &held()), vec![]);
    assert_eq!(evictions.look(at(134), &me(), &booted, &held()), vec![]);
    assert_eq!(evictions.look(at(135), &me(), &booted, &held()), ask());
    evictions.heard(at(135), &dead(), ProviderWord::Off);
    assert_eq!(
        evictions.look(at(136), &me(), &booted, &held()),
        vec![],
        "what was heard before is forgotten"
    );
}

#[test]
fn two_witnesses_with_a_pause_between_them_evict() {
    let mut evictions = Evictions::new(PATIENCE);
    let silent = hosts(host(1, false));
    let _ = evictions.look(at(0), &me(), &silent, &held());
    assert_eq!(evictions.look(at(60), &me(), &silent, &held()), ask());
    evictions.heard(at(61), &dead(), ProviderWord::Off);
    assert_eq!(evictions.look(at(75), &me(), &silent, &held()), vec![]);
    assert_eq!(evictions.look(at(76), &me(), &silent, &held()), ask());
    evictions.heard(at(76), &dead(), ProviderWord::Deleted);
    let why = "the provider said that it is off, its memory lost, then deleted".to_owned();
    assert_eq!(
        evictions.look(at(76), &me(), &silent, &held()),
        vec![EvictionStep::Raise { host: dead(), why }]
    );
}

#[test]
fn any_other_word_of_the_provider_begins_the_questions_anew() {
    for other in ["running", "paused or suspended", "in a transaction", "unknown", "no answer"] {
        let mut evictions = Evictions::new(PATIENCE);
        let silent = hosts(host(1, false));
        let _ = evictions.look(at(0), &me(), &silent, &held());
        for round in 0..5 {
            let now = 60 + round * 75;
            assert_eq!(evictions.look(at(now), &me(), &silent, &held()), ask(), "{other}");
            evictions.heard(at(now), &dead(), ProviderWord::Off);
            assert_eq!(evictions.look(at(now + 15), &me(), &silent, &held()), ask(), "{other}");
            evictions.heard(at(now + 15), &dead(), ProviderWord::NoWitness(other.into()));
            assert_eq!(evictions.look(at(now + 15), &me(), &silent, &held()), vec![], "{other}");
        }
    }
}

#[test]
fn a_silent_host_that_has_nothing_is_left_alone() {
    let mut evictions = Evictions::new(PATIENCE);
    let blocks = seen(taken(open(), "h2", 1, [6]));
    for secs in 0..1_000 {
        assert_eq!(evictions.look(at(secs), &me(), &hosts(host(1, false)), &blocks), vec![]);
    }
}

#[test]
fn an_evicted_host_is_swept_whoever_raised_it_and_not_evicted_again() {
    let mut evictions = Evictions::new(PATIENCE);
    let raised = hosts(HostSeen { witnessed: Some(Incarnation(2)), ..host(2, false) });
    let sweep = EvictionStep::Sweep { host: dead(), below: Incarnation(2), block: held()[0].block.id() };
    assert_eq!(evictions.look(at(0), &me(), &raised, &held()), vec![sweep]);
    let transaction = super::sweep(&held()[0], None, &dead(), Incarnation(2), "it is off").unwrap();
    let swept = block_of(&transaction).unwrap();
    assert_eq!((swept.quarantined().len(), swept.held().len()), (2, 1));
    for secs in 1..1_000 {
        assert_eq!(evictions.look(at(secs), &me(), &raised, &seen(swept.clone())), vec![]);
    }
}

#[test]
fn a_host_that_died_after_it_gave_up_its_addresses_by_itself_is_asked_about_too() {
    let mut evictions = Evictions::new(PATIENCE);
    let sweep =
        BlockCommand::Sweep { host: dead(), below: Incarnation(2), why: "it lost its journal".into() };
    let blocks = seen(held()[0].block.apply(sweep).unwrap().block);
    let unwitnessed = hosts(host(2, false));
    assert_eq!(evictions.look(at(0), &me(), &unwitnessed, &blocks), vec![]);
    assert_eq!(evictions.look(at(60), &me(), &unwitnessed, &blocks), ask());
}

#[test]
fn an_eviction_compares_the_record_from_before_the_first_question_and_that_the_session_is_absent() {
    let transaction = raise(&dead(), &host(1, false), eviction(), false);
    let record_stands = Compare::At { key: Key::Host(dead()), revision: Revision(30) };
    assert_eq!(transaction.compares, [record_stands.clone(), Compare::Absent(Key::Session(dead()))]);
    let [Write::Put { value: Value::Host(record), .. }, Write::Put { value: Value::Eviction(told), .. }] =
        transaction.writes.as_slice()
    else {
        panic!("{transaction:?}")
    };
    assert_eq!((record.incarnation, told.incarnation), (Incarnation(2), Incarnation(2)));
    assert_eq!(record.boot, "b".into(), "the host must know the record's boot when it returns");
    assert_eq!(raise(&dead(), &host(1, true), eviction(), true).compares, [record_stands]);
}

#[test]
fn a_sweep_closes_the_endpoints_of_what_it_quarantines_and_of_nothing_else() {
    let epoch = Epoch { generation: Generation { number: 1, id: 1 }, take: 2, counter: 1 };
    let open = [4, 9].map(|last| ([10, 50, 0, last].into(), epoch)).into();
    let published = (Published { open }, Revision(35));
    let transaction = sweep(&held()[0], Some(&published), &dead(), Incarnation(2), "it is off").unwrap();
    let id = held()[0].block.id();
    let published_key = Key::Published { host: dead(), block: id };
    let compares = [
        Compare::At { key: Key::Block { zone: "z".into(), block: id }, revision: Revision(40) },
        Compare::At { key: published_key, revision: Revision(35) },
    ];
    assert_eq!(transaction.compares, compares);
    let deleted: Vec<&Key> = transaction
        .writes
        .iter()
        .filter_map(|write| match write {
            Write::Delete(key) => Some(key),
            Write::Put { .. } => None,
        })
        .collect();
    let surplus = Key::Surplus { zone: "z".into(), host: dead() };
    assert_eq!(deleted, [&Key::Endpoint([10, 50, 0, 4].into()), &surplus]);
}

#[test]
fn many_open_endpoints_are_closed_in_pieces_before_the_block_is_swept() {
    let mut at =
        BlockSeen { zone: "z".into(), block: taken(open(), "h1", 1, 2..=254), revision: Revision(40) };
    let epoch = Epoch { generation: Generation { number: 1, id: 1 }, take: 2, counter: 1 };
    let open = at.block.held().keys().map(|address| (*address, epoch)).collect();
    let mut published = (Published { open }, Revision(35));
    let mut closed = 0;
    for piece in 1.. {
        let Some(transaction) = sweep(&at, Some(&published), &dead(), Incarnation(2), "it is off") else {
            assert_eq!((piece, closed, at.block.quarantined().len()), (4, 253, 253));
            return;
        };
        // The role's term and the cluster record are compared too.
        assert!(transaction.compares.len() + transaction.writes.len() + 2 <= 128);
        for write in &transaction.writes {
            match write {
                Write::Put { value: Value::Published(now), .. } => published.0 = now.clone(),
                Write::Put { value: Value::Block(block), .. } => at.block = block.clone(),
                Write::Delete(Key::Endpoint(_)) => closed += 1,
                _ => (),
            }
        }
    }
}

fn block_of(transaction: &Transaction) -> Option<Block> {
    transaction.writes.iter().find_map(|write| match write {
        Write::Put { value: Value::Block(block), .. } => Some(block.clone()),
        _ => None,
    })
}

#[test]
fn what_the_provider_says_is_told_while_a_host_is_suspected() {
    let mut evictions = Evictions::new(PATIENCE);
    let silent = hosts(host(1, false));
    let _ = evictions.look(at(7), &me(), &silent, &held());
    let _ = evictions.look(at(67), &me(), &silent, &held());
    evictions.heard(at(68), &dead(), running());
    let told: Vec<_> = evictions.suspicions().collect();
    let suspicion = Suspicion { since: at(7), said: Some(running()), next: at(128) };
    assert_eq!(told, [(&dead(), suspicion)]);
}
