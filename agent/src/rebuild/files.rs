//! The journals on disk: what is found, and how a new one takes the place of an old one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::RebuildError;
use crate::journal::{Durability, Journal, JournalError};
use crate::troubles::with_causes;

/// A journal as it was found. It stays locked for as long as this lives.
pub(super) struct Found<R> {
    path: PathBuf,
    pub(super) condition: Condition,
    pub(super) records: Vec<R>,
    journal: Option<Journal<R>>,
}

/// How a journal was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Whole,
    /// Not there, or with nothing in it.
    Lost,
    /// Why it cannot be read.
    Damaged(String),
}

/// Where the old journal is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It is as good as new and stays.
    InPlace,
    /// A new one has its place; it is kept here, if there was one.
    Aside(Option<PathBuf>),
}

/// A new journal that has not taken its place yet.
pub(super) struct New {
    path: PathBuf,
    written: Option<PathBuf>,
}

impl<R: Serialize + DeserializeOwned> Found<R> {
    pub(super) fn at(path: &Path) -> Result<Self, JournalError> {
        let found = |condition, records, journal| Self { path: path.to_owned(), condition, records, journal };
        if !path.exists() {
            return Ok(found(Condition::Lost, Vec::new(), None));
        }
        match Journal::open(path) {
            Ok((journal, records)) if records.is_empty() => {
                Ok(found(Condition::Lost, records, Some(journal)))
            }
            Ok((journal, records)) => Ok(found(Condition::Whole, records, Some(journal))),
            Err(error) if error.is_damage() => {
                Ok(found(Condition::Damaged(with_causes(&error)), Vec::new(), None))
            }
            Err(error) => Err(error),
        }
    }

    /// It reads well, and yet is not to be believed.
    pub(super) fn disbelieve(&mut self, why: String) {
        self.condition = Condition::Damaged(why);
        self.records.clear();
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_whole(&self) -> bool {
        self.condition == Condition::Whole
    }

    /// The journal to go on with: itself if it is whole, otherwise an empty one beside it.
    pub(super) fn go_on(self) -> Result<(Journal<R>, Vec<R>, New), RebuildError> {
        match (self.condition, self.journal) {
            (Condition::Whole, Some(journal)) => {
                Ok((journal, self.records, New { path: self.path, written: None }))
            }
            (_, _) => {
                let beside = beside(&self.path);
                remove(&beside)?;
                let (journal, records) = Journal::open(&beside)?;
                Ok((journal, records, New { path: self.path, written: Some(beside) }))
            }
        }
    }

    /// Puts a journal of these records in its place.
    pub(super) fn replace_by(&self, records: &[R], stamp: &str) -> Result<Kept, RebuildError> {
        let beside = beside(&self.path);
        remove(&beside)?;
        let (mut journal, _) = Journal::<R>::open(&beside)?;
        journal.append(records, Durability::Synced)?;
        New { path: self.path.clone(), written: Some(beside) }.put_in_place(stamp)
    }
}

impl New {
    /// Sets the old journal aside, and takes its place in the same moment: there is always one.
    pub(super) fn put_in_place(self, stamp: &str) -> Result<Kept, RebuildError> {
        let Some(written) = self.written else { return Ok(Kept::InPlace) };
        let mut aside = self.path.clone().into_os_string();
        aside.push(format!(".aside-{stamp}"));
        let aside = PathBuf::from(aside);
        let there = self.path.exists();
        let moved = if there { fs::hard_link(&self.path, &aside) } else { Ok(()) };
        let moved =
            moved.and_then(|()| fs::rename(&written, &self.path)).and_then(|()| sync_directory(&self.path));
        moved.map_err(|source| RebuildError::File { path: self.path, source })?;
        Ok(Kept::Aside(there.then_some(aside)))
    }
}

/// Where a new journal is written.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".rebuilt");
    PathBuf::from(name)
}

/// What a rebuild that was cut short left.
fn remove(path: &Path) -> Result<(), RebuildError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Err(RebuildError::File { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use ipam::Record;
    use tempfile::TempDir;

    use super::*;

    fn journal(directory: &TempDir) -> PathBuf {
        let path = directory.path().join("a.journal");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&[Record::Counter(1), Record::Counter(2)], Durability::Synced).unwrap();
        path
    }

    #[test]
    fn a_journal_is_whole_lost_or_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let path = journal(&directory);
        let found = || Found::<Record>::at(&path).unwrap();
        let whole = found();
        assert_eq!((&whole.condition, whole.records.len()), (&Condition::Whole, 2));
        drop(whole);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0xff;
        fs::write(&path, &bytes).unwrap();
        assert!(matches!(found().condition, Condition::Damaged(why) if why.contains("damaged at byte")));
        fs::remove_file(&path).unwrap();
        assert_eq!(found().condition, Condition::Lost);
        assert!(!path.exists(), "looking makes no journal");
    }

    #[test]
    fn the_old_journal_is_kept_beside_the_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = journal(&directory);
        let old = fs::read(&path).unwrap();
        // What a rebuild that was cut short left does not count.
        fs::write(beside(&path), b"half").unwrap();
        let found = Found::<Record>::at(&path).unwrap();
        let Kept::Aside(Some(aside)) = found.replace_by(&[Record::Counter(7)], "now").unwrap() else {
            panic!("there was one")
        };
        drop(found);
        assert_eq!(fs::read(aside).unwrap(), old);
        assert_eq!(Found::<Record>::at(&path).unwrap().records, [Record::Counter(7)]);
        assert!(!beside(&path).exists());
    }
}
