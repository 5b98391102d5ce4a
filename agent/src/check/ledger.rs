//! S6 of the present: what runs is told once, by the host that has it, and nothing else is told.
//!
//! The past is written once and not read again here: an interval that has ended was checked while it ran.

use crate::testimony::Blocks;
use ::api::{Finding, Source, Word};
use ::ledger::{Entry, Interval};
use ipam::{BlockId, Epoch, View};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What does not hold of the ledger. `own` is what this host's journal has for it, `running` what hosts have told
/// the store of the blocks in which this host has a part, `blocks` those blocks.
pub(super) fn broken(
    view: &View,
    own: &[Entry],
    running: &BTreeMap<BlockId, Vec<Interval>>,
    blocks: Option<&Blocks>,
) -> Vec<Finding> {
    let mut findings = untold(view, own);
    let own: Vec<&Interval> = own.iter().map(|entry| &entry.interval).collect();
    findings.extend(::ledger::check::broken(own.iter().copied(), 0).into_iter().map(|problem| Finding {
        promise: Some("S6".into()),
        subject: "the journal's ledger".into(),
        problem,
        words: Vec::new(),
        hint: Some("please report this with the output of `berth -o json check`".into()),
    }));
    findings.extend(behind(view, &own, running));
    for told in running.values() {
        findings.extend(told_by_two(told));
    }
    findings.extend(blocks.into_iter().flat_map(|blocks| told_by_a_stranger(view, running, blocks)));
    findings
}

/// Every assignment has an interval that runs, under its epoch, and nothing else runs.
fn untold(view: &View, own: &[Entry]) -> Vec<Finding> {
    let assigned = ipam::check::assigned_in(view);
    // Before the holdings are re-taken the view does not say what is assigned.
    if view.not_ready.is_some() {
        return Vec::new();
    }
    let runs: BTreeMap<IpAddr, Epoch> = running_of(own.iter().map(|entry| &entry.interval));
    let all: BTreeSet<&IpAddr> = assigned.keys().chain(runs.keys()).collect();
    let says = |what: &str, epoch: Option<&Epoch>| match epoch {
        Some(epoch) => format!("{what}, epoch {epoch}"),
        None => format!("not {what}"),
    };
    let finding = |address: &IpAddr| Finding {
        promise: Some("S6".into()),
        subject: address.to_string(),
        problem: "the ledger and the assignment differ".into(),
        words: vec![
            Word::of(Source::Journal, says("assigned", assigned.get(address))),
            Word::of(Source::Journal, says("running in the ledger", runs.get(address))).differing(true),
        ],
        hint: Some("restart berthd: what it finds assigned it notes".into()),
    };
    let differ = all.into_iter().filter(|address| assigned.get(address) != runs.get(address));
    differ.map(finding).collect()
}

/// What this host has told the store is what runs here.
fn behind(view: &View, own: &[&Interval], running: &BTreeMap<BlockId, Vec<Interval>>) -> Vec<Finding> {
    let told = running.values().flatten().filter(|interval| interval.host == view.host);
    let (told, runs) = (running_of(told), running_of(own.iter().copied()));
    // What runs in a block that the store was not asked about is not compared.
    let asked = |address: &IpAddr| running.keys().any(|block| block.contains(*address));
    let all: BTreeSet<&IpAddr> = told.keys().chain(runs.keys()).filter(|address| asked(address)).collect();
    let says = |epoch: Option<&Epoch>| match epoch {
        Some(epoch) => format!("the ledger: running here under epoch {epoch}"),
        None => "the ledger: not running here".to_owned(),
    };
    let finding = |address: &IpAddr| Finding {
        promise: None,
        subject: address.to_string(),
        problem: "the ledger in the store is behind".into(),
        words: vec![
            Word::of(Source::Journal, says(runs.get(address))),
            Word::of(Source::Store, says(told.get(address))).differing(true),
        ],
        hint: Some("`berth doctor` says what keeps the ledger from being written".into()),
    };
    let differ = all.into_iter().filter(|address| told.get(address) != runs.get(address));
    differ.map(finding).collect()
}

/// S1 and S6: two hosts say that they use one address now. By epoch the later one may.
fn told_by_two(running: &[Interval]) -> Vec<Finding> {
    let mut users: BTreeMap<IpAddr, Vec<&Interval>> = BTreeMap::new();
    for interval in running {
        users.entry(interval.address).or_default().push(interval);
    }
    let finding = |(address, mut users): (IpAddr, Vec<&Interval>)| {
        users.sort_by_key(|interval| interval.epoch);
        let last = users.last().map(|interval| interval.epoch);
        let word = |it: &&Interval| {
            let says = format!("the ledger of {}: {} under epoch {}", it.host, user(it), it.epoch);
            Word::of(Source::Store, says).differing(Some(it.epoch) != last)
        };
        Finding {
            promise: Some("S6".into()),
            subject: address.to_string(),
            problem: format!("{} hosts say that it is used there", users.len()),
            words: users.iter().map(word).collect(),
            hint: Some("ask the host of the lower epoch: `berth address show` there says who uses it".into()),
        }
    };
    users.into_iter().filter(|(_, users)| users.len() > 1).map(finding).collect()
}

/// S6: another host says that it uses what the block shows with somebody else. What is in quarantine is closed by
/// a living host in a moment.
fn told_by_a_stranger(
    view: &View,
    running: &BTreeMap<BlockId, Vec<Interval>>,
    blocks: &Blocks,
) -> Vec<Finding> {
    let told = running.values().flatten().filter(|interval| interval.host != view.host);
    let finding = |interval: &Interval| {
        let address = interval.address;
        let block = blocks.iter().find(|(id, _)| id.contains(address))?.1.as_ref()?;
        let held = block.held().get(&address);
        if held.is_some_and(|held| held.by.host == interval.host)
            || block.quarantined().contains_key(&address)
        {
            return None;
        }
        let holder = held.map_or_else(|| "held by nobody".into(), |held| format!("held by {}", held.by.host));
        let says =
            format!("the ledger of {}: {} under epoch {}", interval.host, user(interval), interval.epoch);
        Some(Finding {
            promise: Some("S6".into()),
            subject: address.to_string(),
            problem: format!("{} says that it is used there, and does not hold it", interval.host),
            words: vec![Word::of(Source::Store, holder), Word::of(Source::Store, says).differing(true)],
            hint: Some(format!("`berth host show {}` says whether it lives", interval.host)),
        })
    };
    told.filter_map(finding).collect()
}

fn running_of<'a>(intervals: impl Iterator<Item = &'a Interval>) -> BTreeMap<IpAddr, Epoch> {
    intervals.filter(|interval| interval.end.is_none()).map(|it| (it.address, it.epoch)).collect()
}

fn user(interval: &Interval) -> String {
    interval.container.as_ref().map_or_else(|| "a container without a name yet".into(), |it| it.name.clone())
}
