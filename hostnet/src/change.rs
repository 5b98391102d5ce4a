//! One step on the way from what is to what should be.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Admission, Firewall, IfName, Mac, PolicyChange, Proxy, Route, Rule, Sysctl};

/// One change in the kernel, in the words that `berth host plan` prints.
///
/// Each can be made twice: what is there already as wanted, or gone already, is success.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Replace our nftables table, in one transaction.
    ReplaceFirewall(Firewall),
    /// Remove our nftables table.
    RemoveFirewall,
    /// Change who may reach which container, in one transaction.
    ChangePolicy(PolicyChange),
    /// Remove the table that says who may reach which container.
    RemovePolicy,
    /// Keep Docker's firewall from dropping packets of a bridge.
    Admit(Admission),
    /// Remove a rule of ours from Docker's firewall.
    Dismiss(Admission),
    /// Make a bridge without spanning tree, marked as ours.
    CreateBridge {
        /// Its name.
        name: IfName,
        /// Its own MAC, for good.
        mac: Mac,
        /// In bytes.
        mtu: u32,
    },
    /// Delete a bridge of ours.
    DeleteBridge {
        /// Its name.
        name: IfName,
    },
    /// Make a veth pair, marked as ours.
    CreatePort {
        /// The host end.
        name: IfName,
        /// The end for the container, left in this namespace.
        container_end: IfName,
        /// The container end's MAC.
        mac: Mac,
        /// Of both ends, in bytes.
        mtu: u32,
    },
    /// Delete a veth pair of ours, wherever its other end is.
    DeletePort {
        /// The host end.
        name: IfName,
    },
    /// Put the host end of a pair on a bridge.
    Attach {
        /// The host end.
        port: IfName,
        /// The bridge.
        bridge: IfName,
    },
    /// Say on a link of ours what it is for.
    Label {
        /// Ours.
        link: IfName,
        /// For people; begins with [`crate::mark::ALIAS`].
        alias: String,
    },
    /// Give a bridge of ours its MAC back.
    SetMac {
        /// Ours.
        bridge: IfName,
        /// The fixed one.
        mac: Mac,
    },
    /// Follow the VLAN interface's MTU.
    SetMtu {
        /// Ours.
        bridge: IfName,
        /// In bytes.
        mtu: u32,
    },
    /// Give a bridge of ours an address of the host, without a subnet.
    AddAddress {
        /// Ours.
        bridge: IfName,
        /// The host's.
        address: IpAddr,
    },
    /// Take an address from a bridge of ours.
    RemoveAddress {
        /// Ours.
        bridge: IfName,
        /// No longer the host's.
        address: IpAddr,
    },
    /// Bring a link of ours up.
    SetUp {
        /// Ours.
        link: IfName,
    },
    /// Set a switch.
    SetSysctl {
        /// Which.
        sysctl: Sysctl,
        /// To what.
        value: u32,
    },
    /// Add a route.
    AddRoute(Route),
    /// Remove a route of ours.
    RemoveRoute(Route),
    /// Add a rule.
    AddRule(Rule),
    /// Remove a rule of ours.
    RemoveRule(Rule),
    /// Answer for an address.
    AddProxy(Proxy),
    /// Stop answering for an address.
    RemoveProxy(Proxy),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReplaceFirewall(firewall) => {
                write!(f, "replace firewall by {} rules", firewall.rules.len())
            }
            Self::RemoveFirewall => f.write_str("remove firewall"),
            Self::ChangePolicy(change) => write!(f, "{change}"),
            Self::RemovePolicy => f.write_str("remove policy"),
            Self::Admit(admission) => write!(f, "admit {admission} past Docker's firewall"),
            Self::Dismiss(admission) => write!(f, "admit {admission} no more"),
            Self::CreateBridge { name, mac, mtu } => write!(f, "create bridge {name} mac {mac} mtu {mtu}"),
            Self::DeleteBridge { name } => write!(f, "delete bridge {name}"),
            Self::CreatePort { name, container_end, mac, mtu } => {
                write!(f, "create port {name} to {container_end} mac {mac} mtu {mtu}")
            }
            Self::DeletePort { name } => write!(f, "delete port {name}"),
            Self::Attach { port, bridge } => write!(f, "attach {port} to {bridge}"),
            Self::Label { link, alias } => write!(f, "label {link} {alias:?}"),
            Self::SetMac { bridge, mac } => write!(f, "set mac of {bridge} to {mac}"),
            Self::SetMtu { bridge, mtu } => write!(f, "set mtu of {bridge} to {mtu}"),
            Self::AddAddress { bridge, address } => write!(f, "add address {address} to {bridge}"),
            Self::RemoveAddress { bridge, address } => write!(f, "remove address {address} from {bridge}"),
            Self::SetUp { link } => write!(f, "set {link} up"),
            Self::SetSysctl { sysctl, value } => write!(f, "set {sysctl} to {value}"),
            Self::AddRoute(route) => write!(f, "add route {route}"),
            Self::RemoveRoute(route) => write!(f, "remove route {route}"),
            Self::AddRule(rule) => write!(f, "add rule {rule}"),
            Self::RemoveRule(rule) => write!(f, "remove rule {rule}"),
            Self::AddProxy(proxy) => write!(f, "answer for {proxy}"),
            Self::RemoveProxy(proxy) => write!(f, "stop answering for {proxy}"),
        }
    }
}
