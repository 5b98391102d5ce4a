//! An agent's life: how it starts, what it finds, what it leaves behind.

use std::net::IpAddr;

use ipam::*;

use super::disk::Disk;
use super::machine::Asked;
use super::normal::base;
use super::stage::Stage;

impl Stage<'_> {
    pub(crate) fn start(&mut self, m: usize) {
        if !self.world.machines[m].powered {
            self.machine(m).power_on();
        }
        let machine = &self.world.machines[m];
        let mut records = machine.disk.records().to_vec();
        if let Some(mutation) = self.story.mutation {
            records = mutation.recovered(&self.world, &machine.identity, records);
        }
        let machine = self.machine(m);
        let records = queued_before(m).into_iter().chain(records);
        machine.agent = Some(Host::recover(machine.identity.clone(), machine.now, records));
        machine.listed = false;
    }

    /// Lists everything at once; what the watches had still to show is in it.
    pub(crate) fn list(&mut self, m: usize) {
        let machine = self.machine(m);
        machine.unseen.clear();
        machine.listed = true;
        let Some(agent) = &machine.agent else { return };
        let prefixes = agent.watches();
        let revision = Revision(self.world.store.revision);
        for prefix in prefixes {
            let entries = self.world.store.list(&prefix);
            self.feed(m, Input::Listed { prefix, revision, entries });
        }
    }

    /// What a dead agent had sent is still on its way, and may land.
    pub(crate) fn leave_behind(&mut self, m: usize) {
        let lasts = self.story.mix.faults.unknown > 0;
        let machine = self.machine(m);
        for call in std::mem::take(&mut machine.calls) {
            if let Asked::Commit(transaction) = call.what
                && lasts
            {
                machine.late.push(transaction);
            }
        }
        self.forget_what_cannot_land();
    }

    pub(crate) fn cut_power(&mut self, m: usize, unsynced_kept: bool) {
        self.world.left.power_cuts -= 1;
        self.leave_behind(m);
        let note_over = self.story.mix.faults.late_releases > 0;
        let machine = self.machine(m);
        machine.power_is_cut(unsynced_kept);
        if !note_over {
            machine.over.clear();
        }
    }

    /// The disk is lost; of the counter the model needs to know where it begins.
    pub(crate) fn lose_journal(&mut self, m: usize) {
        self.world.left.lost_journals -= 1;
        let machine = self.machine(m);
        machine.disk = Disk::with(vec![Record::Counter(base::COUNTER + 100_000 * m as u64)]);
        machine.lost_journal = true;
    }
}

/// Makes a host's places in the queue of free addresses begin where the normal form knows them: it
/// once held an address of another subnet.
fn queued_before(m: usize) -> [Record; 2] {
    let address = IpAddr::from([10, 99, 0, 1]);
    let block = BlockId { subnet: address.into(), index: 0 };
    let holding = Holding {
        generation: Generation { number: base::GENERATION, id: base::GENERATION },
        incarnation: Incarnation(base::INCARNATION),
        take: base::TAKE,
        reserved: None,
        state: Life::Free { turn: base::TURN + 100_000 * m as u64 },
    };
    [
        Record::Address { block, address, holding: Some(holding) },
        Record::Address { block, address, holding: None },
    ]
}
