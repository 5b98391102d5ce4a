//! Gets for living containers the addresses that they use, under epochs that this host knows.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ipam::{AddressState, Assignment, HostId, Identity, NotReady, PoolName, Refusal, Subnet, View, Wish};
use ipnetwork::IpNetwork;
use store::Store;
use tokio_util::sync::CancellationToken;

use super::files::{Found, New};
use super::living::{Living, Use};
use super::{Epochs, RebuildError};
use crate::allocator::{self, AllocateError, Allocator, Line};
use crate::clock::SystemClock;

/// How long the store may take to confirm what this host holds. The embedded one takes milliseconds.
const SETTLING: Duration = Duration::from_secs(30);

/// What claiming takes.
pub(super) struct Parts<'a> {
    pub(super) identity: Identity,
    pub(super) store: Arc<dyn Store>,
    /// All that the store knows.
    pub(super) subnets: &'a [Subnet],
    pub(super) living: &'a Living,
}

/// Which uses are assignments of this host now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Claims {
    /// Under which epochs.
    pub(super) epochs: Epochs,
    /// Whose containers lose their address, and why.
    pub(super) lost: Vec<String>,
    /// How many addresses of this host are in quarantine now.
    pub(super) quarantined: usize,
}

impl Claims {
    /// Nothing need be claimed: all is assigned already.
    pub(super) fn of(living: &Living, assigned: &Epochs) -> Claims {
        let epoch = |it: &Use| Some((it.address, *assigned.get(&it.address)?));
        Claims { epochs: living.uses.iter().filter_map(epoch).collect(), ..Claims::default() }
    }
}

/// Lets the allocator register this boot, put what this host held into quarantine if its journal does not
/// know of it, and claim from there what is used. Its journal does not have its place yet.
pub(super) async fn claim(parts: Parts<'_>, memory: Found<Line>) -> Result<(Claims, New), RebuildError> {
    let (journal, records, new) = memory.go_on()?;
    let Parts { identity, store, subnets, living } = parts;
    let (host, stop) = (identity.host.clone(), CancellationToken::new());
    let in_reach = subnets.iter().filter(|subnet| identity.zones.contains(&subnet.zone));
    let in_reach: BTreeSet<IpNetwork> = in_reach.map(|subnet| subnet.cidr).collect();
    let clock = Arc::new(SystemClock);
    let parts = allocator::Parts { identity, store, journal, records, clock };
    let allocator = allocator::start(parts, stop.clone());
    let claims = match settled(&allocator, &in_reach).await {
        Ok(()) => claim_all(&allocator, &host, living).await,
        Err(error) => Err(error),
    };
    stop.cancel();
    allocator.ended().await;
    Ok((claims?, new))
}

async fn claim_all(allocator: &Allocator, host: &HostId, living: &Living) -> Result<Claims, RebuildError> {
    let assigned = allocator.assigned().await.map_err(stopped)?;
    let mut claims = Claims::of(living, &assigned);
    for used in living.uses.iter().filter(|it| !assigned.contains_key(&it.address)) {
        match claim_one(allocator, host, used).await {
            Ok(assignment) => drop(claims.epochs.insert(used.address, assignment.epoch)),
            Err(Lost::Taken(refusal)) => {
                claims.lost.push(format!("{} loses {}: {refusal}", used.user, used.address));
            }
            Err(Lost::Unknown(source)) => {
                let (address, container) = (used.address, used.user.clone());
                return Err(RebuildError::Claim { address, container, source: Box::new(source) });
            }
        }
    }
    let view = allocator.view().await.map_err(stopped)?;
    let ours = |state: &AddressState| matches!(state, AddressState::Quarantined { was: Some(was), .. } if was == host);
    claims.quarantined = states(&view).filter(|state| ours(state)).count();
    Ok(claims)
}

/// Why a container cannot keep its address, or why that is not known.
enum Lost {
    Taken(Refusal),
    Unknown(AllocateError),
}

async fn claim_one(allocator: &Allocator, host: &HostId, used: &Use) -> Result<Assignment, Lost> {
    let (address, endpoint) = (used.address, used.endpoint.clone());
    let error = match allocator.claim(address, endpoint.clone()).await {
        Ok(assignment) => return Ok(assignment),
        Err(error) => error,
    };
    match verdict(error, host) {
        Verdict::NobodyHasIt => {
            let pool: &PoolName = &used.subnet.pool;
            allocator.assign(pool, Wish::Exact(address)).await.map_err(Lost::Unknown)?;
            allocator.bind(address, endpoint).await.map_err(Lost::Unknown)
        }
        Verdict::Taken(refusal) => Err(Lost::Taken(refusal)),
        Verdict::Unknown(error) => Err(Lost::Unknown(error)),
    }
}

/// What a refused claim means.
#[derive(Debug)]
enum Verdict {
    /// Then it may be had as any other.
    NobodyHasIt,
    /// Somebody else may use it: the container must not.
    Taken(Refusal),
    /// Not decided: nothing may be given up for it.
    Unknown(AllocateError),
}

fn verdict(error: AllocateError, host: &HostId) -> Verdict {
    let AllocateError::Refused(Refusal::InTheWay { address, state }) = error else {
        return Verdict::Unknown(error);
    };
    let refusal = |state| Refusal::InTheWay { address, state };
    match state {
        AddressState::Free | AddressState::FreeHere => Verdict::NobodyHasIt,
        AddressState::Quarantined { ref was, .. } if was.as_ref().is_none_or(|was| was == host) => {
            Verdict::Unknown(refusal(state).into())
        }
        AddressState::Held(_)
        | AddressState::Assigned { .. }
        | AddressState::Cooling { .. }
        | AddressState::Leaving { .. }
        | AddressState::SetAside(_)
        | AddressState::Quarantined { .. }
        | AddressState::Reserved(_) => Verdict::Taken(refusal(state)),
        AddressState::NotRetaken | AddressState::Outside => Verdict::Unknown(refusal(state).into()),
    }
}

/// Waits until this boot is registered, the blocks of these subnets are seen, and nothing of an earlier
/// life is held any more.
async fn settled(allocator: &Allocator, in_reach: &BTreeSet<IpNetwork>) -> Result<(), RebuildError> {
    let mut changes = allocator.changes();
    let wait = async {
        loop {
            changes.mark_unchanged();
            let view = allocator.view().await.map_err(stopped)?;
            match &view.not_ready {
                Some(not_ready) if !not_ready.passes() => {
                    return Err(RebuildError::NotReady(NotReady::clone(not_ready)));
                }
                None if seen(&view) == *in_reach
                    && states(&view).all(|state| *state != AddressState::NotRetaken) =>
                {
                    return Ok(());
                }
                _ => {}
            }
            if changes.changed().await.is_err() {
                return Err(stopped(AllocateError::Stopped));
            }
        }
    };
    let slow = RebuildError::Slow { secs: SETTLING.as_secs() };
    tokio::time::timeout(SETTLING, wait).await.unwrap_or(Err(slow))
}

fn stopped(error: AllocateError) -> RebuildError {
    RebuildError::Allocator(Box::new(error))
}

/// The subnets whose blocks have been seen.
fn seen(view: &View) -> BTreeSet<IpNetwork> {
    view.subnets.iter().filter(|it| !it.blocks.is_empty()).map(|it| it.subnet.cidr).collect()
}

fn states(view: &View) -> impl Iterator<Item = &AddressState> {
    let blocks = view.subnets.iter().flat_map(|subnet| &subnet.blocks);
    blocks.flat_map(|block| &block.addresses).map(|address| &address.state)
}
