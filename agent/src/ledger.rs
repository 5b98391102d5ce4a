//! The ledger of this host: writes who had which address when, keeps it, and finds in it.
//!
//! What to write comes from the allocator's journal and stays there until the store has it: nobody waits
//! for anything here, and nothing is lost when it is cut off. How the ledger lies in the store and on
//! disks is told in `docs/decisions/0008-ledger.md`.

mod ask;
mod keep;
mod limit;
mod look;
mod lost;
mod names;
mod record;
mod seal;
mod spill;
mod tell;
mod write;

#[cfg(test)]
mod tests;

pub use look::{Found, Unseen};

use crate::allocator::{AllocateError, Allocator};
use crate::clock::Clock;
use crate::docker::events::Watched;
use crate::troubles::with_causes;
use ::ledger::{Interval, Moment, SegmentError, Shelf, ShelfError};
use ipam::{BlockId, HostId, Incarnation, Timestamp, View};
use record::Mine;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use store::layout::ValueError;
use store::{Store, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Changes come in bursts: one batch writes them all.
const BURST: Duration = Duration::from_millis(500);

/// How often segments are sealed, copied and taken away.
const DUTY_EVERY: Duration = Duration::from_secs(10);

/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much is kept, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long closed intervals stay in the store.
    pub window: Duration,
    /// Bytes that this host may have in the store.
    pub store_bytes_max: u64,
    /// How long segments stay on this host's disk.
    pub keep: Duration,
    /// Bytes that segments may have on this host's disk.
    pub disk_bytes_max: u64,
}

/// What a ledger is made of.
pub struct Parts {
    /// Where shared state lives.
    pub store: Arc<dyn Store>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Who this host is.
    pub host: HostId,
    /// The segments on this host's disk.
    pub shelf: Shelf,
    /// How much is kept.
    pub limits: Limits,
}

/// Answers from the ledger. Clones ask the same one.
#[derive(Clone)]
pub struct Ledger(Arc<Inner>);

struct Inner {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    host: HostId,
    shelf: Mutex<Shelf>,
    limits: Limits,
    report: watch::Sender<Report>,
    /// The turn to ask other hosts.
    asking: tokio::sync::Mutex<()>,
}

/// How the ledger does, for `berth doctor`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Why the last batch was not written.
    pub trouble: Option<String>,
    /// Intervals that ended and are in this host's journal alone.
    pub waiting: usize,
    /// Segments that are on this host's disk and that the store does not know of yet.
    pub spilled: usize,
    /// Bytes that this host has in the store.
    pub store_bytes: u64,
    /// Bytes of the segments on this host's disk.
    pub disk_bytes: u64,
    /// How many segments those are.
    pub segments: usize,
    /// How many intervals they have.
    pub intervals: u64,
    /// Sealed segments of this host that no second host keeps, beyond the window.
    pub alone: usize,
    /// Whether there is no other host that could.
    pub only_host: bool,
}

/// The ledger could not do its part. It tries again.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The store did not do what it was asked.
    #[error("cannot write or read the ledger in the store")]
    Store(#[from] StoreError),
    /// The store took too long.
    #[error("the store does not answer")]
    Late,
    /// A value of the ledger cannot be read or written.
    #[error("a value of the ledger cannot be understood")]
    Value(#[from] ValueError),
    /// A segment.
    #[error("a segment of the ledger cannot be understood")]
    Segment(#[from] SegmentError),
    /// The shelf.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// The journal's keeper does not answer.
    #[error(transparent)]
    Allocator(#[from] AllocateError),
    /// Somebody else wrote in between, or nobody knows whether we did.
    #[error("the ledger was not written this time")]
    Again,
}

impl Ledger {
    /// How it does.
    pub fn report(&self) -> Report {
        self.0.report.borrow().clone()
    }

    /// How much is kept.
    pub fn limits(&self) -> &Limits {
        &self.0.limits
    }

    fn now(&self) -> Moment {
        Moment(u64::try_from(self.0.clock.wall().as_millisecond()).unwrap_or(0))
    }

    /// Does something with the shelf, on a thread that may wait for the disk.
    async fn with_shelf<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Shelf) -> Result<T, ShelfError> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let inner = Arc::clone(&self.0);
        let done = tokio::task::spawn_blocking(move || {
            // A shelf is consistent between any two of its steps.
            work(&mut inner.shelf.lock().unwrap_or_else(PoisonError::into_inner))
        });
        Ok(done.await.map_err(|_| LedgerError::Again)??)
    }
}

/// The ledger, and who does its work.
pub fn new(parts: Parts) -> (Ledger, Keeper) {
    let Parts { store, clock, host, shelf, limits } = parts;
    let report = watch::Sender::new(Report::default());
    let (shelf, asking) = (Mutex::new(shelf), tokio::sync::Mutex::default());
    let ledger = Ledger(Arc::new(Inner { store, clock, host, shelf, limits, report, asking }));
    let keeper = Keeper {
        ledger: ledger.clone(),
        mine: None,
        parts: BTreeMap::new(),
        published: BTreeMap::new(),
        looked: false,
        spilled: BTreeSet::new(),
        compared: false,
        lost: BTreeMap::new(),
        lives: BTreeMap::new(),
        is_only: true,
    };
    (ledger, keeper)
}

/// Does the ledger's work on this host, one step after the other.
pub struct Keeper {
    ledger: Ledger,
    /// What this host has in the store, once that was looked up.
    mine: Option<BTreeMap<(BlockId, u64), Mine>>,
    /// The segment in the making of each block, by when it was begun.
    parts: BTreeMap<BlockId, u64>,
    /// What was last written as running.
    published: BTreeMap<BlockId, Vec<Interval>>,
    /// Whether every block was looked at for what an earlier life of this host left as running.
    looked: bool,
    /// Segments on this host's disk that the store does not know of.
    spilled: BTreeSet<(BlockId, u64)>,
    /// Whether the disk was compared with the index since this process began.
    compared: bool,
    /// What each lost host had in quarantine of a block when that was last seen to, and when to look again.
    lost: BTreeMap<(BlockId, HostId), (BTreeSet<IpAddr>, Timestamp)>,
    /// Up to which life of each host what it left as running was looked for.
    lives: BTreeMap<HostId, Incarnation>,
    /// Whether no other host is known. Hosts are never forgotten, so this changes once.
    is_only: bool,
}

impl Keeper {
    /// Writes and keeps until `stop`, and then once more what is left.
    pub async fn run(
        mut self,
        allocator: Allocator,
        docker: watch::Receiver<Watched>,
        stop: CancellationToken,
    ) {
        let naming = names::follow(docker, allocator.clone());
        let answering = self.ledger.clone().answer_others();
        let working = self.work(&allocator);
        tokio::select! {
            () = stop.cancelled() => {}
            () = naming => {}
            () = answering => {}
            () = working => {}
        }
        // What is not written now is in the journal.
        let _ = tokio::time::timeout(PATIENCE, self.batch(&allocator)).await;
    }

    async fn work(&mut self, allocator: &Allocator) {
        let mut changes = allocator.changes();
        let mut duty = tokio::time::interval(DUTY_EVERY);
        duty.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                changed = changes.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    tokio::time::sleep(BURST).await;
                    self.soon(allocator).await
                }
                _ = duty.tick() => self.duty(allocator).await,
            };
            self.tell(done);
        }
    }

    /// Says once that something does not work, and once that it works again.
    fn tell(&mut self, done: Result<(), LedgerError>) {
        let trouble = match done {
            // The next look shows what became of it.
            Ok(()) | Err(LedgerError::Again) => None,
            Err(error) => Some(with_causes(&error)),
        };
        self.ledger.0.report.send_modify(|report| {
            if let Some(trouble) = trouble.as_ref().filter(|_| report.trouble.is_none()) {
                tracing::warn!(trouble, "the ledger is not written; it stays in the journal meanwhile");
            }
            report.trouble = trouble;
        });
    }

    /// What a change calls for.
    async fn soon(&mut self, allocator: &Allocator) -> Result<(), LedgerError> {
        self.batch(allocator).await?;
        // A short quarantine must not be over before it was seen.
        if allocator.evicted().await?.in_quarantine {
            self.close_lost(&allocator.view().await?).await?;
        }
        Ok(())
    }

    /// Writes what the journal has for the ledger; to the disk, where the store does not take it and it is much.
    async fn batch(&mut self, allocator: &Allocator) -> Result<(), LedgerError> {
        let entries = allocator.intervals().await?;
        let (written, done) = match self.look_once(allocator).await {
            Ok(()) => self.write(entries).await,
            Err(error) => (Vec::new(), Err(error)),
        };
        if !written.is_empty() {
            allocator.written(written).await?;
        }
        if done.is_err() {
            let spilled = self.spill(&allocator.intervals().await?).await?;
            if !spilled.is_empty() {
                allocator.written(spilled).await?;
            }
        }
        done
    }

    /// Everything that has time.
    async fn duty(&mut self, allocator: &Allocator) -> Result<(), LedgerError> {
        let evicted = allocator.evicted().await?;
        self.batch(allocator).await?;
        if self.concerns(&evicted) {
            let view = allocator.view().await?;
            self.close_lost(&view).await?;
            self.close_what_evicted_hosts_left(&view).await?;
        }
        self.keep_house().await
    }

    /// Seals, copies, and keeps the limits. The fleet is looked at only where something depends on it: it may have
    /// thousands of hosts.
    async fn keep_house(&mut self) -> Result<(), LedgerError> {
        self.hand_over().await?;
        self.seal().await?;
        self.keep_copies().await?;
        self.ask_for_copies().await?;
        self.keep_limits().await
    }

    /// What an earlier life of this host left as running is looked for in every block, once.
    async fn look_once(&mut self, allocator: &Allocator) -> Result<(), LedgerError> {
        if !self.looked {
            let view: View = allocator.view().await?;
            let blocks: Vec<BlockId> =
                view.subnets.iter().flat_map(|subnet| &subnet.blocks).map(|block| block.id).collect();
            // Before the store was read there are none to look at.
            self.looked = !blocks.is_empty();
            self.look_for_remains(blocks).await?;
        }
        Ok(())
    }
}

/// The store's answer, unless it takes too long.
async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, LedgerError> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answered) => Ok(answered?),
        Err(_) => Err(LedgerError::Late),
    }
}
