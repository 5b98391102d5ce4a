//! What this host knows, on disk: a checksummed append log, made anew from a snapshot when it has grown.
//!
//! An append that failed left nothing behind. A log that ends inside a record was being written when the
//! host or the process died: that record was never answered and is cut off. Any other damage is refused:
//! a journal that guesses would assign addresses that are in use.

mod error;
mod frame;

#[cfg(test)]
pub(crate) mod tests;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::marker::PhantomData;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

pub use error::JournalError;
pub use frame::RECORD_BYTES_MAX;
pub use ipam::Durability;

/// A log of records. One process has it open; it is locked while it is.
#[derive(Debug)]
pub struct Journal<R> {
    path: PathBuf,
    file: File,
    /// Bytes that are whole records, header included. What follows is left by an append that failed.
    length: u64,
    /// Whether bytes may follow `length` that must be cut off before the next append.
    untidy: bool,
    /// Whether the disk failed to sync: what it holds is not known until the file is written anew.
    suspect: bool,
    records: PhantomData<fn(R) -> R>,
}

impl<R: Serialize + DeserializeOwned> Journal<R> {
    /// Opens the journal at `path`, or makes an empty one, and reads every record in the order of appending.
    pub fn open(path: impl Into<PathBuf>) -> Result<(Journal<R>, Vec<R>), JournalError> {
        let path = path.into();
        remove_leftover(&path)?;
        if !path.try_exists().map_err(JournalError::open(&path))? {
            let file = replace(&path, &frame::header())?;
            return Ok((Journal::over(path, file, frame::HEADER_BYTES), Vec::new()));
        }
        let file =
            OpenOptions::new().read(true).write(true).open(&path).map_err(JournalError::open(&path))?;
        lock(&path, &file)?;
        let content = read(&path, &file)?;
        let scanned = frame::scan(&content).map_err(|damage| JournalError::damaged(&path, damage))?;
        let records =
            frame::decode_all(&scanned.payloads).map_err(|unread| JournalError::record(&path, unread))?;
        let torn = content.len() - scanned.length;
        let mut journal = Journal::over(path, file, scanned.length as u64);
        if torn > 0 {
            tracing::warn!(
                journal = %journal.path.display(), bytes = torn,
                "the journal ended inside a record that was never answered; cut it off"
            );
            journal.untidy = true;
            journal.tidy()?;
        }
        Ok((journal, records))
    }

    /// Adds records, all or none, and returns when they are as durable as asked:
    /// [`Durability::Written`] survives the death of this process, [`Durability::Synced`] that of the host.
    pub fn append(&mut self, records: &[R], durability: Durability) -> Result<(), JournalError> {
        let frames =
            frame::encode_all(records).map_err(|refused| JournalError::refused(&self.path, refused))?;
        if self.suspect {
            self.write_anew()?;
        }
        self.tidy()?;
        self.untidy = true;
        let appended = self.file.write_all_at(&frames, self.length);
        if let Err(error) = appended {
            return Err(self.undo(error));
        }
        if durability == Durability::Synced
            && let Err(error) = self.file.sync_data()
        {
            self.suspect = true;
            return Err(self.undo(error));
        }
        self.untidy = false;
        self.length += frames.len() as u64;
        Ok(())
    }

    /// Replaces all records by `snapshot`, durably. If that fails, the journal is as it was.
    pub fn compact(&mut self, snapshot: &[R]) -> Result<(), JournalError> {
        let mut content = frame::header();
        content.extend(
            frame::encode_all(snapshot).map_err(|refused| JournalError::refused(&self.path, refused))?,
        );
        self.become_file(&content)
    }

    /// The size of the file, to know when it is worth compacting.
    pub fn bytes(&self) -> u64 {
        self.length
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn over(path: PathBuf, file: File, length: u64) -> Journal<R> {
        Journal { path, file, length, untidy: false, suspect: false, records: PhantomData }
    }

    /// Cuts off what a failed append left, at once if that can be done.
    fn undo(&mut self, error: io::Error) -> JournalError {
        // If not, the next append tries again before it writes.
        let _ = self.tidy();
        JournalError::write(&self.path)(error)
    }

    fn tidy(&mut self) -> Result<(), JournalError> {
        if self.untidy {
            self.file.set_len(self.length).map_err(JournalError::write(&self.path))?;
            self.untidy = false;
        }
        Ok(())
    }

    /// Moves every record to a new file, because this one may not hold on the disk what it shows.
    fn write_anew(&mut self) -> Result<(), JournalError> {
        let mut content = read(&self.path, &self.file)?;
        content.truncate(usize::try_from(self.length).unwrap_or(usize::MAX));
        let scanned = frame::scan(&content).map_err(|damage| JournalError::damaged(&self.path, damage))?;
        if scanned.length as u64 != self.length {
            return Err(JournalError::damaged(&self.path, frame::Damage::lost(scanned.length)));
        }
        self.become_file(&content)
    }

    fn become_file(&mut self, content: &[u8]) -> Result<(), JournalError> {
        self.file = replace(&self.path, content)?;
        self.length = content.len() as u64;
        self.untidy = false;
        self.suspect = false;
        Ok(())
    }
}

/// Makes `content` the file at `path`: whole or not at all, whenever the power goes.
fn replace(path: &Path, content: &[u8]) -> Result<File, JournalError> {
    let beside = beside(path);
    let written = write_new(&beside, content).and_then(|file| {
        lock(path, &file)?;
        fs::rename(&beside, path).map_err(JournalError::write(path))?;
        Ok(file)
    });
    if written.is_err() {
        // The next open removes it otherwise.
        let _ = fs::remove_file(&beside);
    }
    let file = written?;
    sync_directory(path).map_err(JournalError::write(path))?;
    Ok(file)
}

fn write_new(path: &Path, content: &[u8]) -> Result<File, JournalError> {
    let write = || {
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
        file.write_all(content)?;
        file.sync_all()?;
        Ok(file)
    };
    write().map_err(JournalError::write(path))
}

/// The new file's name is on the disk only once its directory is.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// Where the next file is written before it takes the journal's name.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    PathBuf::from(name)
}

fn remove_leftover(path: &Path) -> Result<(), JournalError> {
    match fs::remove_file(beside(path)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(JournalError::open(path)(error)),
        _ => Ok(()),
    }
}

fn lock(path: &Path, file: &File) -> Result<(), JournalError> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(fs::TryLockError::WouldBlock) => Err(JournalError::InUse { path: path.to_owned() }),
        Err(fs::TryLockError::Error(error)) => Err(JournalError::open(path)(error)),
    }
}

fn read(path: &Path, file: &File) -> Result<Vec<u8>, JournalError> {
    let mut content = Vec::new();
    let mut from_start = file;
    let read = io::Seek::rewind(&mut from_start).and_then(|()| from_start.read_to_end(&mut content));
    read.map_err(JournalError::open(path))?;
    Ok(content)
}
