//! Wrong protocols that the model must catch. Each is made at the rim, where the production code meets
//! disk, store or role, so that no flag in production code can ever switch a safeguard off.

use std::sync::Arc;

use ipam::*;

use super::normal::base;
use super::store::key_bit;
use super::world::{World, block_key};

/// One safeguard taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// A release closes whatever is assigned, of whatever epoch: a late one arrives with the epoch of
    /// the present assignment, so that the comparison of the two finds nothing.
    NoEpoch,
    /// Transactions do not compare the incarnation. The record is compared by its revision; what an
    /// eviction changes in it is the incarnation alone, so a compare that ignores that still holds
    /// after the eviction: it is taken out where it names the record as it stood before.
    NoIncarnation,
    /// A holding is usable whatever boot it was gained in: at recovery every block's journalled boot
    /// is this boot's, so that the comparison of the two always holds.
    NoBootId,
    /// The journal notes one boot for all blocks: at recovery, if any block's is this boot's, all
    /// are.
    BootOfJournal,
    /// Transactions do not compare the cluster's record, which bears generation and state.
    NoGeneration,
    /// An answer does not wait for the journal: the outcome of a write is reported before the write,
    /// which follows when the host does something next, unless it dies before.
    AnswerBeforeJournal,
    /// An operation of unknown outcome counts as one that never was when the block does not show its
    /// number. For a running agent the shell says [`ipam::Sent::Failed`] instead of unknown; one that
    /// starts finds a journal without the operation, and what it was to give back is free as before.
    SettleByAbsence,
    /// A host adopts from a value older than what it acted upon. Three things tell a host the age of a
    /// block's value: its revision, its take number, and the host's own operation number in it. What a
    /// lagging watch shows bears all three as the newest value does ([`made_new`]), so that no
    /// comparison finds it old.
    LaggingAdoption,
    /// The capacity role ends a quarantine without comparing that the endpoint is closed.
    QuarantineEndsOpen,
    /// A grant does not compare the asker's record.
    NoAsker,
}

impl Mutation {
    /// All of them, each by the safeguard that it takes away.
    pub(crate) const ALL: [(&'static str, Self); 10] = [
        ("epoch", Self::NoEpoch),
        ("incarnation", Self::NoIncarnation),
        ("boot-id", Self::NoBootId),
        ("boot-per-block", Self::BootOfJournal),
        ("generation", Self::NoGeneration),
        ("journal-first", Self::AnswerBeforeJournal),
        ("settling", Self::SettleByAbsence),
        ("newest-acted", Self::LaggingAdoption),
        ("closed-endpoint", Self::QuarantineEndsOpen),
        ("asker", Self::NoAsker),
    ];

    /// The one that takes this safeguard away.
    pub(crate) fn without(safeguard: &str) -> Option<Self> {
        Self::ALL.iter().find(|(name, _)| *name == safeguard).map(|(_, mutation)| *mutation)
    }

    /// What is left of a transaction of `machine` when it reaches the store.
    pub(crate) fn strip(self, world: &World, machine: usize, mut transaction: Transaction) -> Transaction {
        transaction.compares.retain(|compare| match (self, compare) {
            (Self::NoGeneration, Compare::Holds { key: Key::Cluster, .. }) => false,
            (Self::NoAsker, Compare::At { key: Key::Host(host), .. }) => {
                *host == *world.machines[machine].host()
            }
            (Self::NoIncarnation, Compare::At { key: Key::Host(host), revision }) => {
                let evicted = world.machines.iter().find(|machine| machine.host() == host);
                evicted.and_then(|machine| machine.evicted_from) != Some(*revision)
            }
            _ => true,
        });
        transaction
    }

    /// What is left of the capacity role's transaction that ends a quarantine.
    pub(crate) fn ends(self, mut transaction: Transaction) -> Transaction {
        if self == Self::QuarantineEndsOpen {
            transaction.compares.retain(|compare| !matches!(compare, Compare::Absent(Key::Endpoint(_))));
        }
        transaction
    }

    /// What an agent that starts finds in its journal.
    pub(crate) fn recovered(
        self,
        world: &World,
        Identity { host, boot, .. }: &Identity,
        mut records: Vec<Record>,
    ) -> Vec<Record> {
        let any = records.iter().any(|record| matches!(record, Record::Block { boot: of, .. } if of == boot));
        if self == Self::NoBootId || self == Self::BootOfJournal && any {
            for record in &mut records {
                if let Record::Block { boot: of, .. } = record {
                    *of = boot.clone();
                }
            }
        }
        if self == Self::SettleByAbsence {
            settle_by_absence(world, host, &mut records);
        }
        records
    }
}

fn settle_by_absence(world: &World, host: &HostId, records: &mut [Record]) {
    let mut given = Vec::new();
    for record in &mut *records {
        if let Record::Block { id, operation: under_way @ Some(_), .. } = record
            && let Some(Value::Block(block)) = world.store.value(&block_key(*id))
            && let Some(Operation { number, deed, .. }) = under_way
            && block.operation_of(host) < *number
        {
            if let Deed::GiveBack { addresses, .. } = deed {
                given.extend(addresses.iter().copied());
            }
            *under_way = None;
        }
    }
    for record in records {
        if let Record::Address { address, holding: Some(holding), .. } = record
            && given.contains(address)
            && matches!(holding.state, Life::Leaving { .. })
        {
            holding.state = Life::Free { turn: base::TURN };
        }
    }
}

/// An old value of a block that a host cannot tell from the newest by its age.
pub(crate) fn made_new(world: &mut World, machine: usize, old: Seen) -> Seen {
    let host = world.machines[machine].host().clone();
    let (Some(Value::Block(before)), Some(Value::Block(now))) = (&old.value, world.store.value(&old.key))
    else {
        return old;
    };
    let mut words = serde_json::to_value(before).unwrap();
    words["take"] = now.take_number().into();
    words["operations"][&host.0] = now.operation_of(&host).into();
    let block: Block = serde_json::from_value(words).unwrap();
    let store = Arc::make_mut(&mut world.store);
    let after = (store.revision >> base::REVISION_SHIFT) + 1;
    store.revision = (after << base::REVISION_SHIFT) | key_bit(&old.key);
    Seen { value: Some(Value::Block(block)), revision: Revision(store.revision), key: old.key }
}
