//! Takes down what a lab made: after its end in order, or after its owner was killed.
//!
//! All that a lab makes is found by its id: keepers noted in its folder, network namespaces and control
//! groups by name. So the same few lines serve the owner, a signal, and whoever comes after a kill -9.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};

use super::condition::until;
use super::keeper::started_at;
use super::place;

/// How long processes may take to die and the kernel to let go of what they held.
const LETTING_GO: Duration = Duration::from_secs(10);

/// Removes what labs whose owner is dead left behind, and says what was found.
///
/// # Errors
/// What could not be removed.
pub fn clean() -> Result<Vec<String>> {
    require_root()?;
    let removed = {
        let _turn = place::take_turn()?;
        remove_dead()?
    };
    place::leave();
    Ok(removed)
}

/// The labs on this machine that someone owns, by id.
///
/// # Errors
/// The folder of labs cannot be read.
pub fn living() -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for (id, dir) in labs()? {
        if place::is_owned(&dir)? {
            ids.push(id);
        }
    }
    Ok(ids)
}

/// Namespaces need root; said before anything is made.
pub(super) fn require_root() -> Result<()> {
    ensure!(Uid::effective().is_root(), "a lab makes namespaces: run it as root, or through sudo");
    Ok(())
}

/// As [`clean`], for one who has taken the turn.
pub(super) fn remove_dead() -> Result<Vec<String>> {
    let mut removed = Vec::new();
    for (id, dir) in labs()? {
        if place::is_owned(&dir)? {
            continue;
        }
        let troubles = remove(&id, &dir);
        ensure!(troubles.is_empty(), "lab {id} could not be removed: {}", troubles.join("; "));
        removed.push(id);
    }
    Ok(removed)
}

/// Removes one lab, whatever is left of it. Goes on at trouble, and returns all of it.
pub(super) fn remove(id: &str, dir: &Path) -> Vec<String> {
    let steps = [end_keepers(dir), remove_netns(id), remove_cgroups(id), unmount(dir), remove_dir(dir)];
    steps.into_iter().filter_map(Result::err).map(|error| format!("{error:#}")).collect()
}

fn labs() -> Result<Vec<(String, PathBuf)>> {
    let root = place::root();
    let entries = match fs::read_dir(&root) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| format!("could not read {}", root.display())),
    };
    let mut labs = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if let (true, Some(name)) = (path.is_dir(), path.file_name()) {
            labs.push((name.to_string_lossy().into_owned(), path.clone()));
        }
    }
    Ok(labs)
}

/// Their end ends all that ran in the lab.
fn end_keepers(dir: &Path) -> Result<()> {
    let noted = fs::read_to_string(dir.join(place::KEEPERS)).unwrap_or_default();
    for line in noted.lines() {
        let mut words = line.split(' ');
        let (Some(pid), Some(start)) = (words.next(), words.next()) else { continue };
        let Ok(pid) = pid.parse().map(Pid::from_raw) else { continue };
        let is_alive = || started_at(pid).as_deref() == Some(start) && !is_zombie(pid);
        if is_alive() {
            // It may have ended since we looked.
            let _ = kill(pid, Signal::SIGKILL);
            until(LETTING_GO, &format!("keeper {pid} ends"), || Ok((!is_alive()).then_some(())))?;
        }
    }
    Ok(())
}

/// A zombie holds nothing; it waits for a parent that is no business of ours.
fn is_zombie(pid: Pid) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && line.contains('Z'))
}

fn remove_netns(id: &str) -> Result<()> {
    let prefix = place::prefix(id) + "-";
    for name in names_in(Path::new("/run/netns"))?.into_iter().filter(|name| name.starts_with(&prefix)) {
        let output = Command::new("/sbin/ip").args(["netns", "delete", &name]).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        let is_gone = !Path::new("/run/netns").join(&name).exists();
        ensure!(output.status.success() || is_gone, "could not delete namespace {name}: {said}");
    }
    Ok(())
}

fn remove_cgroups(id: &str) -> Result<()> {
    let root = Path::new("/sys/fs/cgroup");
    // Version 2 has one tree, version 1 one a controller.
    let mut trees = vec![root.to_owned()];
    trees.extend(names_in(root)?.into_iter().map(|name| root.join(name)));
    for tree in trees {
        let group = tree.join(place::prefix(id));
        if group.is_dir() {
            // A group stays busy for a moment after its last process died.
            let what = format!("{} can be removed", group.display());
            until(LETTING_GO, &what, || Ok(remove_group(&group).ok()))?;
        }
    }
    Ok(())
}

/// Control groups are removed from the leaves up, as folders; their files cannot be.
fn remove_group(group: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(group)? {
        let path = entry?.path();
        if path.is_dir() {
            remove_group(&path)?;
        }
    }
    fs::remove_dir(group)
}

/// Hosts mount in namespaces of their own; this is for what a broken host may have let out.
fn unmount(dir: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("could not read the list of mounts")?;
    let below = format!("{}/", dir.display());
    let targets = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    for target in targets.filter(|target| target.starts_with(&below)) {
        umount2(target, MntFlags::MNT_DETACH).with_context(|| format!("could not unmount {target}"))?;
    }
    Ok(())
}

fn remove_dir(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("could not remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

fn names_in(dir: &Path) -> Result<Vec<String>> {
    let Ok(entries) = fs::read_dir(dir) else { return Ok(Vec::new()) };
    entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
}
