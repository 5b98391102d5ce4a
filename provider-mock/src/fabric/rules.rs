//! The rules of a VLAN's firewall, as nftables on the router. Pure.

use std::fmt::Write as _;

use crate::cloud::firewall::{FirewallProtocol, FirewallRule};
use crate::cloud::topology::WiredFirewall;

/// A script that puts a firewall's rules in force in one transaction, whatever stood there.
///
/// The first rule that fits decides, and what none fits is dropped. Established connections go on: the real
/// appliance is stateful, too.
pub(super) fn script(firewall: &WiredFirewall) -> String {
    let WiredFirewall { vlan, rules } = firewall;
    let mut script = format!(
        "{}
table ip firewall{vlan} {{
    chain forward {{
        type filter hook forward priority 0; policy accept;
        oifname != \"v{vlan}\" accept
        ct state established,related accept
",
        removal(*vlan)
    );
    for rule in rules {
        let _ = writeln!(script, "        {}", line(rule));
    }
    script.push_str("        counter drop\n    }\n}\n");
    script
}

/// A script that removes a firewall's rules, also where there are none.
pub(super) fn removal(vlan: u64) -> String {
    format!("table ip firewall{vlan}\ndelete table ip firewall{vlan}")
}

fn line(rule: &FirewallRule) -> String {
    let FirewallRule { source, destination, .. } = rule;
    let what = match (rule.protocol, rule.ports) {
        (FirewallProtocol::Tcp, Some((first, last))) => format!("tcp dport {first}-{last}"),
        (FirewallProtocol::Udp, Some((first, last))) => format!("udp dport {first}-{last}"),
        (FirewallProtocol::Pptp, _) => "tcp dport 1723".to_owned(),
        (protocol, _) => format!("ip protocol {}", protocol.key()),
    };
    let verdict = if rule.permit { "accept" } else { "drop" };
    format!(
        "ip saddr {}/{} ip daddr {}/{} {what} counter {verdict}",
        source.network(),
        source.prefix(),
        destination.network(),
        destination.prefix()
    )
}
