//! Fixed blocks of 16 with borrowing, as Calico has it: a host claims whole blocks, and every assignment rewrites
//! the block's value, because others may borrow from it once no block is left to claim.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use super::{Keys, Strategy};
use crate::baselines::keys::{Standing, Swap};

/// Addresses of a block.
pub(crate) const BLOCK: usize = 16;

/// A block as it stands in the store: who claimed it, and a bit for each address in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Value {
    owner: usize,
    used: u16,
}

/// A host with its own blocks, and whatever it borrows.
pub(crate) struct Blocks<K> {
    keys: K,
    host: usize,
    room: usize,
    /// Where the next claim is tried: hosts begin apart.
    next: usize,
    /// Every block that was seen, with the revision at which it was written.
    seen: BTreeMap<usize, (Value, i64)>,
    /// How many addresses it has from blocks of others.
    borrowed: usize,
}

impl<K: Keys> Strategy<K> for Blocks<K> {
    const NAME: &'static str = "blocks_of_16";

    fn new(keys: K, host: usize, hosts: usize, room: usize) -> Self {
        let next = host * room.div_ceil(BLOCK) / hosts;
        Self { keys, host, room, next, seen: BTreeMap::new(), borrowed: 0 }
    }

    async fn assign(&mut self) -> Result<Option<usize>> {
        if let Some(own) = self.assign_own().await? {
            return Ok(Some(own));
        }
        // No block is left to claim: any address of anybody's.
        loop {
            self.read().await?;
            let Some(block) = self.with_room(|_, _| true) else { return Ok(None) };
            if let Some(address) = self.assign_in(block).await? {
                self.borrowed += 1;
                return Ok(Some(address));
            }
        }
    }

    fn keys(&self) -> &K {
        &self.keys
    }
}

impl<K: Keys> Blocks<K> {
    /// An address of a block of its own, claimed if need be; none once no block is left to claim.
    pub(crate) async fn assign_own(&mut self) -> Result<Option<usize>> {
        loop {
            if let Some(block) = self.with_room(|value, host| value.owner == host) {
                if let Some(address) = self.assign_in(block).await? {
                    return Ok(Some(address));
                }
            } else if !self.claim().await? {
                return Ok(None);
            }
        }
    }

    /// How many addresses it has from blocks of others.
    #[cfg(test)]
    pub(super) fn borrowed(&self) -> usize {
        self.borrowed
    }

    /// A block that is known to have a free address.
    fn with_room(&self, which: impl Fn(&Value, usize) -> bool) -> Option<usize> {
        let room = |block: usize, value: &Value| (value.used.count_ones() as usize) < self.size(block);
        let mut found = self.seen.iter().filter(|(block, (value, _))| room(**block, value));
        found.find(|(_, (value, _))| which(value, self.host)).map(|(block, _)| *block)
    }

    /// How many addresses a block has; the last may be short.
    fn size(&self, block: usize) -> usize {
        BLOCK.min(self.room - block * BLOCK)
    }

    async fn assign_in(&mut self, block: usize) -> Result<Option<usize>> {
        let Some((value, revision)) = self.seen.get(&block).copied() else { return Ok(None) };
        let Some(free) = (0..self.size(block)).find(|at| value.used & (1 << at) == 0) else {
            return Ok(None);
        };
        let swapped = self.swap(block, Value { used: value.used | 1 << free, ..value }, revision).await?;
        Ok(swapped.then_some(block * BLOCK + free))
    }

    /// Tries to claim a block that nobody has claimed, as far as is known; false if there is none.
    async fn claim(&mut self) -> Result<bool> {
        let blocks = self.room.div_ceil(BLOCK);
        let unclaimed = (self.next..blocks).chain(0..self.next).find(|it| !self.seen.contains_key(it));
        let Some(block) = unclaimed else { return Ok(false) };
        self.next = (block + 1) % blocks;
        self.swap(block, Value { owner: self.host, used: 0 }, 0).await?;
        Ok(true)
    }

    /// Writes a block if it still stands at this revision; learns what stands there.
    async fn swap(&mut self, block: usize, value: Value, revision: i64) -> Result<bool> {
        match self.keys.swap(&format!("block/{block}"), revision, &value.written()).await? {
            Swap::Done(written) => {
                self.seen.insert(block, (value, written));
                Ok(true)
            }
            Swap::Stands(standing) => {
                let standing = standing.context("blocks are never removed")?;
                self.learn(block, &standing)?;
                Ok(false)
            }
        }
    }

    async fn read(&mut self) -> Result<()> {
        for (key, standing) in self.keys.range("block/").await? {
            let number = key.strip_prefix("block/").context("the prefix")?;
            self.learn(number.parse()?, &standing)?;
        }
        Ok(())
    }

    fn learn(&mut self, block: usize, (text, revision): &Standing) -> Result<()> {
        self.seen.insert(block, (Value::read(text)?, *revision));
        Ok(())
    }
}

impl Value {
    fn written(self) -> String {
        format!("{} {}", self.owner, self.used)
    }

    fn read(text: &str) -> Result<Self> {
        let (owner, used) = text.split_once(' ').context("owner and bits")?;
        Ok(Self { owner: owner.parse()?, used: used.parse()? })
    }
}
