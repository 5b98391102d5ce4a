//! The kernel's switches that the data path needs, by name.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::IfName;

/// One switch of one link, or of `all`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sysctl {
    /// The link; `None` is the kernel's `all`.
    pub link: Option<IfName>,
    /// What is switched.
    pub knob: Knob,
}

/// What is switched (Documentation/networking/ip-sysctl.rst).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Knob {
    /// Forward packets that come in here. Set link by link and never for the whole host: other links
    /// keep what they had. Proxied addresses are answered for only on links that forward.
    Forwarding,
    /// Answer ARP for whatever is routed elsewhere.
    ProxyArp,
    /// Wait this long (1/100 s, at random up to it) before a proxied answer. The default of 80 made a
    /// container's first packet wait 0.4 s.
    ProxyDelay,
    /// Tell senders of a shorter way. A redirect would send containers of two subnets on one bridge
    /// past their gateway, to addresses they hold to be elsewhere.
    SendRedirects,
    /// 0 off, 1 strict, 2 loose: does the source lie where the packet came from?
    RpFilter,
    /// Let 127.0.0.0/8 through, which a published port needs to be reached as `localhost`.
    RouteLocalnet,
}

impl Knob {
    fn name(self) -> &'static str {
        match self {
            Self::Forwarding => "forwarding",
            Self::ProxyArp => "proxy_arp",
            Self::ProxyDelay => "proxy_delay",
            Self::SendRedirects => "send_redirects",
            Self::RpFilter => "rp_filter",
            Self::RouteLocalnet => "route_localnet",
        }
    }
}

impl Sysctl {
    /// A switch of one link.
    pub fn of(link: &IfName, knob: Knob) -> Self {
        Self { link: Some(link.clone()), knob }
    }

    /// The file that shows and takes the value.
    pub fn path(&self) -> PathBuf {
        let family = if self.knob == Knob::ProxyDelay { "neigh" } else { "conf" };
        let link = self.link.as_ref().map_or("all", IfName::as_str);
        ["/proc/sys/net/ipv4", family, link, self.knob.name()].iter().collect()
    }
}

impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let link = self.link.as_ref().map_or("all", IfName::as_str);
        write!(f, "{} of {link}", self.knob.name())
    }
}

/// JSON knows only text as a map's key, so the map is written as a list of pairs.
pub(crate) mod as_list {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::Sysctl;

    pub(crate) fn serialize<S: Serializer>(map: &BTreeMap<Sysctl, u32>, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(map)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<Sysctl, u32>, D::Error> {
        Ok(Vec::<(Sysctl, u32)>::deserialize(from)?.into_iter().collect())
    }
}
