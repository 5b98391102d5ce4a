//! The shell around [`ipam::Host`]: executes its effects, returns their outcomes, decides nothing.
//!
//! One task owns the host and its journal; [`Allocator`] is the handle through which everybody else asks.
//! What is answered is in the journal already.

mod error;
mod follow;
mod founding;
mod line;
mod merged;
mod newest;
mod task;
pub(crate) mod words;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipam::{
    Answer, Assignment, Capacity, EndpointId, Epoch, EvictedView, Explanation, Identity, Input, PoolName,
    Refusal, Released, RequestId, Reservation, ReservationName, View, Wish,
};
use ledger::{Container, Entry};
use store::Store;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::journal::Journal;

pub use error::AllocateError;
pub use founding::{
    Founded, Founding, FoundingError, FoundingRecord, find_cluster, found_cluster, init_cluster, write_pool,
};
pub use line::{Line, records};
pub(crate) use task::assigned as assigned_in;

/// Room for a burst of container starts; a full queue slows Docker down rather than growing.
const CALLS_MAX: usize = 256;

/// How long a caller waits for the task: more than the host lets a request wait for store and holders
/// ([`ipam::REQUEST_PATIENCE_MILLIS`]), less than Docker's 15 s. Only a disk that hangs makes it this long.
const ANSWER_MAX: Duration = Duration::from_secs(12);

/// Asks the one task that knows this host's holdings. Clones ask the same one.
#[derive(Clone)]
pub struct Allocator {
    calls: mpsc::Sender<Call>,
    changes: watch::Receiver<u64>,
    unserved: watch::Sender<u64>,
    ended: CancellationToken,
}

/// What an allocator is made of.
pub struct Parts {
    /// Who this host is, in this boot.
    pub identity: Identity,
    /// Where shared state lives.
    pub store: Arc<dyn Store>,
    /// Where this host's own state lives, with nothing but `records` in it.
    pub journal: Journal<Line>,
    /// What the journal had when it was opened.
    pub records: Vec<Line>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
}

/// What a handle sends to the task.
enum Call {
    Ask {
        input: Box<dyn FnOnce(RequestId) -> Input + Send>,
        answer: oneshot::Sender<Result<Answer, Refusal>>,
    },
    Tell(Input),
    Look(Look),
    Told(Told),
}

/// How things stand, for who wants to see it.
enum Look {
    Assigned(oneshot::Sender<BTreeMap<IpAddr, Epoch>>),
    Reserved(ReservationName, oneshot::Sender<Option<IpAddr>>),
    View(oneshot::Sender<View>),
    Revoked(oneshot::Sender<bool>),
    Evicted(oneshot::Sender<EvictedView>),
    Intervals(oneshot::Sender<Vec<Entry>>),
}

/// What the ledger tells the journal.
enum Told {
    /// Which container has an address under an epoch.
    Names(Vec<(IpAddr, Epoch, Container)>),
    /// Which intervals that ended it has.
    Written(Vec<(IpAddr, Epoch)>),
}

/// Starts the task. It registers this boot and re-takes what this host held as soon as the store answers.
///
/// When `stop` is cancelled, no more calls are taken, those under way are finished, and the task ends.
pub fn start(parts: Parts, stop: CancellationToken) -> Allocator {
    let (calls, incoming) = mpsc::channel(CALLS_MAX);
    let (changed, changes) = watch::channel(0);
    let unserved = watch::Sender::new(0);
    let ended = CancellationToken::new();
    let task = task::Task::new(parts, changed);
    let last = ended.clone().drop_guard();
    tokio::spawn(async move {
        task.run(incoming, stop).await;
        drop(last);
    });
    Allocator { calls, changes, unserved, ended }
}

impl Allocator {
    /// An address of `pool` (Docker's RequestAddress). It waits for its endpoint: see [`Allocator::bind`].
    pub async fn assign(&self, pool: &PoolName, wish: Wish) -> Result<Assignment, AllocateError> {
        let pool = pool.clone();
        let asked = self.ask(|request| Input::Assign { request, pool, wish, endpoint: None }).await;
        if let Err(AllocateError::Refused(Refusal::Exhausted(_))) = &asked {
            self.unserved.send_modify(|count| *count += 1);
        }
        assigned(asked?)
    }

    /// `endpoint` uses the assigned `address` (CreateEndpoint, or a container seen with it).
    pub async fn bind(&self, address: IpAddr, endpoint: EndpointId) -> Result<Assignment, AllocateError> {
        assigned(self.ask(move |request| Input::Bind { request, address, endpoint }).await?)
    }

    /// `endpoint` was deleted (DeleteEndpoint): answers the assignments it had (one of each family at most),
    /// which wait for their release.
    pub async fn endpoint_gone(&self, endpoint: EndpointId) -> Result<Vec<Assignment>, AllocateError> {
        match self.ask(move |request| Input::EndpointGone { request, endpoint }).await? {
            Answer::Gone(assignments) => Ok(assignments),
            other => Err(AllocateError::OtherAnswer(other)),
        }
    }

    /// Docker's ReleaseAddress: names no owner, so it closes only what no endpoint uses.
    pub async fn release(&self, address: IpAddr) -> Result<Released, AllocateError> {
        released(self.ask(move |request| Input::Release { request, address }).await?)
    }

    /// Closes the assignment of `epoch`: the caller has two witnesses that nothing uses it.
    pub async fn reap(&self, address: IpAddr, epoch: Epoch) -> Result<Released, AllocateError> {
        released(self.ask(move |request| Input::Reap { request, address, epoch }).await?)
    }

    /// Gains back from quarantine an address that a running container of this host uses.
    pub async fn claim(&self, address: IpAddr, endpoint: EndpointId) -> Result<Assignment, AllocateError> {
        assigned(self.ask(move |request| Input::Claim { request, address, endpoint }).await?)
    }

    /// Opens an address in use to services; answered once the store has it.
    pub async fn publish(&self, address: IpAddr, epoch: Epoch) -> Result<(), AllocateError> {
        match self.ask(move |request| Input::Publish { request, address, epoch }).await? {
            Answer::Published => Ok(()),
            other => Err(AllocateError::OtherAnswer(other)),
        }
    }

    /// Ends the cooling of an address before its time, by an operator's word.
    pub async fn uncool(&self, address: IpAddr, epoch: Epoch) -> Result<Released, AllocateError> {
        released(self.ask(move |request| Input::Uncool { request, address, epoch }).await?)
    }

    /// Names an address of `pool`, any free one if none is said.
    pub async fn reserve(
        &self,
        name: ReservationName,
        address: Option<IpAddr>,
        pool: PoolName,
    ) -> Result<Reservation, AllocateError> {
        reservation(self.ask(move |request| Input::Reserve { request, name, pool, address }).await?)
    }

    /// Ends a reservation; answers what it was.
    pub async fn unreserve(&self, name: ReservationName) -> Result<Reservation, AllocateError> {
        reservation(self.ask(move |request| Input::Unreserve { request, name }).await?)
    }

    /// What [`Allocator::assign`] would do now; changes nothing.
    pub async fn explain(&self, pool: &PoolName, wish: Wish) -> Result<Explanation, AllocateError> {
        let pool = pool.clone();
        match self.ask(move |request| Input::Explain { request, pool, wish }).await? {
            Answer::Explained(explanation) => Ok(explanation),
            other => Err(AllocateError::OtherAnswer(other)),
        }
    }

    /// The journal tells all that containers of this host use.
    pub async fn accounted(&self) -> Result<(), AllocateError> {
        self.tell(Input::Accounted).await
    }

    /// A revoked address ([`View::revoked`]) has fallen silent.
    pub async fn silenced(&self, address: IpAddr) -> Result<(), AllocateError> {
        self.tell(Input::Silenced { address }).await
    }

    /// What the capacity role says about a pool, to be passed on in refusals.
    pub async fn capacity(&self, pool: PoolName, capacity: Capacity) -> Result<(), AllocateError> {
        self.tell(Input::Capacity { pool, capacity }).await
    }

    /// What is assigned on this host in this boot, and under which epoch: as the journal knows it, whether
    /// or not the store has been read since the agent started.
    pub async fn assigned(&self) -> Result<BTreeMap<IpAddr, Epoch>, AllocateError> {
        let (answer, answered) = oneshot::channel();
        self.call(Call::Look(Look::Assigned(answer))).await?;
        within(answered).await
    }

    /// Everything that this host knows, for people. Blocks and their addresses appear once the store has
    /// been read: what is assigned here whatever the store says is told by [`Allocator::assigned`].
    pub async fn view(&self) -> Result<View, AllocateError> {
        let (answer, answered) = oneshot::channel();
        self.call(Call::Look(Look::View(answer))).await?;
        within(answered).await
    }

    /// Whether [`View::revoked`] names any address. A view costs what a zone has addresses; this does not.
    pub async fn has_revoked(&self) -> Result<bool, AllocateError> {
        let (answer, answered) = oneshot::channel();
        self.call(Call::Look(Look::Revoked(answer))).await?;
        within(answered).await
    }

    /// The address that a name keeps, as the store showed it last.
    pub async fn reserved_as(&self, name: ReservationName) -> Result<Option<IpAddr>, AllocateError> {
        let (answer, answered) = oneshot::channel();
        self.call(Call::Look(Look::Reserved(name, answer))).await?;
        within(answered).await
    }

    /// Who was evicted: a small part of [`Allocator::view`], which costs more the more addresses there are.
    pub async fn evicted(&self) -> Result<EvictedView, AllocateError> {
        let (answer, answered) = oneshot::channel();
        self.call(Call::Look(Look::Evicted(answer))).await?;
        within(answered).await
    }

    /// The intervals of this host that run, and those that ended and that the ledger does not have yet.
    pub async fn intervals(&self) -> Result<Vec<Entry>, AllocateError> {
        let (answer, answered) = oneshot::channel();
        self.call(Call::Look(Look::Intervals(answer))).await?;
        within(answered).await
    }

    /// Which containers have addresses under these epochs, for the ledger.
    pub async fn named(&self, names: Vec<(IpAddr, Epoch, Container)>) -> Result<(), AllocateError> {
        self.call(Call::Told(Told::Names(names))).await
    }

    /// The ledger has these intervals, which ended: they need not be remembered here.
    pub async fn written(&self, intervals: Vec<(IpAddr, Epoch)>) -> Result<(), AllocateError> {
        self.call(Call::Told(Told::Written(intervals))).await
    }

    /// Changes whenever [`Allocator::view`] may have: a nudge to look, for instance at what was revoked.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.clone()
    }

    /// Changes whenever a request is refused that one more subnet would have served.
    pub fn unserved(&self) -> watch::Receiver<u64> {
        self.unserved.subscribe()
    }

    /// Returns when the task has ended, after `stop` was cancelled.
    pub async fn ended(&self) {
        self.ended.cancelled().await;
    }

    async fn ask(
        &self,
        input: impl FnOnce(RequestId) -> Input + Send + 'static,
    ) -> Result<Answer, AllocateError> {
        let (answer, answered) = oneshot::channel();
        self.call(Call::Ask { input: Box::new(input), answer }).await?;
        Ok(within(answered).await??)
    }

    async fn tell(&self, input: Input) -> Result<(), AllocateError> {
        self.call(Call::Tell(input)).await
    }

    async fn call(&self, call: Call) -> Result<(), AllocateError> {
        match tokio::time::timeout(ANSWER_MAX, self.calls.send(call)).await {
            Ok(sent) => sent.map_err(|_| AllocateError::Stopped),
            Err(_) => Err(AllocateError::Silent),
        }
    }
}

async fn within<T>(answered: oneshot::Receiver<T>) -> Result<T, AllocateError> {
    match tokio::time::timeout(ANSWER_MAX, answered).await {
        Ok(answer) => answer.map_err(|_| AllocateError::Stopped),
        Err(_) => Err(AllocateError::Silent),
    }
}

fn assigned(answer: Answer) -> Result<Assignment, AllocateError> {
    match answer {
        Answer::Assigned(assignment) => Ok(assignment),
        other => Err(AllocateError::OtherAnswer(other)),
    }
}

fn released(answer: Answer) -> Result<Released, AllocateError> {
    match answer {
        Answer::Released(released) => Ok(released),
        other => Err(AllocateError::OtherAnswer(other)),
    }
}

fn reservation(answer: Answer) -> Result<Reservation, AllocateError> {
    match answer {
        Answer::Reservation(reservation) => Ok(reservation),
        other => Err(AllocateError::OtherAnswer(other)),
    }
}

impl fmt::Debug for Allocator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Allocator")
    }
}
