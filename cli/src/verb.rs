//! One file for each verb: what it asks, and how the answer reads.

pub(crate) mod address;
pub(crate) mod check;
pub(crate) mod cluster;
pub(crate) mod doctor;
pub(crate) mod drain;
pub(crate) mod history;
pub(crate) mod host;
pub(crate) mod manual;
pub(crate) mod name;
pub(crate) mod network;
pub(crate) mod order;
pub(crate) mod pool;
pub(crate) mod service;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod subnet;

use crate::agent::AskError;
use crate::table::table;
use api::{Counts, Problem, ProblemKind, Word};

/// The one of a list that the operator named, or a "no" that says where to look.
fn find<T>(
    all: &[T],
    what: &str,
    name: &str,
    list: &str,
    is: impl Fn(&T) -> bool,
) -> Result<usize, AskError> {
    all.iter().position(is).ok_or_else(|| {
        AskError::Refused(Problem {
            kind: ProblemKind::NotFound,
            error: format!("there is no {what} {name}"),
            causes: Vec::new(),
            hint: Some(format!("`{list}` shows those there are")),
        })
    })
}

/// The headings that go with [`counted`].
const COUNTS: [&str; 9] = [
    "#assigned",
    "#cooling",
    "#free",
    "#unheld",
    "#elsewhere",
    "#leaving",
    "#not re-taken",
    "#quarantined",
    "#set aside",
];

/// Counts as cells.
fn counted(counts: &Counts) -> Vec<String> {
    let Counts { assigned, cooling, free, leaving, not_retaken, unheld, elsewhere, quarantined, set_aside } =
        *counts;
    [assigned, cooling, free, unheld, elsewhere, leaving, not_retaken, quarantined, set_aside]
        .map(|count| count.to_string())
        .to_vec()
}

/// What each source says, with a mark at those who differ.
fn words(words: &[Word]) -> String {
    let widest = words.iter().map(|word| word.says.chars().count()).max().unwrap_or_default();
    let line = |word: &Word| match word.differs {
        true => format!("  {:8} {:widest$}  <- differs\n", word.by, word.says),
        false => format!("  {:8} {}\n", word.by, word.says),
    };
    words.iter().map(line).collect()
}

/// A table with counts behind its first columns.
fn table_with_counts(first: &[&str], rows: impl IntoIterator<Item = (Vec<String>, Counts)>) -> String {
    let headings: Vec<_> = first.iter().copied().chain(COUNTS).collect();
    table(&headings, rows.into_iter().map(|(cells, counts)| [cells, counted(&counts)].concat()))
}
