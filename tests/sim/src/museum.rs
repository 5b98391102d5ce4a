//! Scenarios of the protocol's museum that need more than one host's world: time, sessions, the provider, the role,
//! Docker's habits. Each is a fleet in which only what is told here goes wrong. Where each scenario of the museum
//! lives is told in decision 0007.

use ipam::{AddressState, ClusterState, Family, Prefix, Wish};

use crate::fault::{Fault, Kind};
use crate::fleet::{Event, Fleet};
use crate::machine::Power;
use crate::provider::MachineState;
use crate::script::{Script, Site, zone};
use crate::story::Story;
use crate::words::{Key, Value};

mod one_machine;

const ANY: Wish = Wish::Any(Family::V4);
const MINUTE: u64 = 60_000;

/// Hosts that came up, with nothing under way.
fn fleet(hosts: usize) -> Fleet {
    let sites = vec![Site { cidr: "10.50.0.0/29".parse().expect("a subnet"), zone: 0 }];
    let hosts = vec![[zone(0)].into(); hosts];
    let script = Script { seed: 1, hosts, zones: 1, sites, cooling: 5_000, acts: Vec::new() };
    let mut fleet = Fleet::new(script, Story::silent());
    fleet.pass(5_000);
    fleet
}

fn fault(kind: Kind, machine: usize, millis: u64) -> Fault {
    Fault { kind, machine, millis, much: 0 }
}

impl Fleet {
    fn pass(&mut self, millis: u64) {
        self.run_until(self.now + millis);
        assert_eq!(self.broken, None);
    }

    fn runs(&mut self, machine: usize) -> std::net::IpAddr {
        let before: Vec<_> = self.machines[machine].kernel.keys().copied().collect();
        self.run_container(machine, ANY, false);
        self.pass(2_000);
        let used = self.machines[machine].kernel.keys();
        used.copied().find(|address| !before.contains(address)).expect("a container runs")
    }

    /// How many addresses are assigned on a machine.
    fn assigned(&self, machine: usize) -> usize {
        let at = &self.machines[machine];
        let agent = at.agent.as_ref().expect("it runs");
        ipam::check::assigned_in(&agent.host.view(at.clock.at(self.now))).len()
    }

    fn switch_off(&mut self, machine: usize) {
        self.begin(fault(Kind::PowerLoss, machine, 1_000 * MINUTE));
    }

    fn is_evicted(&self, machine: usize) -> bool {
        let host = &self.machines[machine].identity.host;
        self.hosts_seen()[host].record.incarnation.0 > 1
    }

    fn ends_well(mut self) {
        self.heal();
        assert_eq!(self.broken, None);
    }
}

/// The host boots between the second question and the eviction: its registration defeats it, or it is evicted and
/// re-takes nothing.
#[test]
fn evict_races_boot() {
    for boots_after in (75_000..105_000).step_by(500) {
        let mut fleet = fleet(2);
        fleet.runs(0);
        fleet.begin(fault(Kind::Lossy, 1, 10 * MINUTE));
        fleet.begin(fault(Kind::PowerLoss, 0, boots_after));
        fleet.pass(3 * MINUTE);
        fleet.ends_well();
    }
}

/// A virtual machine is suspended for longer than any session stands. It is not off: nothing is taken from it, and
/// its container goes on where it stood.
#[test]
fn suspended_host() {
    let mut fleet = fleet(2);
    let address = fleet.runs(0);
    fleet.begin(fault(Kind::Suspend, 0, 15 * MINUTE));
    fleet.pass(14 * MINUTE);
    assert!(!fleet.is_evicted(0));
    fleet.pass(2 * MINUTE);
    assert!(fleet.machines[0].kernel.contains_key(&address));
    fleet.ends_well();
}

/// The agent of a holder stands still (SIGSTOP) while others want what it holds: they are refused or served by
/// others, and nothing is taken from it.
#[test]
fn paused_holder() {
    let mut fleet = fleet(2);
    let address = fleet.runs(0);
    fleet.begin(fault(Kind::Pause, 0, 15 * MINUTE));
    fleet.run_container(1, Wish::Exact(address), false);
    fleet.pass(14 * MINUTE);
    assert!(!fleet.is_evicted(0));
    assert!(!fleet.machines[1].kernel.contains_key(&address));
    fleet.pass(2 * MINUTE);
    assert!(fleet.machines[0].kernel.contains_key(&address));
    fleet.ends_well();
}

/// What the provider says of a machine is older than its last boot (aws vpc cni#3887): nothing is taken from a host
/// that runs, even while it is cut off.
#[test]
fn stale_provider_read() {
    let mut fleet = fleet(2);
    fleet.begin(fault(Kind::ProviderStale, 1, 60 * MINUTE));
    fleet.begin(fault(Kind::PowerLoss, 0, 20_000));
    fleet.pass(40_000);
    let address = fleet.runs(0);
    fleet.begin(fault(Kind::CutBoth, 0, 20 * MINUTE));
    fleet.pass(19 * MINUTE);
    assert!(!fleet.is_evicted(0) && fleet.machines[0].kernel.contains_key(&address));
    fleet.ends_well();
}

/// Every session lapses when the store comes back: a session that lapsed is no witness.
#[test]
fn mass_lapse() {
    let mut fleet = fleet(3);
    let addresses: Vec<_> = (0..3).map(|machine| fleet.runs(machine)).collect();
    fleet.begin(fault(Kind::StoreAway, 0, 5 * MINUTE));
    fleet.pass(5 * MINUTE + 1_000);
    for (machine, address) in addresses.iter().enumerate() {
        assert!(!fleet.is_evicted(machine) && fleet.machines[machine].kernel.contains_key(address));
    }
    fleet.ends_well();
}

/// The store forgets what a slow watch has not shown yet: it reads everything again, and misses nothing.
#[test]
fn compacted_watch() {
    let mut fleet = fleet(2);
    fleet.begin(fault(Kind::CutBack, 0, MINUTE));
    let address = fleet.runs(1);
    fleet.begin(fault(Kind::Compaction, 0, 0));
    fleet.pass(2 * MINUTE);
    let at = &fleet.machines[0];
    let view = at.agent.as_ref().expect("it runs").host.view(at.clock.at(fleet.now));
    let shown = crate::reconcile::state_in(&view, address);
    assert_eq!(shown, Some(AddressState::Held("h2".into())));
    fleet.ends_well();
}

/// A subnet is taken back from being returned at the moment its return begins: one of the two wins, and an address of
/// a cancelled subnet is never used.
#[test]
fn return_races_undrain() {
    for wait in (0..8_000).step_by(250) {
        let mut fleet = fleet(2);
        fleet.begin(fault(Kind::Lossy, 0, 10 * MINUTE));
        fleet.drain(0);
        fleet.pass(wait);
        fleet.undrain(0);
        fleet.run_container(1, ANY, false);
        fleet.pass(2 * MINUTE);
        fleet.ends_well();
    }
}

/// A host dies for good: its addresses come back after a witness and a rest, also where the role's owner died with it.
#[test]
fn a_dead_hosts_space_returns() {
    let mut fleet = fleet(3);
    for machine in 0..3 {
        fleet.runs(machine);
    }
    fleet.begin(fault(Kind::Gone, 0, 10 * MINUTE));
    assert_eq!(fleet.machines[0].power, Power::Gone);
    fleet.pass(6 * MINUTE);
    assert!(fleet.is_evicted(0));
    let left = fleet.blocks().flat_map(|block| block.held().values()).any(|held| held.by.host.0 == "h1");
    assert!(!left && fleet.blocks().all(|block| block.quarantined().is_empty()));
    fleet.ends_well();
}

/// An agent whose journal was lost under running containers claims what they use before anybody else can have it.
#[test]
fn gc_frees_living() {
    let mut fleet = fleet(2);
    let address = fleet.runs(0);
    fleet.begin(fault(Kind::Amnesia, 0, 3 * MINUTE));
    fleet.pass(10 * MINUTE);
    assert!(fleet.machines[0].kernel.contains_key(&address));
    assert_eq!(fleet.store.range(&Prefix::Hosts).count(), 2);
    fleet.ends_well();
}

/// A machine that was off for so long that it was evicted returns: it uses nothing of what it held.
#[test]
fn returning_host() {
    let mut fleet = fleet(2);
    fleet.runs(0);
    fleet.switch_off(0);
    fleet.pass(10 * MINUTE);
    assert!(fleet.is_evicted(0));
    let instance = fleet.machines[0].identity.instance.clone();
    assert_eq!(fleet.provider.state(fleet.now, &instance, 0), MachineState::Off);
    fleet.after(1, Event::Start { machine: 0 });
    fleet.pass(MINUTE);
    fleet.ends_well();
}

/// Everything in the store is lost and made anew while one host is off and another cut off: containers keep their
/// addresses, and what nobody claims is free again once all that may have held it are accounted for.
#[test]
fn wiped_store() {
    let mut fleet = fleet(3);
    let kept = [fleet.runs(0), fleet.runs(1)];
    fleet.runs(2);
    fleet.switch_off(2);
    fleet.begin(fault(Kind::CutBoth, 1, 20 * MINUTE));
    fleet.begin(fault(Kind::StoreWiped, 0, 5 * MINUTE));
    fleet.pass(10 * MINUTE);
    assert!(
        fleet.machines[0].kernel.contains_key(&kept[0]) && fleet.machines[1].kernel.contains_key(&kept[1])
    );
    let waiting = |fleet: &Fleet| fleet.blocks().map(|block| block.quarantined().len()).sum::<usize>();
    assert!(waiting(&fleet) > 0, "nobody but its user may claim what a silent host uses");
    fleet.ends_well();
}

/// The store is put back to a snapshot from before a host took what its containers use: that host freezes it,
/// containers run on, and made anew it gives everybody back what they use.
#[test]
fn restored_backup() {
    let mut fleet = fleet(3);
    let snapshot = fleet.store.clone();
    // The first was held before, the second was taken since.
    let kept = [fleet.runs(0), fleet.runs(0)];
    fleet.put_store_back(snapshot);
    fleet.pass(MINUTE);
    let cluster = match fleet.store.get(&Key::Ipam(ipam::Key::Cluster)) {
        Some((Value::Ipam(ipam::Value::Cluster(record)), _)) => record.state,
        other => panic!("no cluster record: {other:?}"),
    };
    assert_eq!(cluster, ClusterState::Frozen);
    fleet.rebuild_store();
    fleet.pass(10 * MINUTE);
    for address in kept {
        assert!(fleet.machines[0].kernel.contains_key(&address), "{address} is not used any more");
    }
    fleet.ends_well();
}
