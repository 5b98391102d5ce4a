//! The security groups of interfaces, as nftables in the fabric: outside of the machines, as on a hypervisor. Pure.
//!
//! The bridge family knows the ports and has no connection tracking here; the IP family has that and does not know
//! the ports. So the first marks a packet with the ports that it passes, and the second, which br_netfilter calls
//! for bridged packets, decides: a high half for the interface a packet comes from, a low half for the one it goes to.

use std::fmt::Write as _;

use crate::cloud::security::{Direction, RuleProtocol, SecurityRule};
use crate::cloud::topology::{Guard, GuardRule};

/// A script that puts the rules of all guarded interfaces in force in one transaction, whatever stood there.
pub(super) fn script(guards: &[Guard]) -> String {
    let mut script = removal();
    script.push_str("\ntable bridge guard {\n    chain passed {\n");
    script.push_str("        type filter hook forward priority -300; policy accept;\n");
    for (n, guard) in numbered(guards) {
        let port = guard.wire;
        let from = n << 16;
        let _ =
            writeln!(script, "        iifname \"m{port}\" meta mark set meta mark & 0x0000ffff | {from:#x}");
        let _ = writeln!(script, "        oifname \"m{port}\" meta mark set meta mark & 0xffff0000 | {n:#x}");
    }
    script.push_str("    }\n}\ntable ip guard {\n");
    for (n, guard) in numbered(guards) {
        chain(&mut script, &format!("from{n}"), guard, Direction::Egress);
        chain(&mut script, &format!("to{n}"), guard, Direction::Ingress);
    }
    script.push_str("    chain forward {\n        type filter hook forward priority 0; policy accept;\n");
    script.push_str("        ct state established,related accept\n");
    for (n, _) in numbered(guards) {
        let from = n << 16;
        let _ = writeln!(script, "        meta mark & 0xffff0000 == {from:#x} jump from{n}");
        let _ = writeln!(script, "        meta mark & 0x0000ffff == {n:#x} jump to{n}");
    }
    script.push_str("    }\n}\n");
    script
}

/// A script that removes all rules, also where there are none.
pub(super) fn removal() -> String {
    "table bridge guard\ndelete table bridge guard\ntable ip guard\ndelete table ip guard".to_owned()
}

/// Numbers from 1: none is no guarded interface.
fn numbered(guards: &[Guard]) -> impl Iterator<Item = (u32, &Guard)> {
    (1..).zip(guards)
}

/// What a rule lets pass returns, all else is dropped.
fn chain(script: &mut String, name: &str, guard: &Guard, direction: Direction) {
    let _ = writeln!(script, "    chain {name} {{");
    for rule in guard.rules.iter().filter(|rule| rule.it.direction == direction && !rule.it.ipv6) {
        for line in lines(rule) {
            let _ = writeln!(script, "        {line}return");
        }
    }
    script.push_str("        counter drop\n    }\n");
}

/// One line for each address at the other end; nobody there is no line.
fn lines(rule: &GuardRule) -> Vec<String> {
    let what = what(&rule.it);
    let side = if rule.it.direction == Direction::Ingress { "saddr" } else { "daddr" };
    match &rule.remotes {
        None => vec![what],
        Some(remotes) => {
            let of =
                |it: &ipnetwork::Ipv4Network| format!("ip {side} {}/{} {what}", it.network(), it.prefix());
            remotes.iter().map(of).collect()
        }
    }
}

fn what(rule: &SecurityRule) -> String {
    let ports = |name: &str| match (rule.port_min, rule.port_max) {
        (Some(first), Some(last)) => format!("{name} dport {first}-{last} "),
        _ => format!("ip protocol {name} "),
    };
    match rule.protocol {
        None => String::new(),
        Some(RuleProtocol::Tcp) => ports("tcp"),
        Some(RuleProtocol::Udp) => ports("udp"),
        Some(RuleProtocol::Vrrp) => "ip protocol 112 ".to_owned(),
        // Of ICMP they are type and code.
        Some(RuleProtocol::Icmp) => match (rule.port_min, rule.port_max) {
            (Some(kind), Some(code)) => format!("icmp type {kind} icmp code {code} "),
            (Some(kind), None) => format!("icmp type {kind} "),
            _ => "ip protocol icmp ".to_owned(),
        },
    }
}
