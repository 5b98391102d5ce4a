//! What stands in the allocator's journal: the host's records, and what the ledger makes of them.

use ipam::Record;
use ledger::Note;
use serde::{Deserialize, Serialize};

/// One record of the journal. A note follows from the records that it was appended with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// How something stands, for [`ipam::Host`].
    Record(Record),
    /// How an interval stands, for the ledger.
    Note(Note),
}

/// The host's records among these, in order.
pub fn records(lines: &[Line]) -> Vec<Record> {
    let records = lines.iter().filter_map(|line| match line {
        Line::Record(record) => Some(record.clone()),
        Line::Note(_) => None,
    });
    records.collect()
}

/// The ledger's notes among these, in order.
pub(crate) fn notes(lines: &[Line]) -> impl Iterator<Item = &Note> {
    lines.iter().filter_map(|line| match line {
        Line::Note(note) => Some(note),
        Line::Record(_) => None,
    })
}

/// The lines of an append: all of it is in the journal, or nothing.
pub(super) fn together(records: Vec<Record>, notes: Vec<Note>) -> Vec<Line> {
    records.into_iter().map(Line::Record).chain(notes.into_iter().map(Line::Note)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_of_records_alone_is_read_as_before() {
        let record = Record::Counter(7);
        let written = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<Line>(&written).unwrap(), Line::Record(record));
    }
}
