//! The daemons of a Docker host: how each is started, and when it is ready.

use std::fmt;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

/// A daemon of a Docker host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Daemon {
    /// Runs the containers; apart from dockerd, so that either can be killed alone.
    Containerd,
    /// Berth's agent.
    Berthd,
    /// Docker.
    Dockerd,
}

impl Daemon {
    /// All of them, in the order a host starts them: the plugin before Docker, which asks for it.
    pub const ALL: [Daemon; 3] = [Daemon::Containerd, Daemon::Berthd, Daemon::Dockerd];

    /// The program.
    pub fn program(self) -> &'static str {
        match self {
            Daemon::Containerd => "containerd",
            Daemon::Berthd => "berthd",
            Daemon::Dockerd => "dockerd",
        }
    }

    /// Its socket, on the host.
    pub fn socket(self) -> &'static str {
        match self {
            Daemon::Containerd => "/run/containerd/containerd.sock",
            Daemon::Berthd => "/run/berth/berth.sock",
            Daemon::Dockerd => "/run/docker.sock",
        }
    }

    /// How long it may take to be ready. dockerd waits 15 s, several times, for a plugin that is away.
    pub(super) fn limit(self) -> Duration {
        match self {
            Daemon::Containerd => Duration::from_secs(30),
            Daemon::Berthd => Duration::from_secs(60),
            Daemon::Dockerd => Duration::from_secs(150),
        }
    }

    /// Whether it answers on its socket, `socket` being where we see it.
    pub(super) fn is_ready(self, socket: &Path) -> bool {
        match self {
            // containerd opens its socket when it is ready to serve.
            Daemon::Containerd => UnixStream::connect(socket).is_ok(),
            Daemon::Berthd => answers(socket, "/v1/status"),
            Daemon::Dockerd => answers(socket, "/_ping"),
        }
    }
}

impl fmt::Display for Daemon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

/// Whether a server on a unix socket answers a GET with 200.
fn answers(socket: &Path, path: &str) -> bool {
    let ask = || -> std::io::Result<bool> {
        let mut stream = UnixStream::connect(socket)?;
        // A socket that is held open while its daemon is away accepts and does not answer.
        stream.set_read_timeout(Some(Duration::from_secs(2)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut head = [0; 12];
        stream.read_exact(&mut head)?;
        Ok(&head == b"HTTP/1.1 200")
    };
    ask().unwrap_or(false)
}
