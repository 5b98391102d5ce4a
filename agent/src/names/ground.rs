//! Which addresses are ours, and who may ask.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use store::layout::Item;

use crate::docker::events::Sight;
use crate::services::Stands;

/// The networks that this host knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ground {
    /// Subnets of the cluster, in any zone.
    ours: Vec<IpNetwork>,
    /// Docker's other networks on this host: dockerd has one `dns` for all containers.
    dockers: Vec<IpNetwork>,
    /// This host's own addresses, where it listens.
    own: Vec<IpAddr>,
}

impl Ground {
    pub(super) fn of(ours: &[IpNetwork], sight: Option<&Sight>, own: Vec<IpAddr>) -> Self {
        let networks = sight.into_iter().flat_map(|sight| &sight.networks);
        let dockers = networks.flat_map(|network| network.subnets.clone()).collect();
        Self { ours: ours.to_vec(), dockers, own }
    }

    /// Whether the address is one that only containers of this cluster have.
    pub(super) fn is_ours(&self, address: IpAddr) -> bool {
        self.ours.iter().any(|subnet| subnet.contains(address))
    }

    /// Whether who has this address is answered: a container of the cluster or of this host, or the host itself.
    /// Everybody else would make of us a resolver for the world.
    pub(super) fn may_ask(&self, address: IpAddr) -> bool {
        address.is_loopback()
            || self.own.contains(&address)
            || self.is_ours(address)
            || self.dockers.iter().any(|subnet| subnet.contains(address))
    }
}

/// The subnets of the cluster, as the store has them.
pub(super) fn subnets_in(stands: &Stands) -> Vec<IpNetwork> {
    let subnet = |key| match Item::of(key) {
        Some(Item::Subnet(cidr)) => Some(cidr),
        _ => None,
    };
    stands.keys().filter_map(subnet).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::NetworkId;
    use crate::docker::events::SeenNetwork;

    #[test]
    fn containers_of_the_cluster_and_of_this_host_may_ask_and_nobody_else() {
        let bridge = SeenNetwork {
            id: NetworkId("b".into()),
            name: "bridge".into(),
            driver: "bridge".into(),
            ipam_driver: "default".into(),
            subnets: vec!["172.17.0.0/16".parse().unwrap()],
            auxiliary: Default::default(),
            internal: false,
            mtu: None,
            bridge: None,
        };
        let sight = Sight { networks: vec![bridge], ..Sight::default() };
        let ours = ["10.60.0.0/26".parse().unwrap()];
        let ground = Ground::of(&ours, Some(&sight), vec!["10.0.0.5".parse().unwrap()]);
        for (address, may) in [
            ("10.60.0.9", true),
            ("172.17.0.2", true),
            ("127.0.0.1", true),
            ("10.0.0.5", true),
            ("10.0.0.6", false),
            ("8.8.8.8", false),
        ] {
            assert_eq!(ground.may_ask(address.parse().unwrap()), may, "{address}");
        }
        assert!(!ground.is_ours("172.17.0.2".parse().unwrap()));
    }
}
