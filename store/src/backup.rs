//! Everything a store has at one revision, as a file: lines of JSON with a checksum at the end.
//!
//! ```text
//! {"berth_backup":1,"revision":42,"entries":2}
//! {"key":"cluster","value":"{\"version\":1,…}"}
//! {"key":"pools/default","value":"…"}
//! {"key":"ledger/h1/…","packed":"KLUv/S…"}
//! {"crc32c":305419896}
//! ```
//!
//! A value that is no text, as the ledger's packed ones, is in base64 (RFC 4648).

use std::io::{self, BufRead, Write};

use base64::engine::general_purpose::STANDARD;
use base64::{DecodeError, Engine as _};
use serde::de::Error as _;
use serde::{Deserialize, Serialize};

use crate::{Entry, Key, Revision, Snapshot};

/// The form in which backups are written, and the newest that is read.
pub const BACKUP_VERSION: u32 = 1;

/// A backup cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The system did not let us.
    #[error("cannot write or read the backup")]
    File(#[from] io::Error),
    /// It is not a backup at all, or its middle is damaged.
    #[error("line {line} of the backup is not what belongs there; it is damaged, or not a backup of Berth")]
    Unreadable {
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// Written by a newer Berth.
    #[error("the backup has form {found}, this Berth reads up to {BACKUP_VERSION}; install the newer Berth")]
    Newer {
        /// The form it has.
        found: u32,
    },
    /// It ends too early, or its checksum differs.
    #[error("the backup is damaged or incomplete: {what}; nothing was restored, take another one")]
    Damaged {
        /// What does not fit.
        what: String,
    },
}

#[derive(Serialize, Deserialize)]
struct Head {
    berth_backup: u32,
    revision: Revision,
    entries: usize,
}

#[derive(Serialize, Deserialize)]
struct Line {
    key: String,
    #[serde(flatten)]
    value: Written,
    revision: Revision,
}

#[derive(Serialize, Deserialize)]
enum Written {
    #[serde(rename = "value")]
    Text(String),
    #[serde(rename = "packed")]
    Packed(String),
}

impl Written {
    fn of(value: &[u8]) -> Self {
        match std::str::from_utf8(value) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Packed(STANDARD.encode(value)),
        }
    }

    fn bytes(self) -> Result<Vec<u8>, DecodeError> {
        match self {
            Self::Text(text) => Ok(text.into_bytes()),
            Self::Packed(packed) => STANDARD.decode(packed),
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Foot {
    crc32c: u32,
}

/// Writes everything in `snapshot`.
pub fn write(snapshot: &Snapshot, to: &mut impl Write) -> Result<(), BackupError> {
    let mut sum = 0;
    let head =
        Head { berth_backup: BACKUP_VERSION, revision: snapshot.revision, entries: snapshot.entries.len() };
    write_line(&head, to, &mut sum)?;
    for entry in &snapshot.entries {
        let (key, value) = (entry.key.as_str().to_owned(), Written::of(&entry.value));
        let line = Line { key, value, revision: entry.revision };
        write_line(&line, to, &mut sum)?;
    }
    let foot = Foot { crc32c: sum };
    write_line(&foot, to, &mut sum)
}

/// Reads a whole backup, and believes none of it unless all of it is right.
pub fn read(from: &mut impl BufRead) -> Result<Snapshot, BackupError> {
    let mut lines = Lines { from, number: 0, sum: 0 };
    let head: Head = lines.next()?.0;
    if head.berth_backup > BACKUP_VERSION {
        return Err(BackupError::Newer { found: head.berth_backup });
    }
    let mut entries = Vec::new();
    for _ in 0..head.entries {
        let (Line { key, value, revision }, _) = lines.next()?;
        let value = value.bytes().map_err(|error| lines.unreadable(serde_json::Error::custom(error)))?;
        entries.push(Entry { key: Key::new(key), value, revision });
    }
    let (Foot { crc32c }, sum) = lines.next()?;
    if crc32c != sum {
        return Err(BackupError::Damaged { what: "its checksum differs".into() });
    }
    Ok(Snapshot { revision: head.revision, entries })
}

fn write_line(value: &impl Serialize, to: &mut impl Write, sum: &mut u32) -> Result<(), BackupError> {
    let mut line = serde_json::to_vec(value).map_err(io::Error::from)?;
    line.push(b'\n');
    *sum = crc32c::crc32c_append(*sum, &line);
    Ok(to.write_all(&line)?)
}

struct Lines<'a, R> {
    from: &'a mut R,
    number: usize,
    sum: u32,
}

impl<R: BufRead> Lines<'_, R> {
    /// The next line, and the checksum of all before it.
    fn next<T: for<'de> Deserialize<'de>>(&mut self) -> Result<(T, u32), BackupError> {
        let (before, mut line) = (self.sum, Vec::new());
        self.from.read_until(b'\n', &mut line)?;
        self.number += 1;
        if line.last() != Some(&b'\n') {
            return Err(BackupError::Damaged { what: format!("it ends in line {}", self.number) });
        }
        self.sum = crc32c::crc32c_append(before, &line);
        let read = serde_json::from_slice(&line);
        Ok((read.map_err(|source| self.unreadable(source))?, before))
    }

    fn unreadable(&self, source: serde_json::Error) -> BackupError {
        BackupError::Unreadable { line: self.number, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Item;

    fn snapshot() -> Snapshot {
        let entry = |item: Item, value: &str| Entry {
            key: item.key(),
            value: value.as_bytes().to_vec(),
            revision: Revision(7),
        };
        // What Zstandard begins with: no text.
        let packed = |item: Item| Entry { value: vec![0x28, 0xb5, 0x2f, 0xfd], ..entry(item, "") };
        Snapshot {
            revision: Revision(42),
            entries: vec![
                entry(Item::Cluster, r#"{"version":1,"value":{"id":"x"}}"#),
                entry(Item::Pool("ä\n\"".into()), ""),
                packed(Item::Pool("packed".into())),
            ],
        }
    }

    fn written() -> Vec<u8> {
        let mut file = Vec::new();
        write(&snapshot(), &mut file).unwrap();
        file
    }

    #[test]
    fn a_backup_is_read_back_as_it_was_written() {
        assert_eq!(read(&mut &written()[..]).unwrap(), snapshot());
    }

    #[test]
    fn a_backup_cut_short_anywhere_is_refused() {
        let file = written();
        for length in 0..file.len() {
            assert!(read(&mut &file[..length]).is_err(), "{length} of {} bytes", file.len());
        }
    }

    #[test]
    fn a_backup_with_any_bit_turned_is_refused() {
        let file = written();
        for at in 0..file.len() {
            let mut damaged = file.clone();
            damaged[at] ^= 1;
            assert!(read(&mut &damaged[..]).is_err(), "byte {at}");
        }
    }

    #[test]
    fn a_backup_of_a_newer_form_says_so() {
        let newer = br#"{"berth_backup":2,"revision":1,"entries":0}"#;
        let error = read(&mut &[&newer[..], b"\n"].concat()[..]).unwrap_err();
        assert!(matches!(error, BackupError::Newer { found: 2 }), "{error}");
    }
}
