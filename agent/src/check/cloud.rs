//! What the provider has of this cluster's that the cluster does not know.

use crate::api::Desk;
use ::api::{Finding, Order, Source, Word};
use ipam::View;
use provider::{CloudSubnet, ClusterTags};

/// The provider's subnets that bear this cluster's tag and are not open in the store, as far as this host sees.
pub(super) fn unknown(desk: &Desk, view: &View, subnets: &[CloudSubnet]) -> Vec<CloudSubnet> {
    let tags = desk.config.as_ref().ok().and_then(|config| ClusterTags::of(&config.cluster).ok());
    tags.map(|tags| unknown_to(&tags, view, subnets)).unwrap_or_default()
}

pub(super) fn unknown_to(tags: &ClusterTags, view: &View, subnets: &[CloudSubnet]) -> Vec<CloudSubnet> {
    // One that was never opened is about to be adopted: that is what the tag is for.
    let ours = subnets.iter().filter(|subnet| tags.mark_opened(subnet));
    let is_known = |cidr| view.subnets.iter().any(|known| known.subnet.cidr == cidr);
    ours.filter(|subnet| !is_known(subnet.cidr)).cloned().collect()
}

/// Those of which no order tells what becomes of them either: paid for, and used by nobody.
pub(super) fn orphans(unknown: &[CloudSubnet], orders: &[Order]) -> Vec<Finding> {
    let is_told = |subnet: &CloudSubnet| orders.iter().any(|order| order.subnet == Some(subnet.cidr));
    let finding = |subnet: &CloudSubnet| {
        Finding {
        promise: Some("L4".into()),
        subject: subnet.cidr.to_string(),
        problem: "the cloud has it for this cluster, and the cluster does not know it".into(),
        words: vec![
            Word::of(Source::Store, "no subnet and no order of it"),
            Word::of(
                Source::Cloud,
                format!("portable in zone {}, id {}, once opened by this cluster", subnet.zone, subnet.id),
            )
            .differing(true),
        ],
        hint: Some(
            "it is paid for and not used: make sure that nobody uses it, then cancel it in the cloud's console".into(),
        ),
    }
    };
    unknown.iter().filter(|subnet| !is_told(subnet)).map(finding).collect()
}
