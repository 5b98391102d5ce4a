//! Entries in a redb file.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use redb::backends::FileBackend;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::local::{Stored, Table};
use crate::{Key, Prefix, Revision, StoreError};

/// What the tables below mean. Written into the file, and compared when it is opened.
const FORMAT: u64 = 1;

/// Key to (revision, session's ttl in milliseconds or 0, value).
const ENTRIES: TableDefinition<&str, Row> = TableDefinition::new("entries");
type Row = (u64, u64, &'static [u8]);

/// The numbers `format` and `revision`.
const NUMBERS: TableDefinition<&str, u64> = TableDefinition::new("numbers");

/// Bytes of the file kept in memory. A few hundred blocks fit many times.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// Keeps entries in a file.
pub(super) struct FileTable {
    path: PathBuf,
    /// None after an error of the disk: redb answers nothing more until the file is opened again.
    database: Option<Database>,
    revision: Revision,
}

impl FileTable {
    /// Opens the file, or makes it.
    pub(super) fn open(path: &Path) -> Result<FileTable, StoreError> {
        let in_file = |error| in_file(path, error);
        let database = open(path, OpenOptions::new().create(true).mode(0o600)).map_err(in_file)?;
        let found = prepare(&database).map_err(in_file)?;
        if found.format != FORMAT {
            return Err(StoreError::Format { path: path.to_owned(), found: found.format, known: FORMAT });
        }
        sync_directory(path).map_err(|source| in_file(source.into()))?;
        Ok(FileTable { path: path.to_owned(), database: Some(database), revision: found.revision })
    }

    /// The open file, opened again if an error closed it.
    fn database(&mut self) -> Result<&Database, StoreError> {
        if self.database.is_none() {
            let in_file = |error| in_file(&self.path, error);
            let database = open(&self.path, &OpenOptions::new()).map_err(in_file)?;
            self.revision = prepare(&database).map_err(in_file)?.revision;
            self.database = Some(database);
        }
        self.database.as_ref().ok_or(StoreError::Closed)
    }

    /// Reads with `look`, and closes the file if that fails.
    fn read<T>(&mut self, look: impl FnOnce(&Database) -> Result<T, redb::Error>) -> Result<T, StoreError> {
        let looked = look(self.database()?);
        looked.map_err(|error| {
            self.database = None;
            in_file(&self.path, error)
        })
    }
}

impl Table for FileTable {
    const WAITS_FOR_DISK: bool = true;

    fn revision(&mut self) -> Result<Revision, StoreError> {
        self.database()?;
        Ok(self.revision)
    }

    fn get(&mut self, key: &Key) -> Result<Option<Stored>, StoreError> {
        self.read(|database| {
            let entries = database.begin_read()?.open_table(ENTRIES)?;
            Ok(entries.get(key.as_str())?.map(|row| stored(row.value())))
        })
    }

    fn range(&mut self, prefix: &Prefix) -> Result<Vec<(Key, Stored)>, StoreError> {
        self.read(|database| {
            let entries = database.begin_read()?.open_table(ENTRIES)?;
            let mut found = Vec::new();
            for entry in entries.range(prefix.as_str()..)? {
                let (key, row) = entry?;
                let key = Key::new(key.value().to_owned());
                if !prefix.covers(&key) {
                    break;
                }
                found.push((key, stored(row.value())));
            }
            Ok(found)
        })
    }

    fn apply(&mut self, revision: Revision, writes: &[(Key, Option<Stored>)]) -> Result<(), StoreError> {
        match write(self.database()?, revision, writes) {
            Ok(()) => {
                self.revision = revision;
                Ok(())
            }
            Err(error) => {
                // The file itself tells whether it was written: nobody else can write it later.
                self.database = None;
                match self.revision() {
                    Ok(found) if found == revision => Ok(()),
                    Ok(_) => Err(in_file(&self.path, error)),
                    Err(_) => Err(StoreError::UnknownOutcome(in_file(&self.path, error).into())),
                }
            }
        }
    }
}

/// The numbers that a file carries.
struct Numbers {
    format: u64,
    revision: Revision,
}

fn open(path: &Path, options: &OpenOptions) -> Result<Database, redb::Error> {
    let file = options.clone().read(true).write(true).open(path)?;
    let mut builder = Builder::new();
    builder.set_cache_size(CACHE_BYTES);
    // Without it a damaged file is trusted.
    builder.set_check_integrity_on_open(true);
    Ok(builder.create_with_backend(FileBackend::new(file)?)?)
}

/// Makes the tables of a new file, and reads the numbers of any.
fn prepare(database: &Database) -> Result<Numbers, redb::Error> {
    let transaction = database.begin_write()?;
    let found = {
        transaction.open_table(ENTRIES)?;
        let mut numbers = transaction.open_table(NUMBERS)?;
        let number = |name| Ok::<_, redb::Error>(numbers.get(name)?.map(|number| number.value()));
        match (number("format")?, number("revision")?) {
            (Some(format), Some(revision)) => Numbers { format, revision: Revision(revision) },
            _ => {
                numbers.insert("format", FORMAT)?;
                numbers.insert("revision", 0)?;
                Numbers { format: FORMAT, revision: Revision(0) }
            }
        }
    };
    transaction.commit()?;
    Ok(found)
}

fn write(
    database: &Database,
    revision: Revision,
    writes: &[(Key, Option<Stored>)],
) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut entries = transaction.open_table(ENTRIES)?;
        for (key, stored) in writes {
            match stored {
                Some(stored) => {
                    let row = (stored.revision.0, millis(stored.ttl), stored.value.as_slice());
                    entries.insert(key.as_str(), row)?;
                }
                None => drop(entries.remove(key.as_str())?),
            }
        }
        transaction.open_table(NUMBERS)?.insert("revision", revision.0)?;
    }
    // redb's default durability: on the disk when it returns.
    Ok(transaction.commit()?)
}

fn stored((revision, ttl, value): (u64, u64, &[u8])) -> Stored {
    let ttl = (ttl > 0).then(|| Duration::from_millis(ttl));
    Stored { revision: Revision(revision), ttl, value: value.to_owned() }
}

/// At least 1 for a session: 0 means that there is none.
fn millis(ttl: Option<Duration>) -> u64 {
    ttl.map_or(0, |ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX).max(1))
}

/// A new file's name is on the disk only once its directory is.
fn sync_directory(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}

/// What redb says, in our words.
fn in_file(path: &Path, error: redb::Error) -> StoreError {
    let path = path.to_owned();
    match error {
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => StoreError::InUse { path },
        redb::Error::Io(io) => match io.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                StoreError::Full { path, source: io.into() }
            }
            // redb reads past the end of a file that was cut short.
            ErrorKind::UnexpectedEof | ErrorKind::InvalidData => {
                StoreError::Corrupt { path, source: io.into() }
            }
            ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::IsADirectory => {
                StoreError::Open { path, source: io.into() }
            }
            _ => StoreError::Unavailable(io.into()),
        },
        redb::Error::PreviousIo | redb::Error::DatabaseClosed => StoreError::Unavailable(error.into()),
        // What is left are tables that are not there or of another kind, and what redb calls corrupted.
        _ => StoreError::Corrupt { path, source: error.into() },
    }
}

/// Makes a file look like one of another format.
#[cfg(test)]
pub(super) fn write_format(path: &Path, format: u64) {
    let database = open(path, &OpenOptions::new()).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(NUMBERS).unwrap().insert("format", format).unwrap();
    transaction.commit().unwrap();
}
