//! The table of policy, through nft's JSON (libnftables-json(5)).
//!
//! Openings are in one hash set for each length of prefix that occurs, `to_0` to `to_32`, looked up with the source
//! masked to that length. The kernel's sets of intervals would take all of them in one; but with concatenated keys
//! they look through every element that shares a network, and take milliseconds to lose one (`nft_pipapo_remove`).

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::{IpNetwork, Ipv4Network};
use nftables::helper::{DEFAULT_ARGS, DEFAULT_NFT, apply_ruleset_raw_async, get_current_ruleset_raw_async};
use serde_json::{Value, json};

use super::fault::Fault;
use super::nft::{says_absent, told};
use crate::policy::{Count, Opening, Policy, PolicyChange};
use crate::{Protocol, mark};

/// Containers that accept only what is open.
const GUARDED: &str = "guarded";

/// Ports that are open to networks; the length of the networks' prefix follows, 0 for everybody.
const OPEN_TO: &str = "to_";

/// The address, its protocol and port, and the network that they are open to.
const OPENING_TYPE: [&str; 4] = ["ipv4_addr", "inet_proto", "inet_service", "ipv4_addr"];

/// What stands in the kernel, and how often each opening was used; `None` without a table of ours.
pub(super) async fn read() -> io::Result<Option<(Policy, BTreeMap<Opening, Count>)>> {
    let list = ["-j", "list", "table", "inet", mark::NFT_POLICY_TABLE];
    let text = match get_current_ruleset_raw_async(DEFAULT_NFT, list).await {
        Ok(text) => text,
        Err(error) if says_absent(&error) => return Ok(None),
        Err(error) => return Err(told(error)),
    };
    let listed: Value = serde_json::from_str(&text)?;
    let mut policy = Policy::default();
    let mut counts = BTreeMap::new();
    let objects = listed["nftables"].as_array().map(Vec::as_slice).unwrap_or_default();
    for set in objects.iter().filter_map(|object| object.get("set")) {
        let elements = set["elem"].as_array().map(Vec::as_slice).unwrap_or_default();
        match set["name"].as_str() {
            Some(GUARDED) => policy.guarded.extend(elements.iter().filter_map(address)),
            Some(name) => {
                let prefix = name.strip_prefix(OPEN_TO).and_then(|length| length.parse().ok());
                let read = |prefix| elements.iter().filter_map(move |element| counted(element, prefix));
                counts.extend(prefix.into_iter().flat_map(read));
            }
            None => {}
        }
    }
    policy.openings = counts.keys().cloned().collect();
    Ok(Some((policy, counts)))
}

/// One transaction: no packet meets half of it, and no other element is touched.
pub(super) async fn change(change: &PolicyChange) -> Result<(), Fault> {
    let mut commands = declare(&change.prefixes);
    commands.extend(elements("delete", &change.remove));
    commands.extend(elements("add", &change.add));
    apply(commands).await
}

/// Containers accept everything then.
pub(super) async fn remove() -> Result<(), Fault> {
    let table = json!({ "table": { "family": "inet", "name": mark::NFT_POLICY_TABLE } });
    // Adding first makes the deletion of a table that is not there succeed.
    apply(vec![json!({ "add": table }), json!({ "delete": table })]).await
}

async fn apply(commands: Vec<Value>) -> Result<(), Fault> {
    let text = json!({ "nftables": commands }).to_string();
    let applied = apply_ruleset_raw_async(&text, DEFAULT_NFT, DEFAULT_ARGS).await;
    applied.map(drop).map_err(|error| told(error).into())
}

/// The table, its sets and its chain. Adding what is there changes nothing, but for rules: the chain is emptied first.
fn declare(prefixes: &BTreeSet<u8>) -> Vec<Value> {
    let of_table = |mut object: Value| {
        object["family"] = json!("inet");
        object["table"] = json!(mark::NFT_POLICY_TABLE);
        object
    };
    let guarded = json!({ "name": GUARDED, "type": "ipv4_addr" });
    let open_to = prefixes.iter().map(
        |prefix| json!({ "name": open_to(*prefix), "type": OPENING_TYPE, "stmt": [{ "counter": null }] }),
    );
    // After connection tracking, before the chains of firewalls in use (their priority is 0).
    let chain =
        json!({ "name": "forward", "type": "filter", "hook": "forward", "prio": -5, "policy": "accept" });
    let rule = |expr| json!({ "chain": "forward", "expr": expr });
    let mut commands =
        vec![json!({ "add": { "table": { "family": "inet", "name": mark::NFT_POLICY_TABLE } } })];
    commands
        .extend([guarded].into_iter().chain(open_to).map(|set| json!({ "add": { "set": of_table(set) } })));
    commands.push(json!({ "add": { "chain": of_table(chain) } }));
    commands.push(json!({ "flush": { "chain": of_table(json!({ "name": "forward" })) } }));
    commands
        .extend(rules(prefixes).into_iter().map(|expr| json!({ "add": { "rule": of_table(rule(expr)) } })));
    commands
}

/// Most packets belong to connections that stand, or go to nobody who is guarded. Of openings the widest go first.
fn rules(prefixes: &BTreeSet<u8>) -> Vec<Value> {
    let states = json!({ "match": {
        "op": "in", "left": { "ct": { "key": "state" } }, "right": ["established", "related"],
    } });
    let guarded =
        json!({ "match": { "op": "!=", "left": field("ip", "daddr"), "right": format!("@{GUARDED}") } });
    let ping = json!({ "match": {
        "op": "==", "left": field("icmp", "type"), "right": "echo-request",
    } });
    let open = |prefix: &u8| {
        json!({ "match": {
        "op": "==",
        "left": { "concat": [
            field("ip", "daddr"), { "meta": { "key": "l4proto" } }, field("th", "dport"), source(*prefix),
        ] },
        "right": format!("@{}", open_to(*prefix)),
    } })
    };
    let let_in = [states, guarded, ping].into_iter().chain(prefixes.iter().map(open));
    let mut rules: Vec<Value> = let_in.map(|what| json!([what, { "accept": null }])).collect();
    rules.push(json!([{ "counter": null }, { "drop": null }]));
    rules
}

fn field(protocol: &str, field: &str) -> Value {
    json!({ "payload": { "protocol": protocol, "field": field } })
}

/// Where a packet is from, as far as a prefix of this length tells.
fn source(prefix: u8) -> Value {
    let address = field("ip", "saddr");
    match Ipv4Network::new(Ipv4Addr::UNSPECIFIED, prefix) {
        Ok(network) if prefix < 32 => json!({ "&": [address, network.mask().to_string()] }),
        _ => address,
    }
}

fn open_to(prefix: u8) -> String {
    format!("{OPEN_TO}{prefix}")
}

fn elements(verb: &str, policy: &Policy) -> Vec<Value> {
    let mut of_set: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for Opening { to, protocol, port, from } in &policy.openings {
        let key = json!([to.to_string(), protocol.to_string(), port, from.network().to_string()]);
        of_set.entry(open_to(from.prefix())).or_default().push(json!({ "concat": key }));
    }
    if !policy.guarded.is_empty() {
        of_set.insert(GUARDED.to_owned(), policy.guarded.iter().map(|it| json!(it.to_string())).collect());
    }
    let told = of_set.into_iter().map(|(set, elements)| {
        json!({ verb: { "element": {
            "family": "inet", "table": mark::NFT_POLICY_TABLE, "name": set, "elem": elements,
        } } })
    });
    told.collect()
}

fn address(element: &Value) -> Option<IpAddr> {
    element.as_str()?.parse().ok()
}

/// An element of the set of openings to networks of this prefix. One of another shape is nobody's that we know.
fn counted(element: &Value, prefix: u8) -> Option<(Opening, Count)> {
    let element = element.get("elem")?;
    let number = |name: &str| element["counter"][name].as_u64().unwrap_or_default();
    let count = Count { packets: number("packets"), bytes: number("bytes") };
    let [to, protocol, port, from] = element["val"]["concat"].as_array()?.as_slice() else { return None };
    let protocol = match protocol.as_str()? {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    let port = u16::try_from(port.as_u64()?).ok()?;
    let from = IpNetwork::new(address(from)?, prefix).ok()?;
    Some((Opening { to: address(to)?, protocol, port, from }, count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_read() {
        let opening = |from: &str, protocol| Opening {
            to: "10.50.0.10".parse().unwrap(),
            protocol,
            port: 80,
            from: from.parse().unwrap(),
        };
        let openings: BTreeSet<Opening> = [
            opening("0.0.0.0/0", Protocol::Tcp),
            opening("10.0.0.0/8", Protocol::Udp),
            opening("192.0.2.7/32", Protocol::Udp),
        ]
        .into();
        let policy = Policy { guarded: BTreeSet::new(), openings };
        let written = elements("add", &policy);
        let counter = json!({ "packets": 3, "bytes": 180 });
        let listed = written.iter().flat_map(|command| {
            let set = &command["add"]["element"];
            let prefix = set["name"].as_str().unwrap().strip_prefix(OPEN_TO).unwrap().parse().unwrap();
            set["elem"].as_array().unwrap().iter().map(move |value| (value, prefix))
        });
        let read: BTreeMap<Opening, Count> = listed
            .filter_map(|(value, prefix)| {
                counted(&json!({ "elem": { "val": value, "counter": counter } }), prefix)
            })
            .collect();
        assert_eq!(read.keys().cloned().collect::<BTreeSet<_>>(), policy.openings);
        assert!(read.values().all(|count| *count == Count { packets: 3, bytes: 180 }));
    }
}
