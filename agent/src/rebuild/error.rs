//! Why journals could not be made anew. Nothing was replaced then.

use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use ipam::NotReady;
use store::StoreError;
use store::layout::ValueError;

use crate::allocator::AllocateError;
use crate::identity::{BootError, IdentityError};
use crate::journal::JournalError;

/// Why journals could not be made anew. All is as before, and it may be tried again.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The boot cannot be told from another.
    #[error(transparent)]
    Boot(#[from] BootError),
    /// A journal cannot be read or written at all, or berthd has it open.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The store cannot be opened or read.
    #[error("cannot read the store; hint: is berthd still running? Stop it first")]
    Store(#[from] StoreError),
    /// The store has something that cannot be understood.
    #[error("cannot understand the store")]
    Value(#[from] ValueError),
    /// Docker does not answer, and only it knows which containers live.
    #[error("Docker does not answer at {}; hint: start it, then try again", socket.display())]
    Docker {
        /// Where it was asked.
        socket: PathBuf,
        /// What it said.
        #[source]
        source: bollard::errors::Error,
    },
    /// The kernel cannot be asked.
    #[error("cannot open a netlink socket; hint: run this as root")]
    Kernel(#[source] io::Error),
    /// The kernel did not answer.
    #[error("cannot look at the kernel's network")]
    Observe(#[from] hostnet::ObserveError),
    /// Neither the provider nor the state directory says who this machine is.
    #[error("it is not known who this machine is: {reason}; hint: try again when the provider answers")]
    WhoAmI {
        /// What the provider said.
        reason: String,
    },
    /// What is there is another host's.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// This host may not act in the cluster.
    #[error("this host cannot say which addresses are its own: {0}")]
    NotReady(NotReady),
    /// The store did not confirm in time what this host holds.
    #[error("the store did not confirm in {secs} s what this host holds; hint: try again")]
    Slow {
        /// How long it was waited for.
        secs: u64,
    },
    /// The allocator ended.
    #[error(transparent)]
    Allocator(Box<AllocateError>),
    /// Nobody could say whether a living container may keep its address.
    #[error("cannot claim {address}, which container {container} uses; hint: try again")]
    Claim {
        /// The address.
        address: IpAddr,
        /// The container's name.
        container: String,
        /// Why not.
        #[source]
        source: Box<AllocateError>,
    },
    /// A file could not be set aside or put in its place.
    #[error("cannot put the new journal {} in place", path.display())]
    File {
        /// The journal.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}
