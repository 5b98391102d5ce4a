//! What a rebuild found, kept and could not bring together, for people.

use std::fmt;
use std::path::{Path, PathBuf};

use super::claims::Claims;
use super::files::{Condition, Found, Kept};
use super::living::Living;
use crate::docker::Pages;

/// What a rebuild found and did. Its text has one fact a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    journals: Vec<JournalLine>,
    networks: usize,
    kept: Vec<String>,
    lost: Vec<String>,
    quarantined: usize,
    differences: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct JournalLine {
    path: PathBuf,
    condition: Condition,
    kept: Kept,
}

impl Report {
    pub(super) fn new<B, M>(book: &Found<B>, memory: &Found<M>, living: &Living) -> Report
    where
        B: serde::Serialize + serde::de::DeserializeOwned,
        M: serde::Serialize + serde::de::DeserializeOwned,
    {
        let line = |path: &Path, condition: &Condition| JournalLine {
            path: path.to_owned(),
            condition: condition.clone(),
            kept: Kept::InPlace,
        };
        Report {
            journals: vec![line(book.path(), &book.condition), line(memory.path(), &memory.condition)],
            differences: living.differences.clone(),
            ..Report::default()
        }
    }

    pub(super) fn done(&mut self, after: &Pages, living: &Living, claims: &Claims, book: Kept, memory: Kept) {
        self.networks = after.networks.len();
        let kept = living.uses.iter().filter_map(|it| {
            let epoch = claims.epochs.get(&it.address)?;
            Some(format!("{} of {}, epoch {epoch}", it.address, it.user))
        });
        self.kept = kept.collect();
        self.lost.clone_from(&claims.lost);
        self.quarantined = claims.quarantined;
        for (line, kept) in self.journals.iter_mut().zip([book, memory]) {
            line.kept = kept;
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.journals {
            writeln!(f, "{line}")?;
        }
        writeln!(f, "networks of Docker's that are known: {}", self.networks)?;
        section(f, "kept, for living containers:", &self.kept)?;
        section(
            f,
            "lost to others; these containers are cut off when berthd starts, restart them:",
            &self.lost,
        )?;
        if self.quarantined > 0 {
            writeln!(f, "in quarantine, because nobody accounts for them: {} addresses", self.quarantined)?;
        }
        section(f, "what one says and another does not:", &self.differences)?;
        write!(f, "Start berthd now.")
    }
}

impl fmt::Display for JournalLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        match (&self.condition, &self.kept) {
            (Condition::Whole, Kept::InPlace) => write!(f, "{path}: whole"),
            (Condition::Damaged(why), _) => write!(f, "{why}"),
            (Condition::Whole, Kept::Aside(_)) => {
                write!(f, "{path}: whole, and not what Docker and the kernel show")
            }
            (Condition::Lost, _) => write!(f, "{path}: lost"),
        }?;
        match &self.kept {
            Kept::InPlace => Ok(()),
            Kept::Aside(None) => write!(f, "\n  made anew"),
            Kept::Aside(Some(aside)) => write!(f, "\n  made anew; the old one is {}", aside.display()),
        }
    }
}

fn section(f: &mut fmt::Formatter<'_>, title: &str, lines: &[String]) -> fmt::Result {
    if lines.is_empty() {
        return Ok(());
    }
    writeln!(f, "{title}")?;
    lines.iter().try_for_each(|line| writeln!(f, "  {line}"))
}
