//! Why a pool has no address: everything that can be counted.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::NotReady;
use crate::names::{HostId, PoolName, Zone};

/// Everything there is to know about why a pool has no address for this host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Shortage {
    /// The pool.
    pub pool: Option<PoolName>,
    /// The zones of this host in which it was looked for.
    pub zones: Vec<Zone>,
    /// How many subnets the pool has there.
    pub subnets: u32,
    /// How many addresses those have.
    pub total: u32,
    /// Assigned on this host.
    pub assigned: u32,
    /// Cooling on this host, by timer alone.
    pub cooling: u32,
    /// The shortest remaining time of those, in milliseconds.
    pub cooling_next_millis: Option<u64>,
    /// Cooling on this host until their endpoint is closed or nothing in the cloud names them.
    pub cooling_published: u32,
    /// Free, but kept for names.
    pub reserved: u32,
    /// On their way from this host.
    pub leaving: u32,
    /// Held by other hosts, used or free.
    pub held_by: BTreeMap<HostId, u32>,
    /// Held by nobody.
    pub free: u32,
    /// Held by nobody, but in blocks whose subnet is being emptied.
    pub emptying: u32,
    /// Never handed out.
    pub set_aside: u32,
    /// Held back after evictions.
    pub quarantined: u32,
    /// Held since an earlier boot and not yet re-taken.
    pub not_retaken: u32,
    /// What the capacity role says about more.
    pub capacity: Capacity,
    /// Why nothing can be taken now, if so.
    pub not_ready: Option<NotReady>,
    /// Whether other holders could not be asked, because the store does not answer.
    pub store_is_silent: bool,
}

/// What the capacity role does about a pool's size; passed on in refusals.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Capacity {
    /// An order under way, in the role's words.
    pub order: Option<String>,
    /// The limit that keeps it from ordering, in the role's words.
    pub limit: Option<String>,
}

/// How many holders a refusal names: it is one line in what `docker run` prints. `berth subnet list` has them all.
const NAMED_MAX: usize = 8;

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pool = self.pool.as_ref().map_or("", |pool| &pool.0);
        let zones: Vec<&str> = self.zones.iter().map(|zone| zone.0.as_str()).collect();
        write!(f, "no free address in pool {pool} in zone {}", zones.join(", "))?;
        let plural = if self.subnets == 1 { "" } else { "s" };
        write!(f, ": {} subnet{plural}, {} addresses", self.subnets, self.total)?;
        let mut part = |count: u32, what: &str| match count {
            0 => Ok(()),
            _ => write!(f, ", {count} {what}"),
        };
        part(self.assigned, "assigned here")?;
        part(self.cooling, "cooling by timer")?;
        part(self.cooling_published, "cooling until the cloud has forgotten them")?;
        part(self.reserved, "reserved")?;
        part(self.leaving, "leaving")?;
        let mut holders: Vec<(&HostId, u32)> =
            self.held_by.iter().map(|(host, count)| (host, *count)).collect();
        // Who has most first; of those with as many, in the order of their names.
        holders.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let others = holders.split_off(holders.len().min(NAMED_MAX));
        for (host, count) in holders {
            part(count, &format!("held by {host}"))?;
        }
        part(others.iter().map(|(_, count)| count).sum(), &format!("held by {} other hosts", others.len()))?;
        part(self.free, "free in the store")?;
        part(self.emptying, "in subnets being emptied")?;
        part(self.set_aside, "set aside")?;
        part(self.quarantined, "quarantined")?;
        part(self.not_retaken, "not yet re-taken after boot")?;
        if let Some(order) = &self.capacity.order {
            write!(f, "; {order}")?;
        }
        if let Some(limit) = &self.capacity.limit {
            write!(f, "; {limit}")?;
        }
        if let Some(not_ready) = &self.not_ready {
            write!(f, "; {not_ready}")?;
        }
        match self.cooling_next_millis {
            Some(left) if self.not_ready.is_none() => {
                write!(f, "; the next is free in {} s", left.div_ceil(1000))
            }
            _ if self.store_is_silent => {
                write!(f, "; the store does not answer, so nothing can be had of other hosts until it does")
            }
            _ if self.not_ready.is_some() || self.capacity.order.is_some() => Ok(()),
            _ => write!(f, "; release some, or raise the pool's limit"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_the_largest_holders_and_counts_the_others() {
        let held_by = (0..1_000).map(|number| (HostId(format!("h{number:03}")), 1 + u32::from(number == 7)));
        let shortage = Shortage { held_by: held_by.collect(), ..Shortage::default() };
        let said = shortage.to_string();
        assert!(said.contains(", 2 held by h007, 1 held by h000, "), "{said}");
        assert!(said.contains(", 1 held by h006, 992 held by 992 other hosts"), "{said}");
        assert!(said.len() < 400, "{said}");
    }
}
