//! One transaction per address, as whereabouts and Neutron have it: a key for each address in use.

use std::collections::BTreeSet;

use anyhow::Result;

use super::{Keys, Strategy};
use crate::baselines::keys::Swap;

/// So many losses in a row, and the host reads again what is in use.
const LOSSES: usize = 4;

/// A host that finds free addresses by trying.
pub(crate) struct OnePerAddress<K> {
    keys: K,
    room: usize,
    /// Where the next try begins: hosts begin apart.
    next: usize,
    /// In use, as far as is known.
    known: BTreeSet<usize>,
}

impl<K: Keys> Strategy<K> for OnePerAddress<K> {
    const NAME: &'static str = "one_per_address";

    fn new(keys: K, host: usize, hosts: usize, room: usize) -> Self {
        Self { keys, room, next: host * room / hosts, known: BTreeSet::new() }
    }

    async fn assign(&mut self) -> Result<Option<usize>> {
        let mut losses = 0;
        loop {
            let tried = (self.next..self.room).chain(0..self.next).find(|it| !self.known.contains(it));
            let Some(address) = tried else {
                self.read().await?;
                if self.known.len() == self.room {
                    return Ok(None);
                }
                continue;
            };
            self.next = (address + 1) % self.room;
            let won = self.keys.swap(&key(address), 0, "host").await?;
            self.known.insert(address);
            if matches!(won, Swap::Done(_)) {
                return Ok(Some(address));
            }
            losses += 1;
            if losses % LOSSES == 0 {
                self.read().await?;
            }
        }
    }

    fn keys(&self) -> &K {
        &self.keys
    }
}

impl<K: Keys> OnePerAddress<K> {
    async fn read(&mut self) -> Result<()> {
        let found = self.keys.range("address/").await?;
        let number = |key: &str| key.strip_prefix("address/")?.parse().ok();
        self.known = found.iter().filter_map(|(key, _)| number(key)).collect();
        Ok(())
    }
}

fn key(address: usize) -> String {
    format!("address/{address}")
}
