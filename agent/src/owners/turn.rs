//! Who tries first to take a load balancer that is nobody's.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use ipam::HostId;

/// How many hosts that live try before this one, for this object. Each object has an order of its own, so that owners
/// spread over hosts (rendezvous hashing). Hosts of two versions may order them otherwise: the store decides.
pub(super) fn rank(object: &str, host: &HostId, living: &BTreeSet<HostId>) -> usize {
    let score = |host: &HostId| {
        let mut hasher = DefaultHasher::new();
        (object, &host.0).hash(&mut hasher);
        (hasher.finish(), host.clone())
    };
    let own = score(host);
    living.iter().filter(|other| score(other) > own).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_host_has_a_place_of_its_own_and_objects_spread() {
        let hosts: BTreeSet<HostId> = ["h1", "h2", "h3"].map(HostId::from).into();
        let mut first = BTreeSet::new();
        for object in (0..50).map(|number| format!("balancer-{number}")) {
            let ranks: BTreeSet<usize> = hosts.iter().map(|host| rank(&object, host, &hosts)).collect();
            assert_eq!(ranks, BTreeSet::from([0, 1, 2]), "{object}");
            first.extend(hosts.iter().filter(|host| rank(&object, host, &hosts) == 0).cloned());
        }
        assert_eq!(first, hosts, "one host has all of them");
    }
}
