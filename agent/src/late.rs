//! The allocator as soon as there is one: dockerd is answered from the first moment, and waits a little,
//! or is told why nothing can be assigned.

use crate::allocator::{AllocateError, Allocator};
use crate::docker::addresses::{AddressError, Addresses, InUse};
use ipam::{Assignment, EndpointId, Epoch, PoolName, Released, Subnet, Wish};
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
    patience: Duration,
}

impl LateAllocator {
    /// A handle, and the end that tells it how far the allocator is.
    pub fn new(progress: Progress) -> (watch::Sender<Progress>, Self) {
        let (sender, progress) = watch::channel(progress);
        (sender, Self { progress, patience: PATIENCE })
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

    /// The allocator, for those who come again by themselves.
    fn at_once(&self) -> Result<Allocator, AddressError> {
        settled(self.progress())
    }

    async fn wait(&self) -> Result<Allocator, AddressError> {
        let mut progress = self.progress.clone();
        let no_longer_waiting = progress.wait_for(|progress| !matches!(progress, Progress::Waiting(_)));
        let progress = match tokio::time::timeout(self.patience, no_longer_waiting).await {
            Ok(Ok(progress)) => progress.clone(),
            // Whoever would have built it is gone: the agent is stopping.
            Ok(Err(_)) => return Err(AllocateError::Stopped.into()),
            Err(_) => self.progress(),
        };
        settled(progress)
    }
}

fn settled(progress: Progress) -> Result<Allocator, AddressError> {
    match progress {
        Progress::Ready(allocator) => Ok(allocator),
        Progress::Waiting(reason) => Err(AddressError::NotYet { reason }),
        Progress::Never(reason) => Err(AddressError::OutOfOrder { reason }),
    }
}

impl Addresses for LateAllocator {
    async fn assign(&self, pool: &PoolName, wish: Wish) -> Result<Assignment, AddressError> {
        Addresses::assign(&self.wait().await?, pool, wish).await
    }

    async fn reserved_as(&self, name: &str) -> Result<Option<IpAddr>, AddressError> {
        Addresses::reserved_as(&self.wait().await?, name).await
    }

    async fn bind(&self, address: IpAddr, endpoint: EndpointId) -> Result<Assignment, AddressError> {
        Addresses::bind(&self.wait().await?, address, endpoint).await
    }

    async fn endpoint_gone(&self, endpoint: EndpointId) -> Result<(), AddressError> {
        Addresses::endpoint_gone(&self.wait().await?, endpoint).await
    }

    async fn release(&self, address: IpAddr) -> Result<Released, AddressError> {
        Addresses::release(&self.wait().await?, address).await
    }

    async fn reap(&self, address: IpAddr, epoch: Epoch) -> Result<(), AddressError> {
        Addresses::reap(&self.wait().await?, address, epoch).await
    }

    async fn subnets(&self) -> Result<Vec<Subnet>, AddressError> {
        Addresses::subnets(&self.wait().await?).await
    }

    async fn in_use(&self) -> Result<InUse, AddressError> {
        Addresses::in_use(&self.at_once()?).await
    }

    async fn silenced(&self, address: IpAddr) -> Result<(), AddressError> {
        Addresses::silenced(&self.at_once()?, address).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_call_waits_for_the_allocator_and_is_then_told_what_is_missing() {
        let reason = "the provider has not said who this machine is".to_owned();
        let (_progress, mut late) = LateAllocator::new(Progress::Waiting(reason));
        late.patience = Duration::from_millis(1);
        let refused = late.subnets().await.unwrap_err().to_string();
        assert!(refused.starts_with("berthd is starting: the provider has not said"), "{refused}");
    }

    #[tokio::test]
    async fn where_there_will_be_no_allocator_a_call_is_refused_at_once() {
        let (_progress, late) = LateAllocator::new(Progress::Never("line 3: no".into()));
        assert!(matches!(late.subnets().await, Err(AddressError::OutOfOrder { .. })));
    }

    #[tokio::test]
    async fn a_look_does_not_wait_for_the_allocator() {
        let (_progress, late) = LateAllocator::new(Progress::Waiting("a while".into()));
        assert!(matches!(late.in_use().await, Err(AddressError::NotYet { .. })));
    }
}
