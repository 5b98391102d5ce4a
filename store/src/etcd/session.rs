//! Sessions, which in etcd are leases: the only file that knows the word.

use std::time::Duration;

use etcd_client::PutOptions;
use tokio::time::Instant;

use super::fault::Fault;
use super::links::Link;
use super::read::{in_time, kv, look};
use super::{CALL_TIME_MAX, EtcdStore};
use crate::transaction::check_size;
use crate::{Key, OutOfRoom, Session, StoreError};

/// Grants a lease and puts the key under it: whatever lease the key had no longer matters to it.
pub(super) async fn begin(
    store: &EtcdStore,
    key: &Key,
    value: Vec<u8>,
    ttl: Duration,
) -> Result<Session, StoreError> {
    check_size(key, &value)?;
    let deadline = Instant::now() + CALL_TIME_MAX;
    let link = store.links.sound(deadline).await?;
    match grant_and_put(store, &link, key, value, ttl, deadline).await {
        Ok(lease) => Ok(Session::new(key.clone(), lease.unsigned_abs(), ttl)),
        Err(fault) => {
            store.links.doubt(&link);
            Err(fault)
        }
    }
}

async fn grant_and_put(
    store: &EtcdStore,
    link: &Link,
    key: &Key,
    value: Vec<u8>,
    ttl: Duration,
    deadline: Instant,
) -> Result<i64, StoreError> {
    let mut client = link.client();
    // etcd counts in seconds. A lease that nobody hears of lapses by itself.
    let seconds = i64::try_from(ttl.as_millis().div_ceil(1000)).unwrap_or(i64::MAX).max(1);
    let granted = in_time(deadline, link.endpoint(), client.lease_grant(seconds, None)).await;
    let lease = granted.map_err(Fault::of_look)?.id();
    let under_lease = PutOptions::new().with_lease(lease);
    let mut kv = kv(&client);
    let put =
        in_time(deadline, link.endpoint(), kv.put(store.space.key(key), value, Some(under_lease))).await;
    match put {
        Ok(_) => Ok(lease),
        // Without a sign of life it lapses. It cannot end a session that is begun after it.
        Err(Fault::InDoubt(cause)) => Err(StoreError::UnknownOutcome(cause)),
        Err(Fault::NoRoom(cause)) => Err(StoreError::UnknownOutcome(Box::new(OutOfRoom(cause)))),
        Err(fault) => Err(fault.of_look()),
    }
}

/// Keeps the lease alive, and looks whether the key is still under it.
pub(super) async fn keep_alive(store: &EtcdStore, session: &Session) -> Result<(), StoreError> {
    let deadline = Instant::now() + CALL_TIME_MAX;
    let lapsed = || StoreError::SessionLapsed { key: session.key().clone() };
    let link = store.links.sound(deadline).await?;
    let mut client = link.client();
    match in_time(deadline, link.endpoint(), client.lease_keep_alive(lease(session))).await {
        Ok(_) => {}
        Err(Fault::NoLease) => return Err(lapsed()),
        Err(fault) => {
            store.links.doubt(&link);
            return Err(fault.of_look());
        }
    }
    let found = look(store, store.space.key(session.key()), None, deadline).await.map_err(Fault::of_look)?;
    match found.kvs().first() {
        Some(found) if found.lease() == lease(session) => Ok(()),
        _ => Err(lapsed()),
    }
}

/// Revokes the lease, and with it the key if it is still under it.
pub(super) async fn end(store: &EtcdStore, session: &Session) -> Result<(), StoreError> {
    let deadline = Instant::now() + CALL_TIME_MAX;
    let link = store.links.sound(deadline).await?;
    let mut client = link.client();
    match in_time(deadline, link.endpoint(), client.lease_revoke(lease(session))).await {
        Ok(_) | Err(Fault::NoLease) => Ok(()),
        Err(fault) => {
            store.links.doubt(&link);
            match fault {
                Fault::InDoubt(cause) => Err(StoreError::UnknownOutcome(cause)),
                fault => Err(fault.of_look()),
            }
        }
    }
}

fn lease(session: &Session) -> i64 {
    i64::try_from(session.number()).unwrap_or(0)
}
