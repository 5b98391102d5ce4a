//! berthd's sockets, held open by the lab while berthd comes and goes, as systemd does.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result};

use super::namespaces::Namespaces;
use super::process::Process;

/// sd_listen_fds(3): file descriptors from 3 on, their number, their names, and whom they are meant for.
/// They come in as standard input and output, because that way no other child can inherit them.
const PASS_ON: &str = "exec 3<&0 4>&1 0</dev/null 1>&2; \
    LISTEN_FDS=2 LISTEN_FDNAMES=plugin:api LISTEN_PID=$$ exec \"$0\" --config /etc/berth/berth.toml";

/// The plugin's and the API's socket.
#[derive(Debug)]
pub(super) struct HeldSockets {
    plugin: UnixListener,
    api: UnixListener,
}

impl HeldSockets {
    /// Opens them on the host whose root folder is `root`.
    pub(super) fn bind(root: &Path) -> Result<HeldSockets> {
        let bind = |path: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap_or(root))?;
            UnixListener::bind(&path).with_context(|| format!("could not open {}", path.display()))
        };
        Ok(HeldSockets { plugin: bind("run/docker/plugins/berth.sock")?, api: bind("run/berth/berth.sock")? })
    }

    /// Starts berthd with them.
    pub(super) fn start(
        &self,
        what: &str,
        inside: &Namespaces,
        program: &Path,
        log: &Path,
    ) -> Result<Process> {
        let mut command = inside.command("bash");
        command.args(["-c", PASS_ON]).arg(program);
        command.stdin(Stdio::from(OwnedFd::from(self.plugin.try_clone()?)));
        command.stdout(Stdio::from(OwnedFd::from(self.api.try_clone()?)));
        Process::start_with_stdio(what, command, log)
    }
}
