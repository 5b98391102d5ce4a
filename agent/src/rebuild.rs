//! `berthd --rebuild`: makes a lost or damaged journal anew from the store, Docker and the kernel.
//!
//! Running containers feel nothing of it: the kernel is only looked at, and the next `berthd` finds its
//! network as its new journals want it. What nobody accounts for is not guessed at: a host that lost its
//! memory evicts itself, so that all it held goes to quarantine, and claims back from there what living
//! containers use.
//!
//! It may be cut short and run again at any point: the old journals stay where they are until both new
//! ones are whole, so a `berthd` started in between refuses as before.

mod claims;
mod error;
mod files;
mod living;
mod pages;
mod report;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use hostnet::{Kernel, Netlink, Observed};
use ipam::{Epoch, Subnet};
use store::Store;
use store::layout::{self, Under};

use crate::allocator::{self, Line};
use crate::amnesia::lost_its_end;
use crate::clock::{Clock, SystemClock};
use crate::cloud::Cloud;
use crate::config::Config;
use crate::docker::events::{self, Sight};
use crate::docker::{Pages, Record};
use crate::identity::{self, IdentityError, Known};
use crate::metrics::Metrics;
use crate::shared;
use crate::troubles::{Troubles, with_causes};

use claims::Claims;
pub use error::RebuildError;
use files::{Found, Kept};
use living::Living;
pub use report::Report;

/// Looks, claims what living containers use, and puts new journals in the place of those that are lost,
/// damaged, or differ from what Docker shows. berthd must not be running.
pub async fn rebuild(config: &Config) -> Result<Report, RebuildError> {
    let host = &config.rim.host;
    let boot = identity::boot(&host.boot_id_file)?;
    let book = Found::<Record>::at(&host.docker_journal())?;
    let before = Pages::read(&book.records);
    let mut memory = Found::<Line>::at(&host.allocator_journal())?;
    if memory.is_whole() && lost_its_end(&allocator::records(&memory.records), &before) {
        memory.disbelieve(format!("the journal {} has lost its end", memory.path().display()));
    }
    let store = shared::open(config).await?;
    let (sight, observed) = (docker(config).await?, kernel().await?);
    let subnets = subnets(&*store).await?;

    let living = Living::find(&sight, &observed, &subnets, &before);
    let mut report = Report::new(&book, &memory, &living);
    let assigned = allocator::assigned_in(&allocator::records(&memory.records), &boot);
    let stamp = SystemClock.wall().strftime("%Y%m%dT%H%M%SZ").to_string();
    let (claims, memory) =
        if memory.is_whole() && living.uses.iter().all(|it| assigned.contains_key(&it.address)) {
            (Claims::of(&living, &assigned), None)
        } else {
            let identity = known(config).await?.host(boot);
            let parts = claims::Parts { identity, store, subnets: &subnets, living: &living };
            let (claims, new) = claims::claim(parts, memory).await?;
            (claims, Some(new))
        };

    let after = pages::pages(&living, &claims.epochs, &before, &assigned, &observed);
    // The book first: with a damaged memory beside it berthd still refuses.
    let kept_book = match book.is_whole() && after == before {
        true => Kept::InPlace,
        false => book.replace_by(&after.records(), &stamp)?,
    };
    let kept_memory = memory.map_or(Ok(Kept::InPlace), |new| new.put_in_place(&stamp))?;
    report.done(&after, &living, &claims, kept_book, kept_memory);
    Ok(report)
}

/// What Docker shows now. It may not be guessed at either.
async fn docker(config: &Config) -> Result<Sight, RebuildError> {
    let socket = &config.rim.docker.api_socket;
    let sight = events::look_once(socket, SystemClock.now()).await;
    sight.map_err(|source| RebuildError::Docker { socket: socket.clone(), source })
}

async fn kernel() -> Result<Observed, RebuildError> {
    let kernel = Netlink::open().map_err(RebuildError::Kernel)?;
    Ok(kernel.observe().await?)
}

async fn subnets(store: &dyn Store) -> Result<Vec<Subnet>, RebuildError> {
    let stored = store.range(&Under::Subnets.prefix()).await?;
    Ok(stored
        .entries
        .iter()
        .map(|entry| layout::decode(&entry.key, &entry.value))
        .collect::<Result<_, _>>()?)
}

/// Who this machine is: the provider's word, or the last one it gave.
async fn known(config: &Config) -> Result<Known, RebuildError> {
    let Config { provider, cluster, rim, .. } = config;
    let state_dir = &rim.host.state_dir;
    let troubles = Troubles::new(Arc::new(SystemClock));
    let reason = match Cloud::open(provider, cluster, state_dir, Metrics::default(), troubles) {
        Ok(cloud) => match identity::ask(&cloud, state_dir).await {
            Ok(known) => return Ok(known),
            Err(copied @ IdentityError::Copied { .. }) => return Err(copied.into()),
            Err(error) => with_causes(&error),
        },
        Err(error) => with_causes(&error),
    };
    identity::remembered_here(state_dir)?.ok_or(RebuildError::WhoAmI { reason })
}

/// Addresses with the epochs under which they are assigned.
type Epochs = BTreeMap<IpAddr, Epoch>;

#[cfg(test)]
mod tests;
