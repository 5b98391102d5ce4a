//! What holds namespaces, and takes all that runs in them along when the lab ends.
//!
//! A keeper is the first process of a process namespace. It reads a pipe whose other end only the lab
//! holds. However the lab ends, kill -9 included, the pipe closes, the keeper ends, and the kernel kills
//! every process of the namespace: daemons, containers, shims, packet captures.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::unistd::Pid;

use super::place::{PROCESSES, Place};
use super::process::only_child;

/// Waits for the lab to end. bash, because as first process it reaps orphans (containerd's shims).
const WAIT: &str = "echo ready; read -r _ || exit 0";

/// A host sees control groups as they are, but its own network in /sys, and has /run and /etc to itself:
/// Docker and berthd find their sockets and files at the usual paths.
const BECOME_A_HOST: &str = r#"set -eu
home=$1 name=$2
mount -t proc proc /proc
mount --rbind /sys/fs/cgroup "$home/cgroup"
mount -t sysfs sysfs /sys
mount --rbind "$home/cgroup" /sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /run/docker/plugins /run/berth
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$home/etc,workdir=$home/etc-work" /etc
hostname "$name"
"#;

/// Holds namespaces. Dropping it ends every process in them.
#[derive(Debug)]
pub(super) struct Keeper {
    child: Child,
    first: Pid,
}

impl Keeper {
    /// Holds a process namespace and nothing else.
    pub(super) fn of_processes(place: &Place) -> Result<Keeper> {
        let mut command = Command::new("/usr/bin/unshare");
        command.args(["--pid", "--fork", "--kill-child", "/bin/bash", "-c", WAIT]);
        Keeper::start(place, PROCESSES, command)
    }

    /// Holds the namespaces of a host whose network is `netns` and whose files are in `home`.
    pub(super) fn of_host(place: &Place, name: &str, netns: &Path, home: &Path) -> Result<Keeper> {
        for folder in ["cgroup", "etc", "etc-work"] {
            fs::create_dir_all(home.join(folder))?;
        }
        let mut command = Command::new("/usr/bin/nsenter");
        command.arg(format!("--net={}", netns.display())).arg("/usr/bin/unshare");
        command.args(["--mount", "--propagation=private", "--uts", "--pid", "--fork", "--kill-child"]);
        command.args(["/bin/bash", "-c", &format!("{BECOME_A_HOST}{WAIT}"), "keeper"]).arg(home).arg(name);
        Keeper::start(place, name, command)
    }

    /// The first process of the namespace, as seen from outside.
    pub(super) fn first(&self) -> Pid {
        self.first
    }

    fn start(place: &Place, name: &str, mut command: Command) -> Result<Keeper> {
        let log = fs::File::create(place.dir().join(format!("{name}.keeper.log")))?;
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log).process_group(0);
        let mut child = command.spawn().with_context(|| format!("could not start the keeper of {name}"))?;
        let unshare = Pid::from_raw(child.id().cast_signed());
        place.note_keeper(unshare, &started_at(unshare).unwrap_or_default(), name)?;

        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let said = || super::process::tail(&place.dir().join(format!("{name}.keeper.log")));
        ensure!(line == "ready\n", "the namespaces of {name} could not be made\n{}", said());
        let first = only_child(unshare)?.with_context(|| format!("the keeper of {name} is gone"))?;
        Ok(Keeper { child, first })
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        // Its first process is told by the pipe; unshare ends when the kernel has ended all the others.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// When a process started, in the kernel's ticks since boot; with the pid, it names a process for good.
pub(super) fn started_at(pid: Pid) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; field 22 is the 20th after it (proc(5)).
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(19).map(str::to_owned)
}
