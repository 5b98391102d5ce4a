use super::*;
use crate::block::BlockCommand;
use crate::refusal::Usage;

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 5));

fn generation() -> Generation {
    Generation { number: 7, id: 1 }
}

fn holder(host: &str) -> Holder {
    Holder { host: host.into(), incarnation: Incarnation(1) }
}

/// A block that h1 held the address of, and then h2.
fn blocks() -> Vec<Block> {
    let id = BlockId { subnet: "10.0.0.0/28".parse().unwrap(), index: 0 };
    let open = Block::open(id, 0, &BTreeMap::new());
    let addresses: BTreeSet<IpAddr> = [ADDRESS].into();
    let take =
        |host: &str| BlockCommand::Take { holder: holder(host), addresses: addresses.clone(), operation: 1 };
    let one = open.apply(take("h1")).unwrap().block;
    let back = BlockCommand::GiveBack { holder: holder("h1"), addresses: addresses.clone(), operation: 2 };
    let given = one.apply(back).unwrap().block;
    let two = given.apply(take("h2")).unwrap().block;
    vec![open, one, given, two]
}

/// Under which takes h1 and h2 held it.
fn takes() -> [u64; 2] {
    let blocks = blocks();
    [blocks[1].held()[&ADDRESS].take, blocks[3].held()[&ADDRESS].take]
}

fn epoch(take: u64, counter: u64) -> Epoch {
    Epoch { generation: generation(), take, counter }
}

fn address(take: u64, state: Option<Life>) -> Record {
    let holding = |state| Holding {
        generation: generation(),
        incarnation: Incarnation(1),
        take,
        reserved: None,
        state,
    };
    Record::Address { block: blocks()[0].id(), address: ADDRESS, holding: state.map(holding) }
}

fn assigned(take: u64, counter: u64) -> Record {
    let state =
        Life::Assigned { epoch: epoch(take, counter), usage: Usage::Unbound, exact: false, published: false };
    address(take, Some(state))
}

fn cooling(take: u64, counter: u64) -> Record {
    let until = crate::names::Timestamp(1);
    let state = Life::Cooling {
        epoch: epoch(take, counter),
        until,
        boot: BootId("b".into()),
        exact: false,
        published: false,
    };
    address(take, Some(state))
}

fn broken(h1: Vec<Record>, h2: Vec<Record>) -> Vec<String> {
    let journals = [(HostId::from("h1"), h1), (HostId::from("h2"), h2)].into();
    History { blocks: blocks(), journals }.broken()
}

fn leaving(take: u64) -> Record {
    address(take, Some(Life::Leaving { to: None }))
}

#[test]
fn an_address_that_was_used_on_one_host_and_then_on_another_breaks_nothing() {
    let [one, two] = takes();
    let h1 = vec![assigned(one, 1), cooling(one, 1), leaving(one), address(one, None)];
    assert_eq!(broken(h1, vec![assigned(two, 1)]), Vec::<String>::new());
}

#[test]
fn an_assignment_that_the_store_never_confirmed_is_found() {
    let [one, two] = takes();
    let found = broken(vec![assigned(two, 1)], Vec::new());
    assert!(found.iter().any(|problem| problem.starts_with("S3")), "{found:?}");
    assert_eq!(broken(vec![assigned(one, 1), cooling(one, 1)], Vec::new()), Vec::<String>::new());
}

#[test]
fn an_address_that_was_let_go_while_in_use_is_found() {
    let [one, _] = takes();
    // The store shows it given back, and the journal's last word is that it is in use.
    for said in [vec![assigned(one, 1)], vec![assigned(one, 1), leaving(one)]] {
        let found = broken(said, Vec::new());
        assert!(found.iter().any(|problem| problem.starts_with("S1")), "{found:?}");
    }
}

#[test]
fn an_epoch_that_does_not_grow_is_found() {
    let [one, _] = takes();
    let found =
        broken(vec![assigned(one, 2), cooling(one, 2), assigned(one, 1), cooling(one, 1)], Vec::new());
    assert!(found.iter().any(|problem| problem.starts_with("S2")), "{found:?}");
}
