//! Wants that nobody will ever answer, or whose asker is gone: what the zone's role sweeps up.
//!
//! A want is removed by who answers it or by who asked. Where one of them is gone for good, nobody would: it lies
//! in the store for ever, and once its holder comes back it is answered by a grant that nobody waits for.

use super::HostsSeen;
use crate::cluster::Want;
use crate::names::{HostId, Revision, Zone};
use crate::transaction::{Compare, Key, Transaction, Write};

/// Wants that one transaction removes: two operations each, of the 128 that a store takes.
const REMOVED_AT_ONCE_MAX: usize = 48;

/// A want as one look at the store showed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantSeen {
    /// Who is asked.
    pub holder: HostId,
    /// Who asks.
    pub asker: HostId,
    /// What.
    pub want: Want,
    /// When it was written.
    pub revision: Revision,
}

/// The transaction that removes the wants of a zone that nobody will answer or nobody waits for any more; `None` if
/// there are none. To be sent with the compares of the role's term and of the cluster record.
///
/// A holder that is only silent keeps its wants: it may be back in a moment. A want that is removed although
/// somebody waits, because an older record of its asker was seen, is no loss: the asker takes it for declined, and
/// asks again.
pub fn sweep_wants(zone: &Zone, hosts: &HostsSeen, wants: &[WantSeen]) -> Option<Transaction> {
    let left: Vec<&WantSeen> =
        wants.iter().filter(|seen| is_left(zone, hosts, seen)).take(REMOVED_AT_ONCE_MAX).collect();
    let key = |seen: &WantSeen| Key::Want {
        zone: zone.clone(),
        holder: seen.holder.clone(),
        asker: seen.asker.clone(),
    };
    let compares = left.iter().map(|seen| Compare::At { key: key(seen), revision: seen.revision }).collect();
    let writes: Vec<Write> = left.iter().map(|seen| Write::Delete(key(seen))).collect();
    (!writes.is_empty()).then_some(Transaction { compares, writes })
}

fn is_left(zone: &Zone, hosts: &HostsSeen, seen: &WantSeen) -> bool {
    let answers = hosts.get(&seen.holder).is_some_and(|holder| {
        let evicted = !holder.alive && holder.witnessed == Some(holder.record.incarnation);
        holder.record.zones.contains(zone) && !evicted
    });
    let waits = hosts.get(&seen.asker).is_some_and(|asker| {
        asker.record.incarnation <= seen.want.incarnation && asker.record.boot == seen.want.boot
    });
    !answers || !waits
}
