//! Entering a machine of a lab that another process holds.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use nix::unistd::Pid;

use super::keeper::started_at;
use super::namespaces::Namespaces;
use super::place;
use super::process::only_child;

/// A command that will run on a machine of the lab `id`.
///
/// # Errors
/// The lab has no such machine.
pub fn command_on(id: &str, machine: &str, program: &str) -> Result<Command> {
    let network = place::netns(id, machine);
    let inside = match keeper(id, machine)? {
        Some(keeper) => Namespaces { keeper, network: None, host: true },
        None if network.exists() => {
            let keeper = keeper(id, place::PROCESSES)?.context("the lab is going down")?;
            Namespaces { keeper, network: Some(network), host: false }
        }
        None => bail!("lab {id} has no machine called {machine}; it has {}", machines(id)?.join(", ")),
    };
    Ok(inside.command(program))
}

/// The machines of the lab `id`, by their network namespaces.
fn machines(id: &str) -> Result<Vec<String>> {
    let first = place::netns(id, "");
    let (folder, first) = (first.parent(), first.file_name().unwrap_or_default().to_string_lossy());
    let mut machines = Vec::new();
    for namespace in fs::read_dir(folder.context("namespaces are in no folder")?)? {
        let name = namespace?.file_name();
        machines.extend(name.to_string_lossy().strip_prefix(&*first).map(ToOwned::to_owned));
    }
    machines.sort();
    Ok(machines)
}

/// The first process in what a keeper of this name holds.
fn keeper(id: &str, name: &str) -> Result<Option<Pid>> {
    let noted = fs::read_to_string(place::root().join(id).join(place::KEEPERS)).unwrap_or_default();
    // The last, because a host that was switched off and on has several.
    for line in noted.lines().rev() {
        if let [pid, start, of] = line.split(' ').collect::<Vec<_>>()[..] {
            let pid = Pid::from_raw(pid.parse()?);
            if of == name && started_at(pid).as_deref() == Some(start) {
                return only_child(pid);
            }
        }
    }
    Ok(None)
}
