//! Zones, their portable subnets, and the tags by which a cluster knows its own.

use std::{fmt, net::IpAddr};

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

/// The L2 domain in which a portable subnet can be used.
///
/// SoftLayer: the VLAN's id (its number is not unique). Made of `a-z`, `0-9`, `.` and `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ZoneId(String);

/// A subnet's id at its provider.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SubnetId(String);

/// A tag on a subnet. Providers keep tags without regard to case, so they are compared so.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Tag(String);

macro_rules! text_id {
    ($name:ident) => {
        impl $name {
            /// From the provider's own spelling.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// As text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(ZoneId);
text_id!(SubnetId);
text_id!(Tag);

impl PartialEq for Tag {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Tag {}

/// A portable subnet as the provider shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudSubnet {
    /// Its id at the provider.
    pub id: SubnetId,
    /// Its addresses.
    pub cidr: IpNetwork,
    /// The address of the provider's router in it.
    pub gateway: Option<IpAddr>,
    /// The zone it is routed to.
    pub zone: ZoneId,
    /// All its tags, ours and others'.
    pub tags: Vec<Tag>,
    /// A remark that people left on it.
    pub note: Option<String>,
}

/// An address that the provider keeps for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CloudAddress {
    /// Which.
    pub address: IpAddr,
    /// What for.
    pub set_aside: SetAside,
}

/// Why the provider keeps an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SetAside {
    /// The subnet's network address.
    Network,
    /// The subnet's router.
    Gateway,
    /// The subnet's broadcast address.
    Broadcast,
    /// Kept for the provider's own use, such as the real addresses of a pair of routers (HSRP), or already used by
    /// one of its machines.
    Reserved,
    /// The operator says that others use it.
    Excluded,
}

/// A change of a subnet's tags that leaves all others in place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagEdit {
    /// Tags to have.
    pub add: Vec<Tag>,
    /// Tags not to have.
    pub remove: Vec<Tag>,
}

impl TagEdit {
    /// The whole set after the edit, in a stable order: what was there, then what is new.
    pub fn applied_to(&self, tags: &[Tag]) -> Vec<Tag> {
        let mut edited: Vec<Tag> = tags.iter().filter(|tag| !self.remove.contains(tag)).cloned().collect();
        for tag in &self.add {
            if !edited.contains(tag) {
                edited.push(tag.clone());
            }
        }
        edited
    }

    /// Whether `tags` already are as the edit wants them.
    pub fn holds_in(&self, tags: &[Tag]) -> bool {
        self.add.iter().all(|tag| tags.contains(tag)) && !self.remove.iter().any(|tag| tags.contains(tag))
    }
}

/// The tags by which one cluster knows its subnets: `berth:<cluster>` and `berth:<cluster>:opened`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterTags {
    ours: Tag,
    opened: Tag,
}

/// A cluster name that cannot stand in a tag.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' cannot name a cluster: 1 to 40 of a-z, 0-9 and - are allowed")]
pub struct MalformedClusterName(String);

impl ClusterTags {
    /// The tags of a cluster.
    ///
    /// # Errors
    /// When the name could be mistaken for another's tag or split a list of tags: only 1 to 40 of `a-z`, `0-9` and
    /// `-` are allowed.
    pub fn of(cluster: &str) -> Result<Self, MalformedClusterName> {
        let plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        if !(1..=40).contains(&cluster.len()) || !cluster.bytes().all(plain) {
            return Err(MalformedClusterName(cluster.to_owned()));
        }
        Ok(Self { ours: Tag(format!("berth:{cluster}")), opened: Tag(format!("berth:{cluster}:opened")) })
    }

    /// Whether the subnet is meant for this cluster.
    pub fn mark(&self, subnet: &CloudSubnet) -> bool {
        subnet.tags.contains(&self.ours)
    }

    /// Whether a cluster of this name once opened the subnet. Such a subnet is never adopted as free.
    pub fn mark_opened(&self, subnet: &CloudSubnet) -> bool {
        subnet.tags.contains(&self.opened)
    }

    /// The edit that makes a subnet this cluster's, opened.
    pub fn opening(&self) -> TagEdit {
        TagEdit { add: vec![self.ours.clone(), self.opened.clone()], remove: vec![] }
    }

    /// The edit that makes a subnet this cluster's, not opened.
    pub fn claiming(&self) -> TagEdit {
        TagEdit { add: vec![self.ours.clone()], remove: vec![] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(names: &[&str]) -> Vec<Tag> {
        names.iter().map(|name| Tag::new(*name)).collect()
    }

    #[test]
    fn an_edit_keeps_foreign_tags() {
        let edit = TagEdit { add: tags(&["berth:demo"]), remove: tags(&["old"]) };
        assert_eq!(edit.applied_to(&tags(&["billing", "old"])), tags(&["billing", "berth:demo"]));
        assert!(edit.holds_in(&tags(&["Berth:Demo", "billing"])));
        assert!(!edit.holds_in(&tags(&["berth:demo", "OLD"])));
    }

    #[test]
    fn one_clusters_tags_are_not_anothers() {
        let demo = ClusterTags::of("demo").unwrap();
        let mut subnet = CloudSubnet {
            id: SubnetId::new("1"),
            cidr: "10.0.0.0/29".parse().unwrap(),
            gateway: None,
            zone: ZoneId::new("7"),
            tags: tags(&["berth:demo2", "berth:demo2:opened"]),
            note: None,
        };
        assert!(!demo.mark(&subnet) && !demo.mark_opened(&subnet));
        subnet.tags = demo.opening().applied_to(&subnet.tags);
        assert!(demo.mark(&subnet) && demo.mark_opened(&subnet));
    }

    #[test]
    fn a_cluster_name_that_could_forge_or_split_a_tag_is_refused() {
        for name in ["", "demo:opened", "a,b", "Demo", "a b", &"x".repeat(41)] {
            assert!(ClusterTags::of(name).is_err(), "{name}");
        }
    }
}
