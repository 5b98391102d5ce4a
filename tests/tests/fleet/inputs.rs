//! What operators, the cloud and etcd change under a fleet that runs: each is named with its cure, and nothing that
//! runs feels it.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use api::{DoctorReport, Notice, Order, OrderState, Status, Subnet, Verdict};
use provider_mock::{Effect, Fault};
use tests::lab::{Daemon, Host, Pool, until};

use super::scene::{Fleet, SOON, Size, assigned, with};

const SIZE: Size = Size { hosts: 2, members: 1, prefix: 28 };

#[test]
fn bad_inputs_are_named_with_their_cure_and_nothing_that_runs_feels_them() -> Result<()> {
    let fleet = Fleet::set(SIZE)?;
    let (web, other) = (fleet.run("h1", "web", "")?, fleet.run("h2", "other", "")?);
    let pings = [fleet.ping(web)?, fleet.ping(other)?];
    hosts_that_are_configured_differently_say_so(&fleet)?;
    an_address_excluded_in_use_stays_and_is_handed_out_no_more(&fleet, web)?;
    a_subnet_that_the_cloud_shows_no_more_is_named_on_every_host(&fleet)?;
    an_etcd_that_is_full_or_lets_nobody_in_is_named_and_recovers(&fleet)?;
    for ping in pings {
        println!("{} packets, none lost", ping.lost_nothing()?);
    }
    fleet.settles()?;
    a_drained_subnet_that_several_hosts_hold_is_returned(&fleet)
}

/// Writes a host's configuration anew and restarts its berthd.
fn reconfigure(host: &Host, pool: Pool, more: &str) -> Result<()> {
    let mut berth = with(pool);
    berth.extra = more.to_owned();
    host.configure(&berth)?;
    host.stop(Daemon::Berthd)?;
    host.start(Daemon::Berthd)
}

/// The pool of the fleet, as it was made.
fn pool() -> Pool {
    Pool { prefix: SIZE.prefix, subnets_max: 1, free_min: 1, cooling_secs: 1, ..Pool::default() }
}

fn notices(host: &Host) -> Result<Vec<Notice>> {
    // A berthd that was just started may not answer yet.
    Ok(host.ask::<Status>("status").map(|status| status.notices).unwrap_or_default())
}

fn hosts_that_are_configured_differently_say_so(fleet: &Fleet) -> Result<()> {
    let hosts: Vec<&Host> = fleet.hosts().collect();
    let changed = Pool { cooling_secs: 2, free_min: 2, ..pool() };
    reconfigure(hosts[1], changed.clone(), "")?;
    // Whoever has the role counts: the other one differs.
    let differing = until(SOON, "the host whose configuration does not count says so", || {
        let said: Vec<Notice> = hosts.iter().map(|host| notices(host)).collect::<Result<Vec<_>>>()?.concat();
        Ok((said.len() == 1).then(|| said.into_iter().next()).flatten())
    })
    .with_context(|| hosts[0].log_tail(Daemon::Berthd))?;
    for word in ["cooling_secs", "free_min", "that of host"] {
        ensure!(differing.problem.contains(word), "{word} is not named: {differing:?}");
    }
    reconfigure(hosts[0], changed, "")?;
    until(SOON, "hosts that are configured alike say nothing", || {
        let said: Vec<Vec<Notice>> = hosts.iter().map(|host| notices(host)).collect::<Result<_>>()?;
        let serving = hosts.iter().all(|host| host.ask::<Vec<Subnet>>("subnet list").is_ok());
        Ok((serving && said.concat().is_empty()).then_some(()))
    })
}

fn an_address_excluded_in_use_stays_and_is_handed_out_no_more(fleet: &Fleet, web: IpAddr) -> Result<()> {
    let exclude = format!("exclude = [\"{web}/32\"]\n");
    for host in fleet.hosts() {
        reconfigure(host, pool(), &exclude)?;
    }
    fleet.vm_reaches(web)?;
    let h1 = fleet.host("h1");
    until(SOON, "berthd answers", || Ok(assigned(h1).ok().map(drop)))?;
    ensure!(assigned(h1)?.contains(&web), "it was taken from its container");

    // Given back by a container of its own, and by nobody that is pinged.
    let spare = fleet.run_soon("h2", "spare", "")?;
    let exclude = format!("exclude = [\"{web}/32\", \"{spare}/32\"]\n");
    for host in fleet.hosts() {
        reconfigure(host, pool(), &exclude)?;
    }
    until(SOON, "the block knows what is to be set aside", || {
        let blocks = fleet.lab().etcd().ctl("get --prefix berth/lab/blocks/ --print-value-only")?;
        let unwanted = blocks.split_once("\"unwanted\":").map(|(_, unwanted)| unwanted.to_owned());
        Ok(unwanted.filter(|unwanted| unwanted.contains(&spare.to_string())).map(drop))
    })?;
    fleet.host("h2").sh("docker rm -f spare")?;
    let refused = until(SOON, "what came back is set aside", || {
        let said =
            fleet.host("h1").try_sh(&format!("docker run --rm --network cloud --ip {spare} busybox true"))?;
        Ok((!said.is_success() && said.stderr.contains("excluded")).then_some(said.stderr))
    })?;
    println!("{}", refused.trim());
    for host in fleet.hosts() {
        reconfigure(host, pool(), "")?;
    }
    fleet.run_soon("h1", "spare", &format!("--ip {spare}"))?;
    h1.sh("docker rm -f spare").map(drop)
}

fn a_subnet_that_the_cloud_shows_no_more_is_named_on_every_host(fleet: &Fleet) -> Result<()> {
    let long_ago = Effect::Stale { ms: 24 * 3600 * 1000 };
    fleet.lab().cloud().inject(&Fault::always("getSubnets", long_ago))?;
    let subnet = fleet.subnet().to_string();
    for host in fleet.hosts() {
        bad(host, "the vanished subnet", &["does not show it", &subnet])?;
    }
    fleet.lab().cloud().heal()?;
    for host in fleet.hosts() {
        well(host, &format!("subnet {subnet}"))?;
    }
    Ok(())
}

fn an_etcd_that_is_full_or_lets_nobody_in_is_named_and_recovers(fleet: &Fleet) -> Result<()> {
    let etcd = fleet.lab().etcd();
    let member = &etcd.members()[0];
    // What etcd raises by itself when its quota is used up.
    let alarm = r#"{"action":"ACTIVATE","alarm":"NOSPACE"}"#;
    let url = format!("{}/v3/maintenance/alarm", member.endpoint());
    member.node().sh(&format!("busybox wget -q -O - --post-data '{alarm}' {url}"))?;
    for host in fleet.hosts() {
        bad(host, "a full etcd", &["no room left", "alarm disarm"])?;
        let status = host.try_sh("berth status")?;
        ensure!(status.stdout.contains("no room left"), "{}", status.stdout);
    }
    etcd.ctl("alarm disarm")?;
    for host in fleet.hosts() {
        well(host, "store")?;
    }

    for words in ["user add root:secret", "user grant-role root root", "auth enable"] {
        etcd.ctl(words)?;
    }
    for host in fleet.hosts() {
        bad(host, "an etcd that lets nobody in", &["does not accept the user", "role get"])?;
    }
    etcd.ctl("--user root:secret auth disable")?;
    for host in fleet.hosts() {
        well(host, "store")?;
    }
    // They go on by themselves.
    for name in ["h1", "h2"] {
        fleet.run_soon(name, "after", "")?;
        fleet.host(name).sh("docker rm -f after")?;
    }
    Ok(())
}

/// `berth doctor` says that something is bad, in these words, its cure included.
fn bad(host: &Host, what: &str, words: &[&str]) -> Result<()> {
    let mut said = String::new();
    let found = until(SOON, &format!("the doctor of {} names {what}", host.name()), || {
        said = host.try_sh("berth doctor").map(|it| it.stdout + &it.stderr)?;
        Ok(words.iter().all(|word| said.contains(word)).then_some(()))
    });
    found.with_context(|| said)
}

/// `berth doctor` has nothing against it any more.
fn well(host: &Host, what: &str) -> Result<()> {
    until(SOON, &format!("{what} is well on {}", host.name()), || {
        let report: DoctorReport = host.ask("doctor")?;
        let ill = |it: &api::Examination| it.name == what && it.verdict != Verdict::Good;
        Ok((!report.examinations.iter().any(ill)).then_some(()))
    })
}

fn a_drained_subnet_that_several_hosts_hold_is_returned(fleet: &Fleet) -> Result<()> {
    let subnet = fleet.subnet();
    let drain = format!("berth subnet drain {subnet}");
    // Whoever has the role takes the word.
    ensure!(fleet.hosts().any(|host| host.try_sh(&drain).is_ok_and(|it| it.is_success())), "nobody drains");
    let h1 = fleet.host("h1");
    fleet.host("h2").sh("docker rm -f other")?;
    fleet.vm_reaches(h1.address_of("web")?).context("while its subnet drains")?;
    let orders: Vec<Order> = h1.ask("order list")?;
    let drains = orders.iter().any(|it| it.subnet == Some(subnet) && it.state == OrderState::Draining);
    ensure!(drains, "an address of it is used: {orders:?}");
    h1.sh("docker rm -f web")?;
    until(SOON, "the drained subnet is returned", || {
        let orders: Vec<Order> = h1.ask("order list")?;
        let gone = |order: &&Order| matches!(order.state, OrderState::Returned);
        Ok(orders.iter().find(gone).map(drop))
    })
    .with_context(|| format!("{}{}", h1.log_tail(Daemon::Berthd), fleet.host("h2").log_tail(Daemon::Berthd)))
}
