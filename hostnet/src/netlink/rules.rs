//! Rules of policy routing. Ours carry our protocol number and one of our priorities.

use std::collections::BTreeSet;
use std::io;

use futures::TryStreamExt;
use ipnetwork::IpNetwork;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::RouteProtocol;
use netlink_packet_route::rule::{RuleAction, RuleAttribute, RuleMessage};
use rtnetlink::{Handle, IpVersion};

use super::fault::{Fault, existed, gone, io_error};
use crate::{Rule, Selector, Table, mark};

/// The kernel's word for "suppress nothing" (-1).
const SUPPRESS_NOTHING: u32 = u32::MAX;

pub(super) async fn ours(handle: &Handle) -> io::Result<BTreeSet<Rule>> {
    let mut found = BTreeSet::new();
    let mut messages = handle.rule().get(IpVersion::V4).execute();
    while let Some(message) = messages.try_next().await.map_err(io_error)? {
        let protocol = RuleAttribute::Protocol(RouteProtocol::Other(mark::PROTOCOL));
        if message.attributes.contains(&protocol) {
            found.extend(read(&message));
        }
    }
    Ok(found)
}

fn read(message: &RuleMessage) -> Option<Rule> {
    let (mut priority, mut selector, mut suppress_prefix) = (0, None, None);
    let mut table = Table(message.header.table.into());
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Priority(number) => priority = *number,
            RuleAttribute::Table(number) => table = Table(*number),
            RuleAttribute::Source(address) => {
                selector = IpNetwork::new(*address, message.header.src_len).ok().map(Selector::From);
            }
            RuleAttribute::FwMark(mark) => selector = Some(Selector::Mark(*mark)),
            RuleAttribute::SuppressPrefixLen(SUPPRESS_NOTHING) => {}
            RuleAttribute::SuppressPrefixLen(length) => suppress_prefix = u8::try_from(*length).ok(),
            _ => {}
        }
    }
    Some(Rule { priority, selector: selector?, table, suppress_prefix })
}

pub(super) async fn add(handle: &Handle, rule: &Rule) -> Result<(), Fault> {
    let mut request = handle.rule().add();
    *request.message_mut() = write(rule);
    if existed(request.execute().await)? && !ours(handle).await?.contains(rule) {
        return Err(Fault::InTheWay(format!("the same rule with priority {}", rule.priority)));
    }
    Ok(())
}

pub(super) async fn remove(handle: &Handle, rule: &Rule) -> Result<(), Fault> {
    gone(handle.rule().del(write(rule)).execute().await)
}

fn write(rule: &Rule) -> RuleMessage {
    let mut message = RuleMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.action = RuleAction::ToTable;
    message.attributes = vec![
        RuleAttribute::Priority(rule.priority),
        RuleAttribute::Table(rule.table.0),
        RuleAttribute::Protocol(RouteProtocol::Other(mark::PROTOCOL)),
    ];
    match rule.selector {
        Selector::From(subnet) => {
            message.header.family = if subnet.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
            message.header.src_len = subnet.prefix();
            message.attributes.push(RuleAttribute::Source(subnet.network()));
        }
        Selector::Mark(mark) => message.attributes.push(RuleAttribute::FwMark(mark)),
    }
    message
        .attributes
        .extend(rule.suppress_prefix.map(|length| RuleAttribute::SuppressPrefixLen(length.into())));
    message
}
