//! Looking.

use std::time::Duration;

use etcd_client::{Client, GetOptions, GetResponse, KeyValue};
use tokio::time::{Instant, timeout_at};

use super::fault::Fault;
use super::words::{self, header_revision};
use super::{CALL_TIME_MAX, EtcdStore};
use crate::{Entry, Key, Prefix, Read, Revision, Snapshot, StoreError};

/// Keys read at once where it is not known yet how large their values are, and at least.
const PAGE_KEYS_MIN: i64 = 128;

/// Keys read at once at most. So many of the largest values are as much as a message may have.
const PAGE_KEYS_MAX: i64 = 1024;

/// Bytes that the next page has if its values are as large as those before.
const PAGE_BYTES: usize = 1024 * 1024;

/// Bytes that a message may have: a page of the largest values after one of small ones.
const MESSAGE_BYTES_MAX: usize = 192 * 1024 * 1024;

/// How long one member may take to answer a read, before another is asked.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

/// How often a long range is begun again because its revision was compacted while it was read.
const BEGINNINGS_MAX: u32 = 3;

pub(super) async fn get(store: &EtcdStore, key: &Key) -> Result<Read, StoreError> {
    let deadline = Instant::now() + CALL_TIME_MAX;
    let mut answer = look(store, store.space.key(key), None, deadline).await.map_err(Fault::of_look)?;
    let revision = header_revision(answer.header()).map_err(Fault::of_look)?;
    let entry = answer.take_kvs().into_iter().find_map(|found| store.space.entry(found));
    Ok(Read { revision, entry })
}

pub(super) async fn range(store: &EtcdStore, prefix: &Prefix) -> Result<Snapshot, StoreError> {
    let mut beginnings = 1;
    loop {
        match pages(store, prefix).await {
            Err(Fault::Compacted) if beginnings < BEGINNINGS_MAX => beginnings += 1,
            ended => return ended.map_err(Fault::of_look),
        }
    }
}

/// Page by page, all at the revision of the first one.
async fn pages(store: &EtcdStore, prefix: &Prefix) -> Result<Snapshot, Fault> {
    let (mut from, end) = store.space.range(prefix);
    let mut at: Option<Revision> = None;
    let mut entries: Vec<Entry> = Vec::new();
    let mut limit = PAGE_KEYS_MIN;
    loop {
        let mut page = GetOptions::new().with_range(end.clone()).with_limit(limit);
        if let Some(at) = at {
            page = page.with_revision(words::number(at));
        }
        // Each page has a call's time: how long a range is, is not known before.
        let deadline = Instant::now() + CALL_TIME_MAX;
        let mut answer = look(store, from, Some(page), deadline).await?;
        let revision = match at {
            Some(at) => at,
            None => header_revision(answer.header())?,
        };
        at = Some(revision);
        let more = answer.more();
        let found = answer.take_kvs();
        limit = next_limit(&found);
        let last = found.last().map(|last| last.key().to_vec());
        entries.extend(found.into_iter().filter_map(|found| store.space.entry(found)));
        match last {
            // The next key there can be.
            Some(last) if more => from = [last, vec![0]].concat(),
            _ => return Ok(Snapshot { revision, entries }),
        }
    }
}

/// How many keys the next page may have, judged by this one: thousands of hosts have a record of some hundred bytes
/// each, and every page is a round trip.
fn next_limit(page: &[KeyValue]) -> i64 {
    let bytes: usize = page.iter().map(|found| found.key().len() + found.value().len()).sum();
    let fit = PAGE_BYTES * page.len() / bytes.max(1);
    i64::try_from(fit).unwrap_or(PAGE_KEYS_MAX).clamp(PAGE_KEYS_MIN, PAGE_KEYS_MAX)
}

/// A linearizable read, from one member after another until the deadline.
pub(super) async fn look(
    store: &EtcdStore,
    from: Vec<u8>,
    options: Option<GetOptions>,
    deadline: Instant,
) -> Result<GetResponse, Fault> {
    loop {
        let link = store.links.sound(deadline).await.map_err(Fault::Refused)?;
        let mut kv = kv(&link.client());
        let asked = kv.get(from.clone(), options.clone());
        let within = deadline.min(Instant::now() + ANSWER_TIME_MAX);
        let fault = match timeout_at(within, asked).await {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => Fault::of(error, link.endpoint()),
            Err(_) => Fault::silence(link.endpoint()),
        };
        match fault {
            Fault::Compacted => return Err(fault),
            fault => {
                store.links.doubt(&link);
                if matches!(fault, Fault::Refused(_)) || Instant::now() >= deadline {
                    return Err(fault);
                }
            }
        }
    }
}

/// The client's half for keys, which takes the largest page.
pub(super) fn kv(client: &Client) -> etcd_client::KvClient {
    client.kv_client().max_decoding_message_size(MESSAGE_BYTES_MAX)
}

/// The time that is left, for one step of several.
pub(super) async fn in_time<T>(
    deadline: Instant,
    endpoint: &str,
    answer: impl Future<Output = Result<T, etcd_client::Error>>,
) -> Result<T, Fault> {
    match timeout_at(deadline, answer).await {
        Ok(answered) => answered.map_err(|error| Fault::of(error, endpoint)),
        Err(_) => Err(Fault::silence(endpoint)),
    }
}
