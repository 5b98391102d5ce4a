//! What can go wrong with a journal, each with what to do.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::frame::{Damage, RECORD_BYTES_MAX, Refused, Unread};

/// A journal cannot be opened, read or written. What failed to be appended is not in it.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be opened or read at all.
    #[error("cannot open the journal {}; check that its directory exists and its rights", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Another process has it open.
    #[error("the journal {} is open already; only one berthd may use it, stop the other one", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// No room on the disk; nothing was added.
    #[error("no room to write to the journal {}; free some space, nothing is lost", path.display())]
    Full {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The disk refused; nothing was added.
    #[error("cannot write to the journal {}; check the disk, nothing is lost so far", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Not a journal, or damaged before its end.
    #[error(
        "the journal {} is damaged at byte {offset}: {what}; stop berthd, run `berthd --rebuild` (with the same \
         --config), which makes it anew from the store, Docker and the kernel, and start berthd again",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the damage begins.
        offset: u64,
        /// What is wrong there.
        what: &'static str,
    },
    /// Written by a newer Berth.
    #[error("the journal {} is written in form {found}, this Berth reads up to {known}; install the newer Berth again", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The form it has.
        found: u32,
        /// The newest form that this build reads.
        known: u32,
    },
    /// A record is whole, but not one that belongs into this journal.
    #[error(
        "record {number} of the journal {} is not one of its kind; was another journal moved there? \
         If not, stop berthd, run `berthd --rebuild` (with the same --config), and start berthd again",
        path.display()
    )]
    Record {
        /// The file.
        path: PathBuf,
        /// Which record, from 1.
        number: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A record is too large to be added.
    #[error("a record of {bytes} bytes is too large for the journal {}, at most {RECORD_BYTES_MAX} fit", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The record's size.
        bytes: usize,
    },
    /// A record has no JSON form.
    #[error("a record for the journal {} cannot be written as JSON", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl JournalError {
    /// Whether what the journal said cannot be had from it any more.
    pub fn is_damage(&self) -> bool {
        matches!(self, JournalError::Damaged { .. } | JournalError::Record { .. })
    }

    pub(super) fn open(path: &Path) -> impl Fn(io::Error) -> JournalError + use<'_> {
        move |source| JournalError::Open { path: path.to_owned(), source }
    }

    pub(super) fn write(path: &Path) -> impl Fn(io::Error) -> JournalError + use<'_> {
        move |source| {
            let path = path.to_owned();
            match source.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                    JournalError::Full { path, source }
                }
                _ => JournalError::Write { path, source },
            }
        }
    }

    pub(super) fn damaged(path: &Path, damage: Damage) -> JournalError {
        let path = path.to_owned();
        match damage {
            Damage::Bytes { offset, what } => JournalError::Damaged { path, offset, what },
            Damage::Newer { found, known } => JournalError::Newer { path, found, known },
        }
    }

    pub(super) fn record(path: &Path, unread: Unread) -> JournalError {
        let path = path.to_owned();
        match unread {
            Unread::Newer { found, known } => JournalError::Newer { path, found, known },
            Unread::Unreadable { number, source } => JournalError::Record { path, number, source },
        }
    }

    pub(super) fn refused(path: &Path, refused: Refused) -> JournalError {
        let path = path.to_owned();
        match refused {
            Refused::TooLarge { bytes } => JournalError::TooLarge { path, bytes },
            Refused::Unwritable(source) => JournalError::Unwritable { path, source },
        }
    }
}
