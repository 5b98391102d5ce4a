//! Compare and commit.

use tokio::time::Instant;

use super::fault::{Cause, Fault};
use super::links::Link;
use super::read::{in_time, kv, look};
use super::{CALL_TIME_MAX, EtcdStore};
use crate::{Commit, Compare, OutOfRoom, Revision, StoreError, Transaction};

/// How often a transaction that was turned away unseen is sent again.
const TRIES_MAX: u32 = 3;

pub(super) async fn commit(store: &EtcdStore, transaction: Transaction) -> Result<Commit, StoreError> {
    transaction.check()?;
    let deadline = Instant::now() + CALL_TIME_MAX;
    let mut tries = 1;
    loop {
        let link = store.links.sound(deadline).await?;
        let fault = match send(store, &link, &transaction, deadline).await {
            Ok(ended) => return Ok(ended),
            Err(fault) => fault,
        };
        if !matches!(fault, Fault::NoRoom(_)) {
            store.links.doubt(&link);
        }
        match fault {
            Fault::Untouched(_) if tries < TRIES_MAX && Instant::now() < deadline => tries += 1,
            // A transaction that only looks leaves nothing open.
            Fault::InDoubt(cause) if !transaction.writes.is_empty() => {
                return Err(StoreError::UnknownOutcome(cause));
            }
            Fault::NoRoom(cause) => return Err(without_room(store, &transaction, cause).await),
            fault => return Err(fault.of_look()),
        }
    }
}

async fn send(
    store: &EtcdStore,
    link: &Link,
    transaction: &Transaction,
    deadline: Instant,
) -> Result<Commit, Fault> {
    let mut kv = kv(&link.client());
    let sent = kv.txn(store.space.transaction(transaction));
    store.space.ended(&in_time(deadline, link.endpoint(), sent).await?)
}

/// What became of a transaction that was answered with "no space", which etcd also says of one that it has
/// just executed. It is over in any case, so a look can tell: if a key that it compares and writes still
/// stands at the revision compared, it was not executed.
async fn without_room(store: &EtcdStore, transaction: &Transaction, cause: Cause) -> StoreError {
    for (key, revision) in transaction.compares.iter().filter_map(unchanged) {
        if !transaction.writes.iter().any(|write| write.key() == key) {
            continue;
        }
        return match stands_at(store, key).await {
            Ok(stands) if stands == Some(revision) => StoreError::NoRoom(cause),
            // Somebody else's write or ours; and a key that was absent may have been so before and after.
            _ => StoreError::UnknownOutcome(Box::new(OutOfRoom(cause))),
        };
    }
    StoreError::UnknownOutcome(Box::new(OutOfRoom(cause)))
}

fn unchanged(compare: &Compare) -> Option<(&crate::Key, Revision)> {
    match compare {
        Compare::Unchanged { key, revision } => Some((key, *revision)),
        Compare::Holds { .. } | Compare::Absent(_) | Compare::Empty(_) => None,
    }
}

async fn stands_at(store: &EtcdStore, key: &crate::Key) -> Result<Option<Revision>, Fault> {
    let deadline = Instant::now() + CALL_TIME_MAX;
    let mut answer = look(store, store.space.key(key), None, deadline).await?;
    Ok(answer.take_kvs().into_iter().find_map(|found| store.space.entry(found)).map(|entry| entry.revision))
}
