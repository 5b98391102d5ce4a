//! What an agent writes to its journal, and what becomes of a write.

use ipam::*;

use super::act::Act;
use super::machine::Machine;
use super::mutation::Mutation;
use super::reached::Event;
use super::stage::Stage;

impl Stage<'_> {
    pub(crate) fn persist(&mut self, m: usize, records: &[Record], durability: Durability) -> Persisted {
        if records.iter().any(|record| ends_cooling(&self.world.machines[m], record)) {
            self.story.reached.note(Event::Cooled);
        }
        let early = self.story.mutation == Some(Mutation::AnswerBeforeJournal);
        let machine = self.machine(m);
        match machine.disk_fails.take() {
            Some(there) => {
                if there {
                    machine.disk.append(records, Durability::Written);
                }
                return Persisted::Failed;
            }
            None if early => machine.unwritten.push((records.to_vec(), durability == Durability::Synced)),
            None => machine.disk.append(records, durability),
        }
        Persisted::Done
    }

    /// Under [`Mutation::AnswerBeforeJournal`]: the writes follow when something else happens.
    pub(crate) fn late_writes(&mut self, act: &Act) {
        for m in 0..self.world.machines.len() {
            let dies = matches!(act, Act::Kill(of) | Act::CutPower(of, _) if *of == m);
            if self.world.machines[m].unwritten.is_empty() || dies {
                continue;
            }
            let machine = self.machine(m);
            for (records, synced) in std::mem::take(&mut machine.unwritten) {
                machine.disk.append(&records, if synced { Durability::Synced } else { Durability::Written });
            }
        }
    }
}

fn ends_cooling(machine: &Machine, record: &Record) -> bool {
    let Record::Address { address, holding: Some(Holding { state: Life::Free { .. }, .. }), .. } = record
    else {
        return false;
    };
    machine.disk.records().iter().any(|known| match known {
        Record::Address {
            address: of, holding: Some(Holding { state: Life::Cooling { .. }, .. }), ..
        } => of == address,
        _ => false,
    })
}
