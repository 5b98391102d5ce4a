//! A subnet for each host, as Docker's own drivers and flannel have it: the host's slice is its own, and nobody
//! else's, whether it is needed or not.

use std::collections::VecDeque;

use anyhow::Result;

use super::{Keys, Strategy};

/// A host with its slice: as many addresses as can be the same for all.
pub(crate) struct SubnetPerHost<K> {
    keys: K,
    host: usize,
    claimed: bool,
    free: VecDeque<usize>,
}

impl<K: Keys> Strategy<K> for SubnetPerHost<K> {
    const NAME: &'static str = "subnet_per_host";

    fn new(keys: K, host: usize, hosts: usize, room: usize) -> Self {
        let slice = room / hosts;
        Self { keys, host, claimed: false, free: (host * slice..(host + 1) * slice).collect() }
    }

    async fn assign(&mut self) -> Result<Option<usize>> {
        if !self.claimed {
            self.keys.swap(&format!("slice/{}", self.host), 0, "host").await?;
            self.claimed = true;
        }
        Ok(self.free.pop_front())
    }

    fn keys(&self) -> &K {
        &self.keys
    }
}
