//! Whose configuration a pool goes by.
//!
//! Hosts of one cluster may be configured differently, by mistake or while a change makes its way from host to host.
//! The word of the host that has the capacity role of a zone counts: it writes its own policy to `policies/<pool>`,
//! with its name, and what hosts need of it to `pools/<pool>`, under its term. Where a pool is in several zones,
//! whoever wrote first counts for all of them for as long as it lives and has its role: two roles with different
//! configurations would otherwise overwrite each other for ever. Every other role goes by what is written, and every
//! other host says in what its configuration differs.

use ipam::{HostId, Pool, PoolName};
use ipnetwork::IpNetwork;
use provider::{Provider, ZoneId};
use serde::{Deserialize, Serialize};
use store::{
    Transaction,
    layout::{self, Item},
};
use tracing::info;

use super::{
    PoolPolicy, look,
    role::Role,
    term::{Term, compared},
    trouble::Trouble,
    view::View,
};

/// `policies/<pool>`: what the cluster goes by, and whose configuration says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRecord {
    /// What.
    pub policy: PoolPolicy,
    /// Whose configuration.
    pub by: HostId,
    /// The zone whose role that host had when it wrote this.
    pub zone: ZoneId,
}

/// An option of a pool in which two policies differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// As the configuration spells it.
    pub option: &'static str,
    /// What this one says.
    pub here: String,
    /// What the other one says.
    pub there: String,
}

impl PoolPolicy {
    /// In what this policy differs from another one of the same pool.
    pub fn differences(&self, other: &PoolPolicy) -> Vec<Difference> {
        let told = |policy: &PoolPolicy| {
            [
                ("network", policy.network.to_string()),
                ("prefix", policy.prefix.to_string()),
                ("subnets_max", policy.subnets_max.to_string()),
                ("free_min", policy.free_min.to_string()),
                ("exclude", ranges(&policy.exclude)),
                (
                    "cooling_secs",
                    format!("{}", std::time::Duration::from_millis(policy.cooling_millis).as_secs()),
                ),
            ]
        };
        let pairs = told(self).into_iter().zip(told(other));
        pairs
            .filter(|((_, here), (_, there))| here != there)
            .map(|((option, here), (_, there))| Difference { option, here, there })
            .collect()
    }
}

fn ranges(ranges: &[IpNetwork]) -> String {
    let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
    format!("[{}]", ranges.join(", "))
}

/// What a pool goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GoesBy {
    /// This host's configuration, as is written.
    Ours,
    /// This host's configuration, which is to be written.
    OursUnwritten,
    /// What another host wrote.
    Theirs,
}

/// What a pool of this zone goes by, where this host has the zone's role. `stands` says whether the writer of a
/// record lives and still has the role under which it wrote.
pub(super) fn goes_by(
    ours: &PoolPolicy,
    written: Option<&PolicyRecord>,
    me: &HostId,
    zone: &ZoneId,
    stands: impl Fn(&PolicyRecord) -> bool,
) -> GoesBy {
    match written {
        Some(record) if record.by != *me && record.zone != *zone && stands(record) => GoesBy::Theirs,
        Some(record)
            if record.by == *me && record.policy == *ours && (record.zone == *zone || stands(record)) =>
        {
            GoesBy::Ours
        }
        _ => GoesBy::OursUnwritten,
    }
}

impl View {
    /// What a pool of this zone goes by.
    pub(super) fn goes_by(&self, ours: &PoolPolicy, me: &HostId, zone: &ZoneId) -> GoesBy {
        let stands = |record: &PolicyRecord| {
            let lives = self.hosts.get(&record.by).is_some_and(|host| host.alive);
            lives && self.owners.get(&record.zone) == Some(&record.by)
        };
        goes_by(ours, self.written(&ours.name), me, zone, stands)
    }

    fn written(&self, pool: &PoolName) -> Option<&PolicyRecord> {
        self.policies.get(pool).map(|at| &at.value)
    }

    /// Puts what other hosts wrote in the place of this host's own policies.
    pub(super) fn follow_policies(&mut self, me: &HostId, zone: &ZoneId) {
        let followed = self.pools.iter().map(|ours| match self.goes_by(ours, me, zone) {
            GoesBy::Theirs => self.written(&ours.name).map_or(ours, |record| &record.policy).clone(),
            GoesBy::Ours | GoesBy::OursUnwritten => ours.clone(),
        });
        self.pools = followed.collect();
    }
}

impl<P: Provider> Role<P> {
    /// Writes this host's policies where they count and are not written.
    pub(super) async fn write_policies(&self, term: &Term, view: &View) -> Result<(), Trouble> {
        let (me, zone) = (&self.parts.host, self.zone());
        let ours = self.parts.pools.iter().filter(|policy| policy.network == view.network);
        for policy in ours.filter(|policy| view.goes_by(policy, me, zone) == GoesBy::OursUnwritten) {
            let record = PolicyRecord { policy: policy.clone(), by: me.clone(), zone: zone.clone() };
            let key = Item::Policy(policy.name.0.clone()).key();
            let stands = view.policies.get(&policy.name).map(|at| at.revision);
            let transaction = compared(Transaction::new(), key.clone(), stands);
            let transaction = transaction.put(key.clone(), layout::encode(&key, &record)?);
            let transaction = self.with_pool(transaction, policy).await?;
            self.commit(term, transaction).await?;
            info!(pool = %policy.name, "the pool goes by this host's configuration");
        }
        Ok(())
    }

    /// Adds what hosts need of a policy, if that is written otherwise.
    async fn with_pool(&self, transaction: Transaction, policy: &PoolPolicy) -> Result<Transaction, Trouble> {
        let key = Item::Pool(policy.name.0.clone()).key();
        let pool = Pool { name: policy.name.clone(), cooling_millis: policy.cooling_millis };
        let value = layout::encode(&key, &pool)?;
        let stands = self.parts.store.get(&key).await?.entry;
        let revision = look::revision_of(stands.as_ref());
        let transaction = compared(transaction, key.clone(), revision);
        let written = stands.is_some_and(|entry| entry.value == value);
        Ok(if written { transaction } else { transaction.put(key, value) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use provider::Network;

    fn policy(free_min: u32) -> PoolPolicy {
        PoolPolicy {
            name: PoolName::from("default"),
            network: Network::Private,
            prefix: 26,
            subnets_max: 2,
            free_min,
            exclude: vec![],
            cooling_millis: 30_000,
        }
    }

    fn by(host: &str, zone: &str, free_min: u32) -> PolicyRecord {
        PolicyRecord { policy: policy(free_min), by: host.into(), zone: ZoneId::new(zone) }
    }

    fn seen_by(me: &str, zone: &str, written: &PolicyRecord, stands: bool) -> GoesBy {
        goes_by(&policy(8), Some(written), &me.into(), &ZoneId::new(zone), |_| stands)
    }

    #[test]
    fn the_word_of_who_has_the_role_counts_and_is_written_once() {
        assert_eq!(
            goes_by(&policy(8), None, &"h1".into(), &ZoneId::new("a"), |_| true),
            GoesBy::OursUnwritten
        );
        assert_eq!(seen_by("h1", "a", &by("h1", "a", 8), true), GoesBy::Ours);
        assert_eq!(
            seen_by("h1", "a", &by("h1", "a", 8), false),
            GoesBy::Ours,
            "its session is not there yet"
        );
        assert_eq!(seen_by("h1", "a", &by("h1", "a", 9), true), GoesBy::OursUnwritten, "it was changed");
        assert_eq!(seen_by("h1", "a", &by("h2", "a", 9), false), GoesBy::OursUnwritten, "the role moved");
    }

    #[test]
    fn of_two_roles_with_different_configurations_one_counts_and_neither_overwrites_the_other_for_ever() {
        let written = by("h1", "a", 9);
        assert_eq!(seen_by("h2", "b", &written, true), GoesBy::Theirs);
        assert_eq!(seen_by("h1", "b", &written, true), GoesBy::OursUnwritten, "its own word, changed since");
        assert_eq!(seen_by("h2", "b", &written, false), GoesBy::OursUnwritten, "who wrote it is gone");
        assert_eq!(
            seen_by("h2", "b", &by("h1", "a", 8), false),
            GoesBy::OursUnwritten,
            "by whom must be true"
        );
    }

    #[test]
    fn each_option_that_differs_is_named_with_both_values() {
        let other = PoolPolicy {
            prefix: 27,
            exclude: vec!["10.0.0.0/30".parse().unwrap()],
            cooling_millis: 5_000,
            ..policy(8)
        };
        let named: Vec<String> = policy(8)
            .differences(&other)
            .iter()
            .map(|it| format!("{} {} {}", it.option, it.here, it.there))
            .collect();
        assert_eq!(named, ["prefix 26 27", "exclude [] [10.0.0.0/30]", "cooling_secs 30 5"]);
        assert!(policy(8).differences(&policy(8)).is_empty());
    }
}
