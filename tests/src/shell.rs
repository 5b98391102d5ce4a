//! A shell on a machine of a lab that another process holds, and how to get there.

use std::os::unix::process::CommandExt;

use anyhow::{Result, bail};
use tests::lab::{Lab, command_on, remains};

/// Replaces this process by a shell, or one command, on a machine.
pub(crate) fn enter(machine: &str, lab: Option<&str>, command: &[String]) -> Result<()> {
    let living = remains::living()?;
    let id = match (lab, living.as_slice()) {
        (Some(id), _) if living.iter().any(|living| living == id) => id,
        (Some(id), _) => bail!("no lab {id} is up; up are: {}", living.join(", ")),
        (None, [id]) => id,
        (None, []) => bail!("no lab is up; start one with `make run`"),
        (None, _) => bail!("several labs are up, choose one with --lab: {}", living.join(", ")),
    };
    let mut inside = command_on(id, machine, if command.is_empty() { "bash" } else { "env" })?;
    if command.is_empty() {
        let terminal = std::env::var_os("TERM").unwrap_or_else(|| "dumb".into());
        inside.args(["--norc", "-i"]).env("PS1", format!("{machine}# ")).env("TERM", terminal);
    } else {
        inside.args(command);
    }
    Err(inside.exec().into())
}

/// Says what one can do by hand while the lab is up.
pub(crate) fn how_to_go_on(lab: &Lab) {
    let program =
        std::env::current_exe().map_or_else(|_| "berth-lab".to_owned(), |path| path.display().to_string());
    let sudo = if std::env::var_os("SUDO_UID").is_some() { "sudo " } else { "" };
    let shell = format!("{sudo}{program} shell");
    let fleet = what_to_kill(lab, sudo);
    println!(
        "\nThat was the story. The lab stays up, and is yours. In another terminal:\n\
         \n   {shell} h1 docker run -d --name web --network cloud busybox httpd -f -h /www\
         \n   {shell} h1 berth address list\
         \n   {shell} vm1 ping -c 3 ADDRESS\
         \n   {shell} vm1 busybox wget -q -O - http://ADDRESS/cgi-bin/whoami\
         \n   {shell} h1          a shell on the Docker host: docker and berth as on any host\
         \n   {shell} vm1         a shell on the virtual machine; bm1 is the bare-metal server\
{fleet}\
         \n\nThe logs of all daemons are in {}.\nCtrl-C here takes everything down.",
        lab.dir().display()
    );
}

/// In a lab of several hosts: how to take a host or a part of the store away.
fn what_to_kill(lab: &Lab, sudo: &str) -> String {
    let Some(member) = lab.etcd().members().first() else { return String::new() };
    let hosts = lab.hosts().filter_map(|host| Some((host.name(), host.first_process().ok()?)));
    let kill = |(name, process)| format!("\n   {sudo}kill -9 {process}          cuts the power of {name}");
    let namespace = member.node().netns().file_name().unwrap_or_default().to_string_lossy();
    format!(
        "\n\nKill things, and ask any host: berth status, berth host list, berth address history ADDRESS.\n{}\
         \n   {sudo}kill -9 $(ip netns pids {namespace})          kills the member {}",
        hosts.map(kill).collect::<String>(),
        member.name(),
    )
}
