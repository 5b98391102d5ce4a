//! The hosts that this one has ever seen in its cluster, in a file: when the store is lost, they are those who are
//! awaited before anything of it is used again.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fs, io};

use ipam::HostId;
use serde::{Deserialize, Serialize};

/// The file below the state directory.
const FILE: &str = "hosts.json";

/// The version of the file's form.
const VERSION: u32 = 1;

/// The roll of a cluster's hosts. Nobody is ever struck off: the file is a few bytes for each.
#[derive(Debug)]
pub struct Roll {
    path: PathBuf,
    known: Mutex<Known>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    version: u32,
    cluster: String,
    hosts: BTreeSet<HostId>,
    /// Whether hosts may be missing, because the file was damaged once.
    damaged: bool,
}

impl Roll {
    /// The one below this state directory; empty if there is none yet.
    pub fn open(state_dir: &Path) -> Roll {
        let path = state_dir.join(FILE);
        let read = match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map_err(io::Error::from),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Known::default()),
            Err(error) => Err(error),
        };
        // Whom it named is not known any more, which must not look like nobody.
        let known = read.unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "cannot read which hosts there were; beginning anew");
            Known { damaged: true, ..Known::default() }
        });
        Roll { path, known: Mutex::new(known) }
    }

    /// Takes note of the hosts that a look at the store of this cluster showed.
    ///
    /// # Errors
    /// It cannot be written; it is tried again at the next look.
    pub fn note<'a>(&self, cluster: &str, seen: impl Iterator<Item = &'a HostId>) -> io::Result<()> {
        let mut known = self.known();
        let before = if known.cluster == cluster { known.hosts.clone() } else { BTreeSet::new() };
        let hosts: BTreeSet<HostId> = before.into_iter().chain(seen.cloned()).collect();
        let after = Known { version: VERSION, cluster: cluster.to_owned(), hosts, damaged: known.damaged };
        if *known != after {
            let beside = self.path.with_extension("new");
            let file = fs::File::create(&beside)?;
            serde_json::to_writer_pretty(&file, &after)?;
            file.sync_all()?;
            fs::rename(&beside, &self.path)?;
            *known = after;
        }
        Ok(())
    }

    /// The hosts of this cluster.
    pub fn of(&self, cluster: &str) -> BTreeSet<HostId> {
        let known = self.known();
        if known.cluster == cluster { known.hosts.clone() } else { BTreeSet::new() }
    }

    /// Whether it names all that were ever seen.
    pub fn is_whole(&self) -> bool {
        !self.known().damaged
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // The value is replaced whole, so it is right even if a holder of the lock panicked.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_that_was_ever_seen_is_remembered_over_a_restart_and_none_of_another_cluster() {
        let state = tempfile::tempdir().unwrap();
        let hosts = ["h1", "h2", "h3"].map(HostId::from);
        let roll = Roll::open(state.path());
        roll.note("c", hosts[..2].iter()).unwrap();
        // A look at a store that was just made anew shows few.
        roll.note("c", hosts[2..].iter()).unwrap();
        let again = Roll::open(state.path());
        assert!(again.is_whole());
        assert_eq!(again.of("c"), hosts.into());
        assert_eq!(again.of("another"), BTreeSet::new());
    }

    #[test]
    fn a_roll_that_cannot_be_read_is_not_an_empty_one() {
        let state = tempfile::tempdir().unwrap();
        fs::write(state.path().join(FILE), "{").unwrap();
        let roll = Roll::open(state.path());
        roll.note("c", [HostId::from("h1")].iter()).unwrap();
        assert!(!roll.is_whole() && !Roll::open(state.path()).is_whole());
    }
}
