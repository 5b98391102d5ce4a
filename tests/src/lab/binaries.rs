//! Where our own programs are.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// The folder with `berthd`, `berth` and `berth-mock-cloud`: `$BERTH_BIN`, or where Cargo put the program
/// that runs now (a test is one folder deeper, in `deps`).
pub(super) fn dir() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("BERTH_BIN") {
        return Ok(PathBuf::from(dir));
    }
    let program = std::env::current_exe().context("could not tell where this program is")?;
    let parent = program.parent().context("this program lies in no folder")?;
    let dir = if parent.ends_with("deps") { parent.parent().unwrap_or(parent) } else { parent };
    Ok(dir.to_owned())
}

/// One of our programs.
pub(super) fn find(name: &str) -> Result<PathBuf> {
    let path = dir()?.join(name);
    anyhow::ensure!(
        path.is_file(),
        "{} is not there; build it first: cargo build --workspace --bins",
        path.display()
    );
    Ok(path)
}

/// PATH inside the lab: Debian's programs, then ours.
pub(super) fn path() -> OsString {
    let mut path = OsString::from("/usr/sbin:/usr/bin:/sbin:/bin");
    if let Ok(dir) = dir() {
        path.push(":");
        path.push(dir);
    }
    path
}
