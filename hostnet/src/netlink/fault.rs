//! Why a change failed, before it is known which change it was.

use std::io;

use nix::errno::Errno;

use crate::{ApplyError, Change, IfName};

pub(super) enum Fault {
    /// The kernel's word.
    Kernel(io::Error),
    /// Somebody else's thing is in the way.
    InTheWay(String),
    /// There is no such link.
    NoLink(IfName),
}

impl Fault {
    pub(super) fn during(self, change: &Change) -> ApplyError {
        let change = change.to_string();
        match self {
            Self::Kernel(source) => ApplyError::Refused { change, source },
            Self::InTheWay(what) => ApplyError::InTheWay { change, what },
            Self::NoLink(link) => ApplyError::NoLink { change, link },
        }
    }
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Kernel(error)
    }
}

impl From<rtnetlink::Error> for Fault {
    fn from(error: rtnetlink::Error) -> Self {
        Self::Kernel(io_error(error))
    }
}

/// The kernel's errno where it gave one.
pub(super) fn io_error(error: rtnetlink::Error) -> io::Error {
    match error {
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other),
    }
}

/// For additions: was there something already? Whether it is what was wanted, the caller looks.
pub(super) fn existed(result: Result<(), rtnetlink::Error>) -> Result<bool, Fault> {
    match result.map_err(io_error) {
        Ok(()) => Ok(false),
        Err(error) if error.raw_os_error() == Some(Errno::EEXIST as i32) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// For removals: gone already is as good as removed.
pub(super) fn gone(result: Result<(), rtnetlink::Error>) -> Result<(), Fault> {
    match result.map_err(io_error) {
        Ok(()) => Ok(()),
        Err(error) => match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENODEV | Errno::ENOENT | Errno::ESRCH | Errno::EADDRNOTAVAIL) => Ok(()),
            _ => Err(error.into()),
        },
    }
}
