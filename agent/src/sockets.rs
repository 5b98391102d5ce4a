//! The two unix sockets people and dockerd knock at: taken from systemd, or made here.
//!
//! With systemd's they outlive the agent, so that a call made while it is replaced just waits.

use crate::config::{ApiConfig, Rim};
use listenfd::ListenFd;
use nix::unistd::{Gid, Group, chown};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener as StdListener, UnixStream};
use std::path::{Path, PathBuf};
use tokio::net::UnixListener;

/// Names of the sockets in systemd's `FileDescriptorName=`.
const PLUGIN: &str = "plugin";
const API: &str = "api";

/// Both sockets, listening.
#[derive(Debug)]
pub struct Sockets {
    /// Where dockerd calls.
    pub plugin: Bound,
    /// Where `berth` asks.
    pub api: Bound,
}

/// A listening socket.
#[derive(Debug)]
pub struct Bound {
    /// What listens.
    pub listener: UnixListener,
    /// Its place in the file system.
    pub path: PathBuf,
    /// Who made it.
    pub origin: Origin,
}

/// Who made a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// systemd, which keeps it open while we are away.
    Systemd,
    /// We did.
    Agent,
}

/// Why a socket cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Somebody listens there.
    #[error("somebody listens at {} already; hint: stop the other berthd, or name another socket", path.display())]
    Taken {
        /// Where.
        path: PathBuf,
    },
    /// Something else is in the way.
    #[error("{} is there and is not a socket; hint: remove it, or name another socket", path.display())]
    NotASocket {
        /// Where.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot listen at {}", path.display())]
    Refused {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// What systemd passed is no listening unix socket.
    #[error(
        "the socket that systemd passed as `{name}` is not a listening unix socket; hint: see berthd.socket"
    )]
    Passed {
        /// Its name.
        name: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What systemd passed to this process.
pub struct Passed {
    sockets: ListenFd,
    names: Vec<String>,
}

impl Passed {
    /// Looks at the environment, once.
    pub fn from_environment() -> Self {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        Self { sockets: ListenFd::from_env(), names: names.split(':').map(str::to_owned).collect() }
    }

    /// Whether dockerd's calls wait in a socket that somebody else keeps open. Then they must be
    /// answered, even if only with a refusal.
    pub fn has_plugin(&self) -> bool {
        self.sockets.len() > 0 && self.names.iter().any(|name| name == PLUGIN)
    }

    fn take(&mut self, name: &'static str) -> Result<Option<StdListener>, SocketError> {
        match self.names.iter().position(|passed| passed == name) {
            Some(index) => {
                self.sockets.take_unix_listener(index).map_err(|source| SocketError::Passed { name, source })
            }
            None => Ok(None),
        }
    }
}

impl Sockets {
    /// Takes the sockets that were passed, and makes those that were not.
    pub fn take(mut passed: Passed, rim: &Rim) -> Result<Self, SocketError> {
        let plugin = match passed.take(PLUGIN)? {
            Some(listener) => Bound::passed(listener, &rim.docker.plugin_socket)?,
            None => Bound::make(&rim.docker.plugin_socket, None)?,
        };
        let api = match passed.take(API)? {
            Some(listener) => Bound::passed(listener, &rim.api.socket)?,
            None => Bound::make(&rim.api.socket, reading_group(&rim.api))?,
        };
        Ok(Self { plugin, api })
    }
}

impl Bound {
    fn passed(listener: StdListener, path: &Path) -> Result<Self, SocketError> {
        Self::of(listener, path, Origin::Systemd).map_err(refused(path))
    }

    /// Makes a socket that root may use, and the members of `group` if there is one. A socket file that
    /// an earlier agent left behind is replaced.
    fn make(path: &Path, group: Option<Gid>) -> Result<Self, SocketError> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(refused(path))?;
        }
        let listener = match StdListener::bind(path) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                remove_stale(path)?;
                StdListener::bind(path)
            }
            bound => bound,
        }
        .map_err(refused(path))?;
        let mode = if group.is_some() { 0o660 } else { 0o600 };
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(refused(path))?;
        if let Some(group) = group {
            chown(path, None, Some(group)).map_err(|error| refused(path)(error.into()))?;
        }
        Self::of(listener, path, Origin::Agent).map_err(refused(path))
    }

    fn of(listener: StdListener, path: &Path, origin: Origin) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener: UnixListener::from_std(listener)?, path: path.to_owned(), origin })
    }
}

/// Removes a socket file that nobody listens behind, and nothing else.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
    match UnixStream::connect(path) {
        Ok(_) => Err(SocketError::Taken { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            use std::os::unix::fs::FileTypeExt;
            let metadata = fs::symlink_metadata(path).map_err(refused(path))?;
            if !metadata.file_type().is_socket() {
                return Err(SocketError::NotASocket { path: path.to_owned() });
            }
            fs::remove_file(path).map_err(refused(path))
        }
        Err(error) => Err(refused(path)(error)),
    }
}

/// The group that may read, if there is one of that name.
pub fn reading_group(api: &ApiConfig) -> Option<Gid> {
    match Group::from_name(&api.group) {
        Ok(Some(group)) => Some(group.gid),
        Ok(None) => None,
        Err(error) => {
            tracing::warn!(group = api.group, %error, "cannot look the group up; only root may read the API");
            None
        }
    }
}

fn refused(path: &Path) -> impl Fn(io::Error) -> SocketError {
    let path = path.to_owned();
    move |source| SocketError::Refused { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_file_that_nobody_listens_behind_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("run/berth.sock");
        drop(Bound::make(&path, None).unwrap());
        let bound = Bound::make(&path, None).unwrap();
        assert_eq!(bound.origin, Origin::Agent);
        UnixStream::connect(&path).unwrap();
    }

    #[tokio::test]
    async fn a_socket_that_somebody_listens_at_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("berth.sock");
        let first = Bound::make(&path, None).unwrap();
        assert!(matches!(Bound::make(&path, None), Err(SocketError::Taken { .. })));
        UnixStream::connect(&path).unwrap();
        first.listener.accept().await.unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_not_a_socket_is_never_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("berth.sock");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(Bound::make(&path, None), Err(SocketError::NotASocket { .. })));
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    }

    #[tokio::test]
    async fn without_a_group_only_root_may_connect() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("berth.sock");
        let _bound = Bound::make(&path, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
