//! Docker's PoolID: a border word. Ours says everything that later calls need, so nothing is remembered.

use std::fmt;
use std::str::FromStr;

use hostnet::IfName;
use ipam::PoolName;
use ipnetwork::IpNetwork;

/// `POOL/SUBNET`, and behind an `@` the host's bridge, where Docker's own bridge driver runs the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PoolId {
    /// Where addresses come from.
    pub(super) pool: PoolName,
    /// The subnet that Docker knows.
    pub(super) subnet: IpNetwork,
    /// The bridge behind which containers will be, where it is not ours.
    pub(super) bridge: Option<IfName>,
}

/// The text is not a PoolID of this driver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a PoolID that berth gave out; hint: remove the Docker network and create it again")]
pub(super) struct PoolIdError(String);

impl fmt::Display for PoolId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.pool, self.subnet)?;
        self.bridge.iter().try_for_each(|bridge| write!(out, "@{bridge}"))
    }
}

impl FromStr for PoolId {
    type Err = PoolIdError;

    fn from_str(text: &str) -> Result<Self, PoolIdError> {
        parse(text).ok_or_else(|| PoolIdError(text.chars().take(100).collect()))
    }
}

fn parse(text: &str) -> Option<PoolId> {
    let (place, bridge) = match text.split_once('@') {
        Some((place, bridge)) => (place, Some(IfName::parse(bridge).ok()?)),
        None => (text, None),
    };
    let (pool, subnet) = place.split_once('/').filter(|(pool, _)| is_name(pool))?;
    Some(PoolId { pool: pool.into(), subnet: subnet.parse().ok()?, bridge })
}

/// Whether a pool's name can stand in a PoolID.
pub(super) fn is_name(pool: &str) -> bool {
    !pool.is_empty() && !pool.contains(['/', '@'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_id_comes_back_as_it_was_given_out() {
        for text in ["default/10.50.0.0/26", "web/10.50.0.0/26@brcloud", "six/2001:db8::/64"] {
            assert_eq!(text.parse::<PoolId>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_we_did_not_give_out_is_refused() {
        for text in ["", "default", "/10.50.0.0/26", "default/10.50.0.0/99", "@", "a@b/10.50.0.0/26"] {
            assert!(text.parse::<PoolId>().is_err(), "{text:?}");
        }
    }
}
