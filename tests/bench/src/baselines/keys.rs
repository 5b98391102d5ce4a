//! What the baselines need of a store: swap one key, read many. etcd, or a map for what is told without a clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use etcd_client::{
    Compare, CompareOp, GetOptions, KvClient, PutOptions, ResponseHeader, Txn, TxnOp, TxnOpResponse,
};

/// What stands under a key, and the revision at which it was written.
pub(crate) type Standing = (String, i64);

/// How a swap ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Swap {
    /// Written, at this revision.
    Done(i64),
    /// Something else stands there.
    Stands(Option<Standing>),
}

/// Keys with revisions.
pub(crate) trait Keys: Send {
    /// Writes `value` if the key was last written at this revision; 0: if it is absent.
    fn swap(&mut self, key: &str, at: i64, value: &str) -> impl Future<Output = Result<Swap>> + Send;

    /// Every key that begins so, with what stands there.
    fn range(&mut self, prefix: &str) -> impl Future<Output = Result<Vec<(String, Standing)>>> + Send;

    /// How much was asked so far.
    fn asked(&self) -> u64;
}

/// An etcd of one connection.
pub(crate) struct Etcd {
    client: KvClient,
    asked: u64,
}

impl Etcd {
    pub(crate) fn new(client: KvClient) -> Etcd {
        Etcd { client, asked: 0 }
    }
}

impl Keys for Etcd {
    async fn swap(&mut self, key: &str, at: i64, value: &str) -> Result<Swap> {
        self.asked += 1;
        let transaction = Txn::new()
            .when([Compare::mod_revision(key, CompareOp::Equal, at)])
            .and_then([TxnOp::put(key, value, None::<PutOptions>)])
            .or_else([TxnOp::get(key, None)]);
        let answer = self.client.txn(transaction).await?;
        if answer.succeeded() {
            return Ok(Swap::Done(answer.header().map_or(0, ResponseHeader::revision)));
        }
        let mut stands = None;
        for found in answer.op_responses() {
            if let TxnOpResponse::Get(found) = found {
                for kv in found.kvs() {
                    stands = Some((kv.value_str()?.to_owned(), kv.mod_revision()));
                }
            }
        }
        Ok(Swap::Stands(stands))
    }

    async fn range(&mut self, prefix: &str) -> Result<Vec<(String, Standing)>> {
        self.asked += 1;
        let found = self.client.get(prefix, Some(GetOptions::new().with_prefix())).await?;
        let standing = found
            .kvs()
            .iter()
            .map(|kv| Ok((kv.key_str()?.to_owned(), (kv.value_str()?.to_owned(), kv.mod_revision()))));
        standing.collect()
    }

    fn asked(&self) -> u64 {
        self.asked
    }
}

/// The plain transaction that all is compared with: one compare, one put.
pub(crate) async fn put_if_absent(client: &mut KvClient, key: &str, value: &str) -> Result<bool> {
    let transaction = Txn::new()
        .when([Compare::create_revision(key, CompareOp::Equal, 0)])
        .and_then([TxnOp::put(key, value, None::<PutOptions>)]);
    Ok(client.txn(transaction).await?.succeeded())
}

/// A map. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Memory {
    map: Arc<Mutex<Map>>,
    asked: u64,
}

#[derive(Default)]
struct Map {
    revision: i64,
    standing: BTreeMap<String, Standing>,
}

impl Keys for Memory {
    async fn swap(&mut self, key: &str, at: i64, value: &str) -> Result<Swap> {
        self.asked += 1;
        let mut map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        let standing = map.standing.get(key).cloned();
        if standing.as_ref().map_or(0, |(_, revision)| *revision) != at {
            return Ok(Swap::Stands(standing));
        }
        map.revision += 1;
        let revision = map.revision;
        map.standing.insert(key.to_owned(), (value.to_owned(), revision));
        Ok(Swap::Done(revision))
    }

    async fn range(&mut self, prefix: &str) -> Result<Vec<(String, Standing)>> {
        self.asked += 1;
        let map = self.map.lock().unwrap_or_else(PoisonError::into_inner);
        let from = map.standing.range(prefix.to_owned()..);
        let found = from.take_while(|(key, _)| key.starts_with(prefix));
        Ok(found.map(|(key, standing)| (key.clone(), standing.clone())).collect())
    }

    fn asked(&self) -> u64 {
        self.asked
    }
}
