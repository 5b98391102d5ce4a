//! What hosts promise each other where many of them share few addresses.

use ipam::*;

use crate::world::*;

const ANY: Wish = Wish::Any(Family::V4);

impl World {
    /// Lets everything happen, 10 ms at a time, until these requests are answered; how long that took.
    fn wait_for_all(&mut self, asked: &[(usize, RequestId)], most_millis: u64) -> u64 {
        let begun = self.now;
        loop {
            self.run();
            let open = asked.iter().filter(|(at, request)| !self.machines[*at].answers.contains_key(request));
            let (open, taken) = (open.count(), self.now.0 - begun.0);
            if open == 0 {
                return taken;
            }
            assert!(taken < most_millis, "{open} of {} wait after {taken} ms", asked.len());
            self.pass(10);
        }
    }

    fn served(&self, asked: &[(usize, RequestId)]) -> usize {
        asked.iter().filter(|(at, request)| self.machines[*at].answers[request].is_ok()).count()
    }

    /// The effects of a machine are carried out until one of them is a transaction on the block.
    fn until_it_takes(&mut self, machine: usize) {
        while !self.machines[machine].effects.iter().any(takes) {
            assert!(self.carry(machine, Fate::Known) | self.hear(machine), "it takes nothing");
        }
    }

    /// Another host is faster.
    fn take_elsewhere(&mut self, operation: u64) {
        let address = self.block().free().last().unwrap();
        let holder = Holder { host: "elsewhere".into(), incarnation: Incarnation(1) };
        self.apply(BlockCommand::Take { holder, addresses: [address].into(), operation });
    }

    /// How long until the machine sends a transaction on the block again.
    fn tries_again_after(&mut self, machine: usize) -> u64 {
        let begun = self.now;
        while !self.machines[machine].effects.iter().any(takes) {
            if !(self.carry(machine, Fate::Known) | self.hear(machine)) {
                self.pass(1);
            }
            assert!(self.now.0 - begun.0 < 20_000, "it never tries again");
        }
        self.now.0 - begun.0
    }
}

fn takes(effect: &Effect) -> bool {
    let block = |write: &Write| matches!(write, Write::Put { key: Key::Block { .. }, .. });
    matches!(effect, Effect::Send { transaction, .. } if transaction.writes.iter().any(block))
}

#[test]
fn of_many_hosts_that_take_from_one_block_at_once_none_starves() {
    let mut world = World::running(30, "10.60.0.0/26");
    let asked: Vec<_> = (0..30).map(|at| (at, world.ask(at, ANY))).collect();
    let again: Vec<_> = (0..30).map(|at| (at, world.ask(at, ANY))).collect();
    world.wait_for_all(&asked, 3_000);
    world.wait_for_all(&again, 3_000);
    assert_eq!(world.served(&asked) + world.served(&again), 60);
}

#[test]
fn a_lost_take_is_tried_again_soon_for_who_waits_and_late_for_nobody() {
    let mut world = World::new(1, "10.60.0.0/26");
    world.start(0);
    world.list(0);
    let mut pauses = Vec::new();
    for operation in 1..4 {
        world.until_it_takes(0);
        world.take_elsewhere(operation);
        while world.carry(0, Fate::Known) | world.hear(0) {}
        pauses.push(world.tries_again_after(0));
    }
    assert!(pauses[0] >= 500 && pauses[1] >= 1_000 && pauses[2] >= 2_000, "{pauses:?}");
    world.take_elsewhere(4);
    while world.carry(0, Fate::Known) | world.hear(0) {}
    world.ask(0, ANY);
    assert!(world.tries_again_after(0) <= 320, "somebody waits now");
}

/// With a thousand hosts, one of which had lost a take and was asked about its pool every 20 ms.
#[test]
fn a_question_in_the_moment_in_which_a_pause_ends_does_not_make_it_endless() {
    let mut world = World::new(1, "10.60.0.0/26");
    world.start(0);
    world.list(0);
    world.until_it_takes(0);
    world.take_elsewhere(1);
    while world.carry(0, Fate::Known) | world.hear(0) {}
    let (begun, mut asked) = (world.now, 0);
    while !world.machines[0].effects.iter().any(takes) {
        if world.carry(0, Fate::Known) | world.hear(0) {
            continue;
        }
        let deadline = world.machines[0].agent.as_ref().and_then(Host::next_deadline);
        world.now = deadline.expect("it waits for some time to come").max(world.now);
        assert!(world.now <= begun.after(1_100), "it waits for {deadline:?}");
        asked += 1;
        assert!(asked < 100, "it answers, and forgets to go on");
        let request = world.request();
        world.feed(0, Input::Explain { request, pool: pool(), wish: ANY });
    }
}

#[test]
fn the_last_addresses_are_left_to_those_who_need_them() {
    let mut world = World::running(5, "10.60.0.0/28");
    for _ in 0..8 {
        world.assign_any(0).unwrap();
    }
    assert!(world.view(0).subnets[0].blocks[0].here.free <= 1);
    for machine in 1..5 {
        world.assign_any(machine).unwrap();
        assert!(!world.has_a_want());
    }
}

#[test]
fn as_many_requests_as_addresses_are_all_served_wherever_they_are_made() {
    for first in [2, 9, 20, 37] {
        let mut world = World::running(5, "10.60.0.0/26");
        let each = [first, 61 - first - 20, 12, 5, 3];
        let asked: Vec<_> = (0..5).flat_map(|at| (0..each[at]).map(move |_| at)).collect();
        let asked: Vec<_> = asked.into_iter().map(|at| (at, world.ask(at, ANY))).collect();
        world.wait_for_all(&asked, 5_000);
        assert_eq!(world.served(&asked), 61, "{each:?}");
    }
}

#[test]
fn what_is_certainly_nowhere_is_refused_within_two_seconds() {
    let mut world = World::running(6, SUBNET);
    for _ in 0..5 {
        world.assign_any(0).unwrap();
    }
    let asked: Vec<_> = (0..6).map(|at| (at, world.ask(at, ANY))).collect();
    world.wait_for_all(&asked, 2_000);
    assert_eq!(world.served(&asked), 0);
}

#[test]
fn a_holder_that_has_something_again_says_so_at_once_where_nothing_is_left_to_take() {
    let mut world = World::running(2, SUBNET);
    let all: Vec<_> = (0..5).map(|_| world.assign_any(0).unwrap()).collect();
    world.settle();
    world.release(0, all[0].address).unwrap();
    world.pass(COOLING);
    world.run();
    let hint = world.store.get(&Key::Surplus { zone: ZONE.into(), host: "h1".into() }).value;
    assert_eq!(hint, Some(Value::Surplus(Surplus { free: [(pool(), 1)].into() })));
}

#[test]
fn a_want_is_left_open_while_its_holder_s_own_requests_wait() {
    let mut world = World::running(3, SUBNET);
    for machine in [0, 0, 0, 1, 2] {
        world.assign_any(machine).unwrap();
    }
    let own = (0, world.ask(0, ANY));
    world.run();
    let asked = (1, world.ask(1, ANY));
    for _ in 0..3 {
        world.run();
        world.pass(50);
    }
    assert!(world.has_a_want(), "nothing was said yet");
    world.wait_for_all(&[own, asked], 2_000);
    world.settle();
    assert!(!world.has_a_want());
}

#[test]
fn requests_of_one_moment_are_one_take() {
    let mut world = World::running(1, "10.60.0.0/24");
    let asks = (0..100).map(|number| {
        let (request, wish) = (RequestId(1_000 + number), ANY);
        Input::Assign { request, pool: pool(), wish, endpoint: None }
    });
    let now = world.now;
    let effects = world.machines[0].agent.as_mut().unwrap().step_all(now, asks);
    world.machines[0].effects.extend(effects);
    let before = world.store.history.len();
    world.run();
    let takes =
        world.store.history[before..].iter().filter(|seen| matches!(seen.key, Key::Block { .. })).count();
    assert_eq!((takes, world.machines[0].answers.len()), (1, 100));
}

#[test]
fn what_was_asked_of_hundreds_of_hosts_is_taken_back_although_no_transaction_takes_so_much() {
    let mut world = World::new(1, "10.60.0.0/24");
    for number in 0..200 {
        let address = world.block().free().next().unwrap();
        let holder = Holder { host: HostId(format!("silent-{number}")), incarnation: Incarnation(1) };
        world.apply(BlockCommand::Take { holder, addresses: [address].into(), operation: 1 });
    }
    world.start(0);
    world.settle();
    for _ in 200..253 {
        world.assign_any(0).unwrap();
    }
    let asked = [(0, world.ask(0, ANY))];
    world.wait_for_all(&asked, 30_000);
    assert_eq!(world.served(&asked), 0);
    let of_anybody = |key: &&Key| matches!(key, Key::Want { .. });
    assert_eq!(world.store.history.iter().filter(|seen| matches!(seen.key, Key::Want { .. })).count(), 400);
    assert_eq!(world.store.entries.keys().filter(of_anybody).count(), 0);
}
