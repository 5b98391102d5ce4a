//! The allocator as soon as there is one: dockerd is answered from the first moment, and waits a little,
//! or is told why nothing can be assigned.

use crate::allocator::{AllocateError, Allocator};
use crate::docker::addresses::{AddressError, Addresses, Assigned};
use ipam::{AddressState, Assignment, EndpointId, Epoch, PoolName, Released, Subnet, Usage, Wish};
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::watch;

/// How long a call waits for an allocator that is being built: Docker's own patience is 15 s.
const PATIENCE: Duration = Duration::from_secs(8);

/// How far the allocator is.
#[derive(Clone)]
pub enum Progress {
    /// It is being built; what is waited for.
    Waiting(String),
    /// There will be none in this process; why.
    Never(String),
    /// Here it is.
    Ready(Allocator),
}

/// A handle on an allocator that may not be there yet.
#[derive(Clone)]
pub struct LateAllocator {
    progress: watch::Receiver<Progress>,
}

impl LateAllocator {
    /// A handle, and the end that tells it how far the allocator is.
    pub fn new(progress: Progress) -> (watch::Sender<Progress>, Self) {
        let (sender, progress) = watch::channel(progress);
        (sender, Self { progress })
    }

    /// The allocator, if it is there already.
    pub fn now(&self) -> Option<Allocator> {
        match &*self.progress.borrow() {
            Progress::Ready(allocator) => Some(allocator.clone()),
            Progress::Waiting(_) | Progress::Never(_) => None,
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress.borrow().clone()
    }

    async fn wait(&self) -> Result<Allocator, AddressError> {
        let mut progress = self.progress.clone();
        let settled = progress.wait_for(|progress| !matches!(progress, Progress::Waiting(_)));
        let progress = match tokio::time::timeout(PATIENCE, settled).await {
            Ok(Ok(progress)) => progress.clone(),
            // Whoever would have built it is gone: the agent is stopping.
            Ok(Err(_)) => return Err(AddressError::Stopping),
            Err(_) => self.progress(),
        };
        match progress {
            Progress::Ready(allocator) => Ok(allocator),
            Progress::Waiting(reason) => Err(AddressError::NotYet { reason }),
            Progress::Never(reason) => Err(AddressError::OutOfOrder { reason }),
        }
    }
}

impl Addresses for LateAllocator {
    async fn assign(&self, pool: &PoolName, wish: Wish) -> Result<Assignment, AddressError> {
        Ok(self.wait().await?.assign(pool, wish).await?)
    }

    async fn bind(&self, address: IpAddr, endpoint: EndpointId) -> Result<Assignment, AddressError> {
        Ok(self.wait().await?.bind(address, endpoint).await?)
    }

    async fn endpoint_gone(&self, endpoint: EndpointId) -> Result<(), AddressError> {
        self.wait().await?.endpoint_gone(endpoint).await?;
        Ok(())
    }

    async fn release(&self, address: IpAddr) -> Result<Released, AddressError> {
        Ok(self.wait().await?.release(address).await?)
    }

    async fn reap(&self, address: IpAddr, epoch: Epoch) -> Result<(), AddressError> {
        self.wait().await?.reap(address, epoch).await?;
        Ok(())
    }

    async fn subnets(&self) -> Result<Vec<Subnet>, AddressError> {
        let view = self.wait().await?.view().await?;
        Ok(view.subnets.into_iter().map(|subnet| subnet.subnet).collect())
    }

    async fn assigned(&self) -> Result<Vec<Assigned>, AddressError> {
        let view = self.wait().await?.view().await?;
        let addresses = view.subnets.iter().flat_map(|subnet| &subnet.blocks).flat_map(|block| &block.addresses);
        Ok(addresses.filter_map(assigned).collect())
    }
}

fn assigned(view: &ipam::AddressView) -> Option<Assigned> {
    let AddressState::Assigned { epoch, usage } = &view.state else { return None };
    let endpoint = match usage {
        Usage::Unbound => None,
        Usage::Bound(endpoint) | Usage::Gone(endpoint) => Some(endpoint.clone()),
    };
    Some(Assigned { address: view.address, epoch: *epoch, endpoint })
}

impl From<AllocateError> for AddressError {
    fn from(error: AllocateError) -> Self {
        match error {
            AllocateError::Refused(refusal) => Self::Refused(refusal),
            AllocateError::Stopped => Self::Stopping,
            other => Self::NotYet { reason: crate::troubles::with_causes(&other) },
        }
    }
}
