//! The seam to the kernel: look, and make one change.

use std::io;

use crate::{Change, HostNet, Observed, Obstacle, obstacles, plan};

/// A kernel's network, or something that behaves like one.
///
/// What one `apply` did, the next `observe` shows; a change made twice succeeds twice.
pub trait Kernel: Send + Sync {
    /// Looks at everything that carries our mark, and at what a plan has to know of the rest.
    fn observe(&self) -> impl Future<Output = Result<Observed, ObserveError>> + Send;

    /// Makes one change.
    fn apply(&self, change: &Change) -> impl Future<Output = Result<(), ApplyError>> + Send;
}

/// Why a look failed. Nothing is known then, so nothing is changed.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The kernel did not answer a netlink request, or answered an error.
    #[error("could not look at the kernel's {what}")]
    Kernel {
        /// Links, routes, …
        what: &'static str,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// nft is missing or failed.
    #[error("could not list the nftables table `inet berth`; is nftables installed, and are we root?")]
    Firewall(#[source] io::Error),
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The kernel refused it.
    #[error("could not {change}")]
    Refused {
        /// What we were doing, in the plan's words.
        change: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A thing of somebody else is where ours should be.
    #[error("could not {change}: {what} is there already and was not made by Berth; remove or rename it")]
    InTheWay {
        /// What we were doing, in the plan's words.
        change: String,
        /// The other's.
        what: String,
    },
    /// The link that the change is about is not there.
    #[error("could not {change}: there is no link {link}")]
    NoLink {
        /// What we were doing, in the plan's words.
        change: String,
        /// The missing one.
        link: crate::IfName,
    },
}

/// What [`bring_to`] did.
#[derive(Debug, Default)]
pub struct Brought {
    /// The changes made, in order.
    pub made: Vec<Change>,
    /// The changes that failed. The next call plans them again.
    pub failed: Vec<ApplyError>,
    /// What no plan can change.
    pub obstacles: Vec<Obstacle>,
}

impl Brought {
    /// Is everything as wanted?
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.obstacles.is_empty()
    }
}

/// Looks, plans and does. A failed change does not stop the others.
pub async fn bring_to(kernel: &impl Kernel, wanted: &HostNet) -> Result<Brought, ObserveError> {
    let observed = kernel.observe().await?;
    let mut brought = Brought { obstacles: obstacles(wanted, &observed), ..Brought::default() };
    for change in plan(wanted, &observed) {
        match kernel.apply(&change).await {
            Ok(()) => {
                tracing::info!(%change, "changed the host's network");
                brought.made.push(change);
            }
            Err(error) => brought.failed.push(error),
        }
    }
    Ok(brought)
}
