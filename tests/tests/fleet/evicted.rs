//! Hosts that die for good: what they held is used again, and every other host tells who had it when.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use api::{Assignment, CheckReport, History, HostLife};
use ipam::{BlockId, Epoch, Generation, HostId};
use ipnetwork::IpNetwork;
use jiff::Timestamp;
use ledger::{Container, End, Interval, Moment, Segment, Shelf, Why};
use provider_mock::{Effect, Fault, PowerState};
use serde_json::Value;
use tests::lab::{Daemon, Host, until};

use super::scene::{Fleet, SOON, Size};

/// How long addresses rest in quarantine here.
const QUARANTINE_SECS: u32 = 3;

/// R here: the simulated cloud does not lag.
const STALENESS_SECS: u32 = 4;

fn fleet_of(hosts: u32) -> Result<Fleet> {
    let mut layout = Size { hosts, members: 1, prefix: 28 }.layout();
    for host in layout.hosts.values_mut() {
        host.berth.quarantine_secs = Some(QUARANTINE_SECS);
        host.berth.staleness_secs = Some(STALENESS_SECS);
    }
    Fleet::over(layout)
}

/// A host's id in the cluster.
fn id(host: &Host) -> Result<String> {
    let status: api::Status = host.ask("status")?;
    status.host.context("a host without an id")
}

/// Hosts in an order in which the first does not have the zone's role: who has it when it dies is followed only
/// when no call of its can be under way any more, minutes later.
fn with_the_role_last(fleet: &Fleet) -> Result<Vec<&Host>> {
    let owner = until(SOON, "somebody has the zone's role", || {
        let records = fleet.lab().etcd().values("owners/")?;
        let owner = records.first().and_then(|record| serde_json::from_str::<Value>(record).ok());
        Ok(owner.and_then(|it| it.pointer("/value/owner/host")?.as_str().map(str::to_owned)))
    })?;
    let mut hosts = Vec::new();
    for host in fleet.hosts() {
        hosts.push((id(host)? == owner, host));
    }
    hosts.sort_by_key(|(has_role, host)| (*has_role, host.name().to_owned()));
    Ok(hosts.into_iter().map(|(_, host)| host).collect())
}

/// Cuts a host's power. Its sign of life is over at once, which saves the test half a minute.
fn dies(fleet: &Fleet, host: &Host, id: &str) -> Result<()> {
    host.power_off()?;
    fleet.lab().etcd().forget(&format!("sessions/{id}"))
}

/// What a host says of the past, once it is as expected.
fn history(host: &Host, question: &str, what: &str, expected: impl Fn(&History) -> bool) -> Result<History> {
    let mut last = String::new();
    let found = until(SOON, what, || {
        // An agent that has just started has no answer yet.
        let Ok(history) = host.ask::<History>(&format!("address history {question}")) else {
            return Ok(None);
        };
        last = format!("{history:#?}");
        Ok(expected(&history).then_some(history))
    });
    found.with_context(|| format!("{last}\n{}", host.log_tail(Daemon::Berthd)))
}

fn users(told: &[Assignment]) -> Vec<(String, Option<&str>, Option<&str>)> {
    told.iter().map(|it| (it.host.clone(), it.container.as_deref(), it.why.as_deref())).collect()
}

#[test]
fn a_dead_hosts_addresses_are_used_again_and_every_host_tells_who_had_them() -> Result<()> {
    let fleet = fleet_of(3)?;
    let hosts = with_the_role_last(&fleet)?;
    let [dead, asked, heir] = hosts[..] else { unreachable!("a fleet of three") };
    let (dead_id, heir_id) = (id(dead)?, id(heir)?);

    let moved = fleet.run(dead.name(), "first", "")?;
    dead.sh("docker rm -f first")?;
    ensure!(fleet.run_soon(heir.name(), "second", &format!("--ip {moved}"))? == moved, "--ip was not heeded");
    let lost = fleet.run(dead.name(), "lost", "")?;
    let ancient = a_month_ago(dead, &dead_id, fleet.subnet(), &[moved, lost])?;
    let runs =
        |history: &History| history.assignments.iter().any(|it| it.container.as_deref() == Some("lost"));
    history(asked, &lost.to_string(), "what runs is told", runs)?;

    let of_ancient = "--container ancient";
    history(asked, of_ancient, "what one disk has is told", |told| told.assignments.len() == 1)?;
    let begun = Instant::now();
    let told: History = asked.ask(&format!("address history {of_ancient}"))?;
    ensure!(told.assignments.len() == 1 && told.unseen.is_empty(), "{told:#?}");
    println!("from another host's disk after {} ms", begun.elapsed().as_millis());

    dies(&fleet, dead, &dead_id)?;
    let died = Instant::now();
    fleet.lab().cloud().set_power(dead.name(), PowerState::Halted)?;
    let evicted = until(SOON, "the dead host is evicted", || {
        let found: Vec<api::Host> = asked.ask("host list")?;
        let is_it = |host: &api::Host| host.id == dead_id && host.life == HostLife::Evicted;
        Ok(found.iter().any(is_it).then(Instant::now))
    })
    .with_context(|| heir.log_tail(Daemon::Berthd))?;
    ensure!(fleet.run_soon(heir.name(), "heir", &format!("--ip {lost}"))? == lost, "--ip was not heeded");
    let usable =
        Instant::now().duration_since(evicted).saturating_sub(Duration::from_secs(QUARANTINE_SECS.into()));
    println!("evict_to_usable_s {:.1} s", usable.as_secs_f64());
    println!("beside them: dead to evicted {:.1} s", evicted.duration_since(died).as_secs_f64());

    let told = history(asked, &lost.to_string(), "the heir is told", |told| {
        told.assignments.last().is_some_and(|it| it.container.as_deref() == Some("heir"))
    })?;
    let expected = [(dead_id.clone(), Some("lost"), Some("evicted")), (heir_id.clone(), Some("heir"), None)];
    ensure!(users(&told.assignments) == expected, "{told:#?}");
    who_had_it_then(asked, lost, &told.assignments)?;
    let told = history(asked, &moved.to_string(), "the move is told", |told| {
        told.assignments.len() == 2 && told.assignments.iter().all(|it| it.container.is_some())
    })?;
    let expected = [(dead_id.clone(), Some("first"), Some("released")), (heir_id, Some("second"), None)];
    ensure!(users(&told.assignments) == expected, "{told:#?}");
    let lines = asked.sh(&format!("berth address history {moved} --json-lines"))?;
    let exported: Vec<Assignment> = lines.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    ensure!(exported == told.assignments, "{lines}");

    // What it held and never told of, and what only its disk had.
    let told = history(asked, &format!("--host {dead_id}"), "what it never told is unknown", |told| {
        told.assignments.iter().any(|it| it.use_unknown)
    })?;
    ensure!(
        told.unseen.iter().any(|it| it.why.iter().any(|why| why.contains("no sign of life"))),
        "{told:#?}"
    );
    let said = asked.try_sh(&format!(
        "berth address show {ancient} --at {}",
        Timestamp::from_millisecond(a_month_before_now())?
    ))?;
    ensure!(
        said.code == 2 && said.stderr.contains("gives no sign of life"),
        "{}{}",
        said.stdout,
        said.stderr
    );
    [asked, heir].into_iter().try_for_each(all_words_agree)
}

/// At a moment and during a while: container and host.
fn who_had_it_then(host: &Host, address: IpAddr, told: &[Assignment]) -> Result<()> {
    for one in told {
        let said = host.sh(&format!("berth address show {address} --at {}", one.from))?;
        let name = one.container.as_deref().unwrap_or_default();
        ensure!(said.contains(name) && said.contains(&one.host), "{name} on {}: {said}", one.host);
    }
    let (first, last) = (&told[0], &told[told.len() - 1]);
    let question = format!("{address} --during {}..{}", first.from, last.from);
    let during: History = host.ask(&format!("address history {question}"))?;
    ensure!(during.assignments == told, "{during:#?}");
    Ok(())
}

/// `berth check` finds nothing, also not in the ledger.
fn all_words_agree(host: &Host) -> Result<()> {
    let mut last = String::new();
    let cost = until(SOON, "all words agree", || {
        let report: CheckReport = host.ask("check")?;
        last = format!("{report:#?}");
        Ok(report.findings.is_empty().then_some(report.cost))
    });
    let cost = cost.with_context(|| last.clone())?.context("a check without its cost")?;
    println!("berth check on {}: {} ms, {} reads of the store", host.name(), cost.millis, cost.store_reads);
    Ok(())
}

/// Thirty days before now, in milliseconds: in no store any more.
fn a_month_before_now() -> i64 {
    Timestamp::now().as_millisecond() - 30 * 86_400_000
}

/// Puts an old segment on one host's disk, as if the others had lost their copies. Answers its address.
fn a_month_ago(host: &Host, id: &str, subnet: IpNetwork, but: &[IpAddr]) -> Result<IpAddr> {
    let block = BlockId { subnet, index: 0 };
    let address = block.addresses().skip(2).find(|address| !but.contains(address));
    let address = address.context("a subnet without addresses")?;
    let at = |millis: i64| Moment(u64::try_from(millis).unwrap_or(0));
    let interval = Interval {
        address,
        epoch: Epoch { generation: Generation { number: 1, id: 1 }, take: 1, counter: 1 },
        host: HostId::from(id),
        endpoint: None,
        container: Some(Container { id: "a".repeat(64), name: "ancient".into(), network: "cloud".into() }),
        from: at(a_month_before_now() - 3_600_000),
        from_offset: 0,
        earlier: false,
        unknown: false,
        end: Some(End { at: at(a_month_before_now() + 3_600_000), offset: 0, why: Why::Released }),
    };
    let period = u64::try_from(a_month_before_now() / 1000 - 3_600)?;
    let packed = Segment::pack(block, period, &HostId::from(id), vec![interval])?.1;
    host.stop(Daemon::Berthd)?;
    Shelf::open(host.home().join("state/ledger"))?.0.put(&packed)?;
    // Found on the disk and not in the index, it is told the store.
    host.start(Daemon::Berthd)?;
    Ok(address)
}

#[test]
fn an_operator_evicts_a_dead_host_while_the_provider_has_been_silent_since_the_start() -> Result<()> {
    let fleet = fleet_of(2)?;
    let hosts = with_the_role_last(&fleet)?;
    let [dead, heir] = hosts[..] else { unreachable!("a fleet of two") };
    let dead_id = id(dead)?;
    let lost = fleet.run(dead.name(), "lost", "")?;
    fleet.lab().cloud().inject(&Fault {
        service: None,
        method: None,
        user: None,
        next: None,
        hits: None,
        effect: Effect::InternalError,
    })?;
    heir.kill(Daemon::Berthd)?;
    heir.start(Daemon::Berthd)?;
    dies(&fleet, dead, &dead_id)?;

    let mut said = String::new();
    until(SOON, "an operator's word is asked for", || {
        let refused = heir.try_sh(&format!("berth host evict {dead_id}"))?;
        ensure!(!refused.is_success(), "evicted on nobody's word: {}", refused.stdout);
        said = refused.stderr;
        Ok(said.contains("--powered-off").then_some(()))
    })
    .with_context(|| format!("{said}\n{}", heir.log_tail(Daemon::Berthd)))?;
    heir.sh(&format!("berth host evict {dead_id} --powered-off"))?;
    let begun = Instant::now();
    ensure!(fleet.run_soon(heir.name(), "heir", &format!("--ip {lost}"))? == lost, "--ip was not heeded");
    println!("usable {:.1} s after an operator's word, quarantine included", begun.elapsed().as_secs_f64());
    let shown = heir.sh(&format!("berth host show {dead_id}"))?;
    ensure!(shown.contains("stated to be powered off"), "{shown}");
    Ok(())
}
