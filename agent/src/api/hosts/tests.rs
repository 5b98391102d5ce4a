use std::net::IpAddr;

use ipam::{BlockCommand, BlockId, Holder};

use super::*;

/// A block of which these hosts, each in an incarnation, hold so many addresses.
fn block(index: u32, holders: &[(&str, u64, u8)]) -> Block {
    let subnet = "10.60.0.0/22".parse().unwrap();
    let mut block = Block::open(BlockId { subnet, index }, 0, &BTreeMap::new());
    let all: Vec<IpAddr> = block.free().collect();
    let mut free = all.into_iter();
    for (operation, (host, incarnation, count)) in (1..).zip(holders) {
        let addresses: BTreeSet<IpAddr> = free.by_ref().take(usize::from(*count)).collect();
        let holder = Holder { host: HostId::from(*host), incarnation: Incarnation(*incarnation) };
        block = block.apply(BlockCommand::Take { holder, addresses, operation }).unwrap().block;
    }
    block
}

fn register(blocks: &[Block]) -> Register {
    let mut register = Register {
        hosts: BTreeMap::new(),
        sessions: BTreeSet::new(),
        evictions: BTreeMap::new(),
        descriptions: BTreeMap::new(),
        holdings: BTreeMap::new(),
    };
    blocks.iter().for_each(|block| register.count(block));
    register
}

fn told(register: &Register, id: &str, incarnation: u64) -> (u32, u32) {
    let mut host = Host { id: id.to_owned(), incarnation, ..unknown_host() };
    register.tell_life(&mut host);
    (host.holds, host.unswept)
}

#[test]
fn what_a_host_holds_is_counted_over_all_blocks_and_what_is_left_of_an_earlier_life_apart() {
    let register = register(&[
        block(0, &[("h1", 2, 10), ("h2", 1, 3)]),
        block(1, &[("h1", 1, 4), ("h1", 2, 1)]),
        block(2, &[("h2", 1, 2)]),
    ]);
    assert_eq!(told(&register, "h1", 2), (11, 4));
    assert_eq!(told(&register, "h2", 1), (5, 0));
    assert_eq!(told(&register, "h3", 1), (0, 0));
}
