//! Asking other hosts for addresses: whom, how many of them, and what became of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::waiting::{Alike, Hope, Waiting};
use super::{AfterSend, Family, Host, Wish};
use crate::cluster::{Ask, Surplus, Want};
use crate::names::{BlockId, HostId, PoolName, Revision, Timestamp, Zone};
use crate::transaction::{Key, Sent, Transaction, Value, Write};

/// How long before more holders are asked, and the asked looked at again, in milliseconds.
const ASK_MILLIS: u64 = 100;

/// Which part of the holders is asked first, at least one: so all were asked after half a second, however many there
/// are.
const FIRST_PART: usize = 32;

/// How many are asked in one transaction. etcd takes 128 operations.
const PLACED_MAX: usize = 100;

/// How long after the last holder said no a request waits for word that one has something after all, in
/// milliseconds: what moves between hosts at that moment may be more than they need.
const HINTED_MILLIS: u64 = 500;

/// What this host asked of a holder.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Asked {
    ask: Ask,
    phase: AskPhase,
    /// How many addresses this host had ever adopted when it asked: more since, and the holder gave.
    adopted: u64,
}

/// How far an asking is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum AskPhase {
    /// In the store since this revision, as far as is known.
    Placed(Revision),
    /// The want is gone, and nothing came: the holder had nothing then. Whoever waited is not helped
    /// by asking again; a later request may be.
    Declined(Timestamp),
    /// The store did not take the question: the holder was never asked.
    Unasked(Timestamp),
}

impl Asked {
    /// Until when the holder may say that it has something after all.
    fn hinted_until(&self) -> Option<Timestamp> {
        match (&self.ask, &self.phase) {
            (Ask::Some { .. }, AskPhase::Declined(at)) => Some(at.after(HINTED_MILLIS)),
            _ => None,
        }
    }
}

impl Host {
    /// Hosts that may have a free address in `blocks`, most promising first; those asked and not yet
    /// answered included, those that had nothing a moment ago not.
    pub(super) fn holders_to_ask(
        &self,
        pool: &PoolName,
        blocks: &[BlockId],
        since: Timestamp,
    ) -> Vec<HostId> {
        let mut held: BTreeMap<(HostId, Zone), u32> = BTreeMap::new();
        for id in blocks {
            let Some((block, _)) = self.blocks.get(id).and_then(|facts| facts.seen.as_ref()) else {
                continue;
            };
            let Some(zone) = self.zone_of(*id) else { continue };
            for holding in block.held().values().filter(|holding| holding.by.host != self.identity.host) {
                *held.entry((holding.by.host.clone(), zone.clone())).or_default() += 1;
            }
        }
        let asks_pool = |ask: &Ask| matches!(ask, Ask::Some { pool: of, .. } if of == pool);
        let mut holders: Vec<(u32, u32, HostId)> = held
            .into_iter()
            .filter(|((host, zone), _)| !self.declined(zone, host, asks_pool, since))
            .map(|((host, zone), held)| {
                let hint = self.hints.of(&zone, &host);
                let hint = hint.and_then(|hint| hint.free.get(pool)).copied().unwrap_or(0);
                (hint, held, host)
            })
            .collect();
        holders.sort_by(|a, b| (b.0, b.1, &a.2).cmp(&(a.0, a.1, &b.2)));
        let mut seen = BTreeSet::new();
        holders.into_iter().map(|(_, _, host)| host).filter(|host| seen.insert(host.clone())).collect()
    }

    /// Whether the holder of this very address may still be asked for it, or was and has not
    /// answered yet.
    pub(super) fn may_ask(&self, address: IpAddr, holder: &HostId, since: Timestamp) -> bool {
        let zone = self.block_of(address).and_then(|id| self.zone_of(id));
        zone.is_some_and(|zone| !self.declined(&zone, holder, |ask| *ask == Ask::This(address), since))
    }

    fn declined(&self, zone: &Zone, holder: &HostId, same: impl Fn(&Ask) -> bool, since: Timestamp) -> bool {
        self.asked.get(&(zone.clone(), holder.clone())).is_some_and(|asked| {
            same(&asked.ask)
                && matches!(asked.phase, AskPhase::Declined(at) | AskPhase::Unasked(at) if at >= since)
        })
    }

    /// Whether a holder that said no a moment ago may still say that it has something.
    pub(super) fn may_be_hinted(&self, since: Timestamp) -> bool {
        let may = |asked: &Asked| asked.hinted_until().is_some_and(|until| until > self.now);
        let same = |asked: &Asked| matches!(asked.phase, AskPhase::Declined(at) if at >= since);
        self.asked.values().any(|asked| same(asked) && may(asked))
    }

    /// A holder that had nothing says that it has something: it may be asked again.
    pub(super) fn hinted(&mut self, zone: &Zone, holder: &HostId, surplus: &Surplus) {
        let key = (zone.clone(), holder.clone());
        let Some(Asked { ask: Ask::Some { pool, .. }, phase: AskPhase::Declined(_), .. }) =
            self.asked.get(&key)
        else {
            return;
        };
        if surplus.free.contains_key(pool) {
            self.asked.remove(&key);
        }
    }

    /// Asks, for each request that only another host can help: some holders at first, twice as many every 100 ms.
    pub(super) fn look_at_asks(&mut self) {
        if self.waiting.is_empty() && self.asked.is_empty() {
            self.ask_due = None;
            return;
        }
        let oldest = self.waiting.values().map(Waiting::since).min();
        self.asked.retain(|_, asked| match asked.phase {
            AskPhase::Declined(at) | AskPhase::Unasked(at) => oldest.is_some_and(|since| at >= since),
            AskPhase::Placed(_) => true,
        });
        let mut needed: BTreeSet<HostId> = BTreeSet::new();
        let mut wants = Vec::new();
        let mut alike = Alike::default();
        let waiting: Vec<Waiting> = self.waiting.values().cloned().collect();
        for waiting in waiting {
            if alike.waits_too(&waiting) {
                continue;
            }
            let Waiting::Assign { pool, wish, since, .. } = waiting else { continue };
            let hope = self.hope(&pool, &wish, None, since);
            // One want for all that wait: it says how many they are. But who came after holders said no to this one
            // may ask them again.
            if matches!(wish, Wish::Any(_)) && !self.may_be_hinted(since) {
                alike.wait(&pool, &wish);
            }
            let Hope::Ask(holders) = hope else { continue };
            let rounds = (self.now.0.saturating_sub(since.0) / ASK_MILLIS).min(16);
            let first = (holders.len() / FIRST_PART).max(1);
            for holder in holders.into_iter().take(first << rounds) {
                wants.extend(self.want(&holder, &pool, &wish));
                needed.insert(holder);
            }
        }
        self.place(wants);
        self.withdraw(&needed);
        let due = self.ask_due.is_some_and(|due| due <= self.now);
        if needed.is_empty() {
            let hinted =
                self.asked.values().filter_map(Asked::hinted_until).filter(|until| *until > self.now);
            self.ask_due = hinted.min();
        } else if due || self.ask_due.is_none() {
            self.ask_due = Some(self.now.after(ASK_MILLIS));
            if due {
                self.look_whether_answered();
            }
        }
    }

    /// What is to be asked of a holder, unless it is asked already.
    fn want(&mut self, holder: &HostId, pool: &PoolName, wish: &Wish) -> Option<(HostId, Write)> {
        let (ask, zone) = match wish {
            Wish::Exact(address) => (Ask::This(*address), self.block_of(*address)),
            Wish::Any(family) => (self.ask_for_some(pool, *family), self.held_by_in(holder, pool, *family)),
            Wish::Within(cidr) => {
                let family = Family::of(cidr.ip());
                (self.ask_for_some(pool, family), self.held_by_in(holder, pool, family))
            }
        };
        let zone = zone.and_then(|id| self.zone_of(id))?;
        let key = (zone.clone(), holder.clone());
        if matches!(self.asked.get(&key), Some(Asked { phase: AskPhase::Placed(_), .. })) {
            return None;
        }
        let me = self.me().filter(|_| self.not_ready().is_none())?;
        let want = Want { incarnation: me.incarnation, boot: self.identity.boot.clone(), ask: ask.clone() };
        let store_key = Key::Want { zone, holder: holder.clone(), asker: me.host };
        self.asked.insert(key, Asked { ask, phase: AskPhase::Placed(Revision(0)), adopted: self.adopted });
        Some((holder.clone(), Write::Put { key: store_key, value: Value::Want(want) }))
    }

    fn place(&mut self, wants: Vec<(HostId, Write)>) {
        let Ok(compares) = self.footing() else { return };
        for wants in wants.chunks(PLACED_MAX) {
            let (holders, writes): (BTreeSet<HostId>, Vec<Write>) = wants.iter().cloned().unzip();
            self.send(Transaction { compares: compares.clone(), writes }, AfterSend::Wants(holders));
        }
    }

    fn ask_for_some(&self, pool: &PoolName, family: Family) -> Ask {
        let waiting = self
            .waiting
            .values()
            .filter(|waiting| matches!(waiting, Waiting::Assign { pool: of, .. } if of == pool));
        let count = u32::try_from(waiting.count()).unwrap_or(u32::MAX).max(1);
        Ask::Some { pool: pool.clone(), count, v6: family == Family::V6 }
    }

    fn held_by_in(&self, holder: &HostId, pool: &PoolName, family: Family) -> Option<BlockId> {
        self.blocks_of(pool, family).find(|id| {
            let seen = self.blocks.get(id).and_then(|facts| facts.seen.as_ref());
            seen.is_some_and(|(block, _)| block.held().values().any(|held| held.by.host == *holder))
        })
    }

    /// Whether a holder could not be asked, as far as is known, because the store does not answer.
    pub(super) fn store_is_silent(&self) -> bool {
        let unasked =
            |phase: &AskPhase| matches!(phase, AskPhase::Unasked(_) | AskPhase::Placed(Revision(0)));
        self.asked.values().any(|asked| unasked(&asked.phase))
    }

    pub(super) fn wants_sent(&mut self, holders: &BTreeSet<HostId>, outcome: Sent) {
        let now = self.now;
        for ((_, of), asked) in &mut self.asked {
            if !holders.contains(of) {
                continue;
            }
            match (&outcome, &asked.phase) {
                (Sent::Committed { revision }, AskPhase::Placed(_)) => {
                    asked.phase = AskPhase::Placed(*revision);
                }
                // Not asked: as if it had nothing, so that it is asked again in a moment.
                (Sent::Conflict { .. }, AskPhase::Placed(_)) => asked.phase = AskPhase::Declined(now),
                (Sent::Failed, AskPhase::Placed(_)) => asked.phase = AskPhase::Unasked(now),
                _ => (),
            }
        }
        if let Sent::Conflict { now } = outcome {
            self.seen(now);
        }
    }

    /// Reads the wants placed, and the blocks where a grant would show: not from the watch, which
    /// may lag.
    fn look_whether_answered(&mut self) {
        let host = self.identity.host.clone();
        let placed: Vec<(Zone, HostId)> = self
            .asked
            .iter()
            .filter(|(_, asked)| matches!(asked.phase, AskPhase::Placed(_)))
            .map(|(key, _)| key.clone())
            .collect();
        if placed.is_empty() {
            return;
        }
        let holders: BTreeSet<&HostId> = placed.iter().map(|(_, holder)| holder).collect();
        let blocks = self.blocks.iter().filter(|(_, facts)| {
            let seen = facts.seen.as_ref();
            seen.is_some_and(|(block, _)| block.held().values().any(|held| holders.contains(&held.by.host)))
        });
        // Blocks first: when the want shows as gone, the grant has been seen.
        let mut keys: Vec<Key> = blocks.map(|(id, facts)| facts.key(*id)).collect();
        keys.extend(placed.into_iter().map(|(zone, holder)| Key::Want { zone, holder, asker: host.clone() }));
        self.read(keys);
    }

    /// Takes back what is not needed any more. A grant that crosses it is adopted, and goes back as
    /// surplus.
    fn withdraw(&mut self, needed: &BTreeSet<HostId>) {
        let host = self.identity.host.clone();
        let over: Vec<(Zone, HostId)> = self
            .asked
            .iter()
            .filter(|((_, holder), asked)| {
                !needed.contains(holder) && matches!(asked.phase, AskPhase::Placed(_))
            })
            .map(|(key, _)| key.clone())
            .collect();
        if over.is_empty() {
            return;
        }
        let Ok(compares) = self.footing() else { return };
        let want = |(zone, holder): &(Zone, HostId)| {
            Write::Delete(Key::Want { zone: zone.clone(), holder: holder.clone(), asker: host.clone() })
        };
        for over in over.chunks(PLACED_MAX) {
            let writes = over.iter().map(want).collect();
            self.send(Transaction { compares: compares.clone(), writes }, AfterSend::Hint);
        }
        for key in over {
            self.asked.remove(&key);
        }
    }

    /// The holder gave, and may be asked for more; or it had nothing.
    pub(super) fn want_gone(&mut self, key: (Zone, HostId), revision: Revision) {
        let Some(asked) = self.asked.get_mut(&key) else { return };
        if !matches!(asked.phase, AskPhase::Placed(placed) if placed < revision) {
            return;
        }
        if self.adopted > asked.adopted {
            self.asked.remove(&key);
        } else {
            asked.phase = AskPhase::Declined(self.now);
        }
    }
}
