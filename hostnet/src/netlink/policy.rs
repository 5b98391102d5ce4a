//! The table of policy, through nft's JSON (libnftables-json(5)). Its elements are what the kernel is asked for; the
//! chain never changes.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use nftables::helper::{DEFAULT_ARGS, DEFAULT_NFT, apply_ruleset_raw_async, get_current_ruleset_raw_async};
use serde_json::{Value, json};

use super::fault::Fault;
use super::nft::{says_absent, told};
use crate::policy::{Count, Opening, Policy, PolicyChange};
use crate::{Protocol, mark};

/// Containers that accept only what is open.
const GUARDED: &str = "guarded";

/// Ports that are open to everybody.
const TO_ALL: &str = "to_all";

/// Ports that are open to networks.
const TO_SOME: &str = "to_some";

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
            Some(TO_ALL | TO_SOME) => counts.extend(elements.iter().filter_map(counted)),
            _ => {}
        }
    }
    policy.openings = counts.keys().cloned().collect();
    Ok(Some((policy, counts)))
}

/// One transaction: no packet meets half of it, and no other element is touched.
pub(super) async fn change(change: &PolicyChange) -> Result<(), Fault> {
    let mut commands = declare();
    // Away first: an opening that becomes wider would overlap with what it was.
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
fn declare() -> Vec<Value> {
    let of_table = |mut object: Value| {
        object["family"] = json!("inet");
        object["table"] = json!(mark::NFT_POLICY_TABLE);
        object
    };
    let counting = json!([{ "counter": null }]);
    let sets = [
        json!({ "name": GUARDED, "type": "ipv4_addr" }),
        json!({ "name": TO_ALL, "type": ["ipv4_addr", "inet_proto", "inet_service"], "stmt": counting }),
        json!({
            "name": TO_SOME,
            "type": ["ipv4_addr", "ipv4_addr", "inet_proto", "inet_service"],
            "flags": ["interval"],
            "stmt": counting,
        }),
    ];
    // After connection tracking, before the chains of firewalls in use (their priority is 0).
    let chain =
        json!({ "name": "forward", "type": "filter", "hook": "forward", "prio": -5, "policy": "accept" });
    let mut commands =
        vec![json!({ "add": { "table": { "family": "inet", "name": mark::NFT_POLICY_TABLE } } })];
    commands.extend(sets.map(|set| json!({ "add": { "set": of_table(set) } })));
    commands.push(json!({ "add": { "chain": of_table(chain) } }));
    commands.push(json!({ "flush": { "chain": of_table(json!({ "name": "forward" })) } }));
    commands.extend(
        rules()
            .map(|expr| json!({ "add": { "rule": of_table(json!({ "chain": "forward", "expr": expr })) } })),
    );
    commands
}

/// Most packets belong to connections that stand, or go to nobody who is guarded.
fn rules() -> [Value; 6] {
    let field = |protocol: &str, field: &str| json!({ "payload": { "protocol": protocol, "field": field } });
    let (from, to) = (field("ip", "saddr"), field("ip", "daddr"));
    let service = [json!({ "meta": { "key": "l4proto" } }), field("th", "dport")];
    let in_set = |parts: Vec<Value>, set: &str| json!({ "match": { "op": "==", "left": { "concat": parts }, "right": format!("@{set}") } });
    let states = json!({ "match": {
        "op": "in", "left": { "ct": { "key": "state" } }, "right": ["established", "related"],
    } });
    let guarded = json!({ "match": { "op": "!=", "left": to, "right": format!("@{GUARDED}") } });
    let ping = json!({ "match": {
        "op": "==", "left": field("icmp", "type"), "right": "echo-request",
    } });
    let to_all = [vec![to.clone()], service.to_vec()].concat();
    let to_some = [vec![from, to], service.to_vec()].concat();
    let accept = json!({ "accept": null });
    [
        json!([states, accept]),
        json!([guarded, accept]),
        json!([ping, accept]),
        json!([in_set(to_all, TO_ALL), accept]),
        json!([in_set(to_some, TO_SOME), accept]),
        json!([{ "counter": null }, { "drop": null }]),
    ]
}

fn elements(verb: &str, policy: &Policy) -> Vec<Value> {
    let (to_all, to_some): (Vec<&Opening>, Vec<&Opening>) =
        policy.openings.iter().partition(|opening| opening.is_for_all());
    let service = |opening: &Opening| {
        vec![json!(opening.to.to_string()), json!(opening.protocol.to_string()), json!(opening.port)]
    };
    let of_some = |it: &Opening| [vec![network(it.from)], service(it)].concat();
    let of_set = [
        (GUARDED, policy.guarded.iter().map(|address| json!(address.to_string())).collect::<Vec<_>>()),
        (TO_ALL, to_all.into_iter().map(|it| json!({ "concat": service(it) })).collect()),
        (TO_SOME, to_some.into_iter().map(|it| json!({ "concat": of_some(it) })).collect()),
    ];
    let told = of_set.into_iter().filter(|(_, elements)| !elements.is_empty());
    told.map(|(set, elements)| {
        json!({ verb: { "element": {
            "family": "inet", "table": mark::NFT_POLICY_TABLE, "name": set, "elem": elements,
        } } })
    })
    .collect()
}

fn network(network: IpNetwork) -> Value {
    match network.prefix() {
        32 => json!(network.network().to_string()),
        length => json!({ "prefix": { "addr": network.network().to_string(), "len": length } }),
    }
}

fn address(element: &Value) -> Option<IpAddr> {
    element.as_str()?.parse().ok()
}

/// An element of one of the two sets of openings. One of another shape is nobody's that we know.
fn counted(element: &Value) -> Option<(Opening, Count)> {
    let element = element.get("elem")?;
    let number = |name: &str| element["counter"][name].as_u64().unwrap_or_default();
    let count = Count { packets: number("packets"), bytes: number("bytes") };
    let parts = element["val"]["concat"].as_array()?;
    let (from, [to, protocol, port]) = match parts.as_slice() {
        [from, rest @ ..] if rest.len() == 3 => (source(from)?, rest.first_chunk::<3>()?),
        rest => (IpNetwork::V4(EVERYBODY), rest.first_chunk::<3>()?),
    };
    let protocol = match protocol.as_str()? {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return None,
    };
    let opening = Opening { to: address(to)?, protocol, port: u16::try_from(port.as_u64()?).ok()?, from };
    Some((opening, count))
}

fn source(part: &Value) -> Option<IpNetwork> {
    if let Some(address) = address(part) {
        return Some(IpNetwork::from(address));
    }
    let prefix = part.get("prefix")?;
    let length = u8::try_from(prefix["len"].as_u64()?).ok()?;
    IpNetwork::new(address(&prefix["addr"])?, length).ok()
}

/// The network of prefix 0.
const EVERYBODY: ipnetwork::Ipv4Network =
    ipnetwork::Ipv4Network::new_checked(std::net::Ipv4Addr::UNSPECIFIED, 0).expect("a network");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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
        let listed = written.iter().flat_map(|command| command["add"]["element"]["elem"].as_array().unwrap());
        let counter = json!({ "packets": 3, "bytes": 180 });
        let read: BTreeMap<Opening, Count> = listed
            .filter_map(|value| counted(&json!({ "elem": { "val": value, "counter": counter } })))
            .collect();
        assert_eq!(read.keys().cloned().collect::<BTreeSet<_>>(), policy.openings);
        assert!(read.values().all(|count| *count == Count { packets: 3, bytes: 180 }));
    }
}
