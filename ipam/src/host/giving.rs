//! Giving to other hosts that want addresses: what, to whom, and saying so where there is nothing.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{AfterSend, Family, Host, RETRY_MILLIS};
use crate::cluster::{Ask, Want};
use crate::names::{BlockId, Holder, HostId, Revision, Timestamp, Zone};
use crate::record::{Deed, Life};
use crate::transaction::{Compare, Key, Seen, Sent, Transaction, Value, Write};

/// How long a holder whose own requests wait leaves it open whether something is over for others, in milliseconds.
const UNDECIDED_MILLIS: u64 = 400;

/// What another host wants of this one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Wanted {
    want: Want,
    revision: Revision,
    decline: Decline,
}

/// Whether a want that cannot be served is being removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Decline {
    /// No, or not any more.
    No,
    /// At this time, unless something is over before.
    Later(Timestamp),
    /// Its removal is on its way.
    Sent,
    /// Its removal may not have landed: again at this time. Nobody else removes it where the asker has
    /// forgotten it.
    Again(Timestamp),
}

impl Wanted {
    pub(super) fn due(&self) -> Option<Timestamp> {
        match self.decline {
            Decline::Later(at) | Decline::Again(at) => Some(at),
            Decline::No | Decline::Sent => None,
        }
    }
}

impl Host {
    pub(super) fn want_seen(&mut self, key: Key, value: Option<Value>, revision: Revision) {
        let Key::Want { zone, holder, asker } = key else { return };
        if asker == self.identity.host {
            if value.is_none() {
                self.want_gone((zone, holder), revision);
            }
            return;
        }
        if holder != self.identity.host {
            return;
        }
        let key = (zone, asker);
        let newest = self.wants.get(&key).map(|wanted| wanted.revision);
        match value {
            Some(Value::Want(want)) if newest.is_none_or(|newest| revision > newest) => {
                self.wants.insert(key, Wanted { want, revision, decline: Decline::No });
            }
            None if newest.is_some_and(|newest| revision > newest) => {
                self.wants.remove(&key);
            }
            _ => (),
        }
    }

    /// Gives to those that ask what is free, the last one included; says so where nothing is.
    pub(super) fn look_at_wants(&mut self) {
        if self.wants.is_empty() || self.footing().is_err() {
            return;
        }
        let now = self.now;
        let standing = |wanted: &Wanted| match wanted.decline {
            Decline::No | Decline::Later(_) => true,
            Decline::Sent => false,
            Decline::Again(at) => at <= now,
        };
        let wants: Vec<((Zone, HostId), Wanted)> = self
            .wants
            .iter()
            .filter(|(_, wanted)| standing(wanted))
            .map(|(key, wanted)| (key.clone(), wanted.clone()))
            .collect();
        for ((zone, asker), Wanted { want, revision, decline }) in wants {
            let to = Holder { host: asker.clone(), incarnation: want.incarnation };
            let promised =
                |life: &Life| matches!(life, Life::Leaving { to: Some(promised) } if *promised == to);
            if self.held.values().any(|held| promised(&held.holding.state)) {
                continue;
            }
            let gifts = if self.asker_stands(&asker, &want).is_some() {
                self.gifts(&zone, &want.ask)
            } else {
                BTreeSet::new()
            };
            if gifts.is_empty() {
                match decline {
                    Decline::No if self.may_have_some_soon(&want.ask) => {
                        if let Some(wanted) = self.wants.get_mut(&(zone, asker)) {
                            wanted.decline = Decline::Later(now.after(UNDECIDED_MILLIS));
                        }
                    }
                    Decline::Later(at) if at > now && self.may_have_some_soon(&want.ask) => (),
                    _ => self.decline(zone, asker, revision),
                }
            }
            for address in gifts {
                let to = Some(to.clone());
                self.change(address, |_| Some(Life::Leaving { to }));
            }
        }
        let ids: Vec<BlockId> = self.blocks.keys().copied().filter(|id| self.idle(*id)).collect();
        for id in ids {
            self.let_go_of_unwanted(id);
            if let Some((addresses, to, also)) = self.next_leaving(id) {
                self.begin(id, Deed::GiveBack { addresses, to }, also).ok();
            }
        }
    }

    /// The revision of the asker's record, if it is still the incarnation and boot that asked.
    fn asker_stands(&self, asker: &HostId, want: &Want) -> Option<Revision> {
        let (record, revision) = self.hosts.get(asker)?;
        (record.incarnation == want.incarnation && record.boot == want.boot).then_some(*revision)
    }

    /// What can be given, all of one block. Requests of this host's own containers come first.
    fn gifts(&self, zone: &Zone, ask: &Ask) -> BTreeSet<IpAddr> {
        match ask {
            Ask::This(address) => {
                let free = self
                    .held
                    .get(address)
                    .is_some_and(|held| matches!(held.holding.state, Life::Free { .. }) && self.usable(held));
                free.then_some(*address).into_iter().collect()
            }
            Ask::Some { pool, count, v6 } => {
                if self.may_have_some_soon(ask) {
                    return BTreeSet::new();
                }
                let family = if *v6 { Family::V6 } else { Family::V4 };
                let Some(first) = self
                    .subnets_of(pool, family)
                    .filter(|cidr| self.subnets.get(cidr).is_some_and(|subnet| subnet.zone == *zone))
                    .filter_map(|cidr| self.queue.get(&cidr)?.first_key_value().map(|(_, address)| *address))
                    .next()
                else {
                    return BTreeSet::new();
                };
                let block = self.block_of(first);
                let queue = block.and_then(|id| self.queue.get(&id.subnet));
                let of_block = queue.into_iter().flat_map(|queue| queue.values().copied());
                of_block.filter(|address| self.block_of(*address) == block).take(*count as usize).collect()
            }
        }
    }

    /// Whether requests of this host's own containers wait for the same: what they are given, taken from the store or
    /// by others, may be more than they need.
    fn may_have_some_soon(&self, ask: &Ask) -> bool {
        let Ask::Some { pool, .. } = ask else { return false };
        self.waiting.values().any(|waiting| waiting.wants_of(pool))
    }

    /// Removes a want that cannot be served, so that its asker looks elsewhere.
    fn decline(&mut self, zone: Zone, asker: HostId, revision: Revision) {
        let Ok(mut compares) = self.footing() else { return };
        if let Some(wanted) = self.wants.get_mut(&(zone.clone(), asker.clone())) {
            wanted.decline = Decline::Sent;
        }
        let key = Key::Want { zone, holder: self.identity.host.clone(), asker };
        compares.push(Compare::At { key: key.clone(), revision });
        let transaction = Transaction { compares, writes: vec![Write::Delete(key.clone())] };
        self.send(transaction, AfterSend::Decline(key, revision));
    }

    pub(super) fn decline_sent(&mut self, key: Key, declined: Revision, outcome: Sent) {
        let again = Decline::Again(self.now.after(RETRY_MILLIS));
        match outcome {
            Sent::Committed { revision } => {
                return self.seen(vec![Seen { key, value: None, revision }]);
            }
            Sent::Conflict { now } => self.seen(now),
            Sent::Failed | Sent::Unknown => (),
        }
        // The same want still stands, as far as is known.
        let Key::Want { zone, asker, .. } = key else { return };
        if let Some(wanted) = self.wants.get_mut(&(zone, asker)).filter(|wanted| wanted.revision == declined)
        {
            wanted.decline = again;
        }
    }

    /// The leaving addresses of a block that can go in one transaction: to one asker, or back.
    pub(super) fn next_leaving(
        &mut self,
        id: BlockId,
    ) -> Option<(BTreeSet<IpAddr>, Option<Holder>, Transaction)> {
        let leaving = self.leaving_in(id);
        let first = *leaving.first()?;
        let to = self.leaving_to(first);
        let group: BTreeSet<IpAddr> =
            leaving.into_iter().filter(|address| self.leaving_to(*address) == to).collect();
        let Some(asker) = &to else { return Some((group, None, Transaction::default())) };
        if let Some(also) = self.grant_terms(id, asker) {
            return Some((group, to, also));
        }
        // Nobody waits for them any more: back to the block.
        for address in &group {
            self.change(*address, |_| Some(Life::Leaving { to: None }));
        }
        Some((group, None, Transaction::default()))
    }

    fn leaving_to(&self, address: IpAddr) -> Option<Holder> {
        match self.held.get(&address).map(|held| &held.holding.state) {
            Some(Life::Leaving { to }) => to.clone(),
            _ => None,
        }
    }

    /// A grant compares that the asker is still who asked, and removes its want.
    fn grant_terms(&self, id: BlockId, asker: &Holder) -> Option<Transaction> {
        let zone = self.zone_of(id)?;
        let Wanted { want, revision, .. } = self.wants.get(&(zone.clone(), asker.host.clone()))?;
        let stands =
            self.asker_stands(&asker.host, want).filter(|_| want.incarnation == asker.incarnation)?;
        let key = Key::Want { zone, holder: self.identity.host.clone(), asker: asker.host.clone() };
        Some(Transaction {
            compares: vec![
                Compare::At { key: Key::Host(asker.host.clone()), revision: stands },
                Compare::At { key: key.clone(), revision: *revision },
            ],
            writes: vec![Write::Delete(key)],
        })
    }
}
