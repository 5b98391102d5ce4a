//! What the cloud shows otherwise than the store: named, each with its cure. Pure.

use std::collections::BTreeSet;

use ipam::Subnet;
use ipnetwork::IpNetwork;
use provider::{CloudSubnet, ClusterTags, ZoneId};

/// A subnet of which the cloud says something else than the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surprise {
    /// Which.
    pub subnet: IpNetwork,
    /// What is the matter.
    pub problem: String,
    /// What an operator can do.
    pub hint: String,
}

/// What is surprising in what the cloud shows of a zone.
///
/// `open` are the subnets that the store knows and that are not about to be returned, `booked` all that are in its
/// book: in other zones, too, and just being opened or returned.
pub fn surprises(
    tags: &ClusterTags,
    zone: &ZoneId,
    open: &[Subnet],
    booked: &BTreeSet<IpNetwork>,
    cloud: &[CloudSubnet],
) -> Vec<Surprise> {
    let of_zone = |subnet: &&CloudSubnet| subnet.zone == *zone;
    let mut found = Vec::new();
    for subnet in open.iter().filter(|subnet| subnet.zone.0 == zone.as_str()) {
        match cloud.iter().filter(of_zone).find(|shown| shown.cidr == subnet.cidr) {
            None => found.push(vanished(subnet)),
            Some(shown) => found.extend(other_gateway(subnet, shown)),
        }
    }
    let known = |shown: &CloudSubnet| {
        booked.contains(&shown.cidr) || open.iter().any(|subnet| subnet.cidr == shown.cidr)
    };
    let strangers = cloud.iter().filter(of_zone).filter(|shown| tags.mark_opened(shown) && !known(shown));
    found.extend(strangers.map(opened_elsewhere));
    found
}

fn vanished(subnet: &Subnet) -> Surprise {
    Surprise {
        subnet: subnet.cidr,
        problem: format!(
            "the provider does not show it in zone {} any more; its containers keep their addresses, and after a \
             minute nothing more of it is handed out",
            subnet.zone
        ),
        hint: format!(
            "if it was cancelled or moved to another VLAN by mistake, undo that with the provider: it is handed out \
             again by itself; else start its containers anew (`berth address list`) and say `berth subnet drain {}`",
            subnet.cidr
        ),
    }
}

fn other_gateway(subnet: &Subnet, shown: &CloudSubnet) -> Option<Surprise> {
    let (ours, theirs) = (subnet.gateway?, shown.gateway?);
    (ours != theirs).then(|| Surprise {
        subnet: subnet.cidr,
        problem: format!("the provider's router in it is {theirs}, and its containers send to {ours}"),
        hint: format!(
            "ask the provider to route {ours} again; else `berth subnet drain {}`, start its containers anew, and \
             tag the subnet anew when it is empty",
            subnet.cidr
        ),
    })
}

fn opened_elsewhere(shown: &CloudSubnet) -> Surprise {
    Surprise {
        subnet: shown.cidr,
        problem: "it bears the tag that this cluster opened it, and this cluster's store does not know it: another \
                  cluster has the same name, or had, or the store lost it. It is never handed out here"
            .to_owned(),
        hint: format!(
            "give each cluster of an account its own name (`cluster` in berth.toml); if nobody uses {}, remove the \
             tag that ends in `:opened` with the provider, and it is adopted",
            shown.cidr
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipam::{PoolName, Zone};
    use provider::{SubnetId, Tag};

    const CIDR: &str = "10.60.0.0/28";

    fn open() -> Subnet {
        Subnet {
            cidr: CIDR.parse().unwrap(),
            pool: PoolName::from("default"),
            zone: Zone("7".into()),
            gateway: Some("10.60.0.1".parse().unwrap()),
        }
    }

    fn shown(gateway: &str, tags: &[&str]) -> CloudSubnet {
        CloudSubnet {
            id: SubnetId::new("1"),
            cidr: CIDR.parse().unwrap(),
            gateway: Some(gateway.parse().unwrap()),
            zone: ZoneId::new("7"),
            tags: tags.iter().map(|tag| Tag::new(*tag)).collect(),
            note: None,
        }
    }

    fn found(open: &[Subnet], booked: &[&str], cloud: &[CloudSubnet]) -> Vec<String> {
        let tags = ClusterTags::of("demo").unwrap();
        let booked = booked.iter().map(|cidr| cidr.parse().unwrap()).collect();
        let found = surprises(&tags, &ZoneId::new("7"), open, &booked, cloud);
        assert!(found.iter().all(|it| it.hint.contains("drain") || it.hint.contains("berth.toml")));
        found.into_iter().map(|it| it.problem).collect()
    }

    #[test]
    fn what_the_cloud_shows_as_the_store_has_it_surprises_nobody() {
        assert_eq!(found(&[open()], &[], &[shown("10.60.0.1", &["berth:demo:opened"])]), [""; 0]);
    }

    #[test]
    fn a_subnet_that_vanished_and_a_gateway_that_changed_are_named() {
        let gone = found(&[open()], &[], &[]);
        assert!(gone.len() == 1 && gone[0].contains("does not show it in zone 7"), "{gone:?}");
        let moved = found(&[open()], &[], &[shown("10.60.0.14", &[])]);
        assert!(moved.len() == 1 && moved[0].contains("is 10.60.0.14"), "{moved:?}");
        let elsewhere = CloudSubnet { zone: ZoneId::new("8"), ..shown("10.60.0.1", &[]) };
        assert_eq!(found(&[open()], &[], &[elsewhere]), gone, "routed to another VLAN");
    }

    #[test]
    fn a_subnet_that_another_cluster_of_this_name_opened_is_named_and_one_that_is_being_opened_is_not() {
        let strangers = found(&[], &[], &[shown("10.60.0.1", &["berth:demo", "berth:demo:opened"])]);
        assert!(
            strangers.len() == 1 && strangers[0].contains("another cluster has the same name"),
            "{strangers:?}"
        );
        assert_eq!(found(&[], &[CIDR], &[shown("10.60.0.1", &["berth:demo:opened"])]), [""; 0]);
        assert_eq!(found(&[], &[], &[shown("10.60.0.1", &["berth:other:opened"])]), [""; 0]);
    }
}
