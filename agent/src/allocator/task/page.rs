//! What is written into the journal together.

use ipam::{Durability, Record, Token};
use ledger::{Hearing, Note, Tally};

/// What the host has to say at one time: of one input, or of many that came together.
#[derive(Default)]
pub(super) struct Page(Vec<Said>);

/// What the host has to say of one thing.
pub(super) struct Said {
    /// Names the outcome.
    pub(super) token: Token,
    pub(super) records: Vec<Record>,
    pub(super) durability: Durability,
    /// When and why it was said.
    pub(super) hearing: Hearing,
}

impl Page {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn extend(&mut self, said: Option<Said>) {
        self.0.extend(said);
    }

    /// As durable as the most urgent of it must be.
    pub(super) fn durability(&self) -> Durability {
        let synced = self.0.iter().any(|said| said.durability == Durability::Synced);
        if synced { Durability::Synced } else { Durability::Written }
    }

    pub(super) fn tokens(&self) -> Vec<Token> {
        self.0.iter().map(|said| said.token).collect()
    }

    /// What the ledger notes of it.
    pub(super) fn notes(&self, tally: &Tally) -> Vec<Note> {
        let mut draft = tally.draft();
        self.0.iter().for_each(|said| draft.consider(&said.records, &said.hearing));
        draft.into_notes()
    }

    /// The records, in the order in which they were said: the newest statement counts.
    pub(super) fn records(self) -> Vec<Record> {
        self.0.into_iter().flat_map(|said| said.records).collect()
    }
}
