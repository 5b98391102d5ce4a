//! Where a lab lives on disk, and how others see whether its owner is alive.
//!
//! Each lab has a folder `<root>/<id>`. Its owner holds a lock on the file `owner` in it for as long as it
//! lives: the kernel lets go of the lock at any kind of death, so there is no pid that could be mistaken.

use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result};
use nix::unistd::Pid;

use super::{remains, signals};

/// On a disk and not on a tmpfs: Docker's overlay2 keeps its data below.
const ROOT: &str = "/var/tmp/berth-lab";

/// The file in a lab's folder that names its keepers: pid, start, name.
pub(super) const KEEPERS: &str = "keepers";

/// The name of the keeper of all processes that are not on a host.
pub(super) const PROCESSES: &str = "processes";

/// A lab's id and folder. The last clone that is dropped removes all that the lab made.
#[derive(Clone)]
pub(super) struct Place(Arc<Claim>);

struct Claim {
    id: String,
    dir: PathBuf,
    /// Locked while we live.
    _owner: File,
}

impl Place {
    /// Removes what dead labs left, then claims a new id and folder.
    pub(super) fn claim() -> Result<Place> {
        let _turn = take_turn()?;
        remains::remove_dead()?;
        loop {
            let id = format!("{:04x}", rand::random::<u16>());
            let dir = root().join(&id);
            match fs::create_dir(&dir) {
                Ok(()) => {}
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error).with_context(|| format!("could not make {}", dir.display())),
            }
            let owner = File::create(dir.join("owner")).context("could not make the owner's lock file")?;
            owner.lock().context("could not lock the owner's file")?;
            signals::owned(&id, &dir);
            return Ok(Place(Arc::new(Claim { id, dir, _owner: owner })));
        }
    }

    /// Four hexadecimal digits.
    pub(super) fn id(&self) -> &str {
        &self.0.id
    }

    pub(super) fn dir(&self) -> &Path {
        &self.0.dir
    }

    /// The name that all of this lab's namespaces and control groups begin with.
    pub(super) fn prefix(&self) -> String {
        prefix(self.id())
    }

    /// The network namespace of a node.
    pub(super) fn netns(&self, node: &str) -> PathBuf {
        netns(self.id(), node)
    }

    /// Makes a folder in this lab's folder.
    pub(super) fn folder(&self, name: &str) -> Result<PathBuf> {
        let dir = self.dir().join(name);
        fs::create_dir_all(&dir).with_context(|| format!("could not make {}", dir.display()))?;
        Ok(dir)
    }

    /// Notes a keeper, so that others find it.
    pub(super) fn note_keeper(&self, pid: Pid, start: &str, name: &str) -> Result<()> {
        let path = self.dir().join(KEEPERS);
        let mut file = File::options().create(true).append(true).open(&path)?;
        writeln!(file, "{pid} {start} {name}").with_context(|| format!("could not write {}", path.display()))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        signals::give_way();
        for trouble in remains::remove(&self.id, &self.dir) {
            eprintln!("lab {}: {trouble}", self.id);
        }
        signals::gone(&self.id);
        leave();
    }
}

/// The folder of all labs: `$BERTH_LAB_DIR`, or one in /var/tmp.
pub(super) fn root() -> PathBuf {
    std::env::var_os("BERTH_LAB_DIR").map_or_else(|| PathBuf::from(ROOT), PathBuf::from)
}

/// The name that all that a lab makes begins with: as long as the simulated cloud allows.
pub(super) fn prefix(id: &str) -> String {
    format!("berthlab{id}")
}

/// The network namespace of a lab's node.
pub(super) fn netns(id: &str, node: &str) -> PathBuf {
    PathBuf::from(format!("/run/netns/{}-{node}", prefix(id)))
}

/// Labs are claimed and removed one at a time, so that a folder without a lock in it is nobody's.
///
/// The lock is on the folder of all labs itself, which goes with the last lab.
pub(super) fn take_turn() -> Result<File> {
    let root = root();
    let what = || format!("could not lock {}", root.display());
    loop {
        fs::create_dir_all(&root).with_context(|| format!("could not make {}", root.display()))?;
        let Ok(turn) = File::open(&root) else { continue };
        turn.lock().with_context(what)?;
        // It may have been removed while we waited.
        let locked = turn.metadata().with_context(what)?.ino();
        if fs::metadata(&root).is_ok_and(|there| there.ino() == locked) {
            return Ok(turn);
        }
    }
}

/// Removes the folder of all labs after the last of them.
pub(super) fn leave() {
    if let Ok(_turn) = take_turn() {
        // It is not empty while there are others.
        let _ = fs::remove_dir(root());
    }
}

/// Whether the process that claimed the lab in `dir` is alive.
pub(super) fn is_owned(dir: &Path) -> Result<bool> {
    let Ok(owner) = File::open(dir.join("owner")) else { return Ok(false) };
    match owner.try_lock() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(error)) => Err(error).context("could not ask who owns a lab"),
    }
}
