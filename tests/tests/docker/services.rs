//! Services by labels and by declaration: who is in them as Docker shows it, through crashes, and what is refused.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use api::{MemberStanding, ServiceLine, ServiceReport, Status};
use tests::lab::{Daemon, Host, until};
use tests::stage::{SITE, SOON, Stage, without_cooling};

/// A member as these tests look at it: where, what it is called, and whether it takes part.
type Seen = (IpAddr, String, bool);

#[test]
fn containers_are_in_services_by_label_and_by_declaration_as_docker_shows_them() -> Result<()> {
    let stage = Stage::set(without_cooling())?;
    let host = stage.host();
    let one = stage.run("web-1", "-l berth.service=web -l berth.port=80")?;
    has(host, "web", &[(one, "web-1", true)])?;
    let two = stage.run("web-2", "-l berth.service=web -l berth.port=80")?;
    has(host, "web", &[(one, "web-1", true), (two, "web-2", true)])?;

    a_health_check_decides_who_takes_part(&stage)?;
    a_declaration_finds_its_containers_by_their_labels(&stage, one)?;
    what_cannot_be_is_refused_with_what_can(host)?;
    a_label_that_cannot_be_followed_is_named(&stage)?;

    what_is_drained_or_ends_gets_nothing_new(&stage, one, two)?;

    for how in [Host::stop, Host::kill] {
        how(host, Daemon::Berthd)?;
        // Docker asks no plugin for this.
        host.sh("docker pause web-2")?;
        host.start(Daemon::Berthd)?;
        has(host, "web", &[(one, "web-1", true), (two, "web-2", false)])?;
        host.sh("docker unpause web-2")?;
        has(host, "web", &[(one, "web-1", true), (two, "web-2", true)])?;
    }
    host.sh("docker ps -aq | xargs docker rm -f")?;
    until(SOON, "nobody is in any service", || {
        let services: Vec<ServiceLine> = host.ask("service list")?;
        Ok(services.iter().all(|service| service.members_in + service.members_out == 0).then_some(()))
    })?;
    // Published addresses come back too: nothing in a cloud names them.
    stage.settles_on(&[], SOON)
}

#[test]
fn containers_on_dockers_own_bridge_are_in_services_as_well() -> Result<()> {
    let stage = Stage::set(without_cooling())?;
    let host = stage.host();
    stage.create_theirs()?;
    host.sh(&format!(
        "docker run -d --name web --network theirs -l berth.service=web -l berth.port=80 {SITE}"
    ))?;
    let web = host.address_of("web")?;
    has(host, "web", &[(web, "web", true)])?;
    host.kill(Daemon::Berthd)?;
    host.start(Daemon::Berthd)?;
    has(host, "web", &[(web, "web", true)])?;
    host.sh("docker rm -f web")?;
    stage.settles_on(&[], SOON)
}

fn members(host: &Host, service: &str) -> Result<Vec<Seen>> {
    let report: ServiceReport = host.ask(&format!("service show {service}"))?;
    let seen = |member: api::Member| {
        let part = !matches!(member.standing, MemberStanding::Out { .. });
        (member.address, member.container, part)
    };
    let mut members: Vec<Seen> = report.members.into_iter().map(seen).collect();
    members.sort_by(|a, b| a.1.cmp(&b.1));
    Ok(members)
}

/// Waits until these, and no others, are in the service.
fn has(host: &Host, service: &str, expected: &[(IpAddr, &str, bool)]) -> Result<()> {
    let expected: Vec<Seen> =
        expected.iter().map(|(at, name, part)| (*at, (*name).to_owned(), *part)).collect();
    let mut last = String::new();
    until(SOON, &format!("{expected:?} are in service {service}"), || {
        let seen = members(host, service);
        last = format!("{seen:?}");
        Ok(seen.is_ok_and(|seen| seen == expected).then_some(()))
    })
    .with_context(|| format!("{last}\n{}", host.log_tail(Daemon::Berthd)))
}

fn a_health_check_decides_who_takes_part(stage: &Stage) -> Result<()> {
    let host = stage.host();
    let check = "--health-cmd 'test -f /tmp/well' --health-interval 1s --health-retries 1";
    let at = stage.run("checked", &format!("-l berth.service=checked -l berth.port=80 {check}"))?;
    has(host, "checked", &[(at, "checked", false)])?;
    host.sh("docker exec checked touch /tmp/well")?;
    has(host, "checked", &[(at, "checked", true)])?;
    host.sh("docker exec checked rm /tmp/well")?;
    has(host, "checked", &[(at, "checked", false)])?;
    let shown = host.sh("berth service show checked")?;
    ensure!(shown.contains("its health check says that it is not healthy"), "{shown}");
    host.sh("docker exec checked touch /tmp/well")?;
    has(host, "checked", &[(at, "checked", true)])?;
    host.sh("docker pause checked")?;
    has(host, "checked", &[(at, "checked", false)])?;
    host.sh("docker unpause checked")?;
    has(host, "checked", &[(at, "checked", true)])
}

fn what_is_drained_or_ends_gets_nothing_new(stage: &Stage, one: IpAddr, two: IpAddr) -> Result<()> {
    let host = stage.host();
    let said = host.sh("berth drain web-1")?;
    ensure!(said.contains("container web-1 on host") && said.contains("draining"), "{said}");
    has(host, "web", &[(one, "web-1", false), (two, "web-2", true)])?;
    host.kill(Daemon::Berthd)?;
    host.start(Daemon::Berthd)?;
    has(host, "web", &[(one, "web-1", false), (two, "web-2", true)])?;
    until(SOON, "berthd knows again who this machine is", || {
        Ok(host.try_sh("berth drain web-1 --undo")?.is_success().then_some(()))
    })?;
    has(host, "web", &[(one, "web-1", true), (two, "web-2", true)])?;
    let unknown = host.try_sh("berth drain nobody")?;
    ensure!(unknown.stderr.contains("there is no container nobody on this host"), "{}", unknown.stderr);

    // One that serves on after TERM.
    let serves_on = "sh -c 'trap \"while ! test -f /tmp/over; do sleep 0.1; done; exit 0\" TERM; \
                     while :; do sleep 0.1; done'";
    host.sh(&format!(
        "docker run -d --name slow --network cloud -l berth.service=web -l berth.port=80 busybox {serves_on}"
    ))?;
    let slow = host.address_of("slow")?;
    has(host, "web", &[(slow, "slow", true), (one, "web-1", true), (two, "web-2", true)])?;
    host.sh("docker kill -s HUP web-2 && docker kill -s TERM slow")?;
    has(host, "web", &[(slow, "slow", false), (one, "web-1", true), (two, "web-2", true)])?;
    let shown = host.sh("berth service show web")?;
    ensure!(shown.contains("Docker sent it the signal to end"), "{shown}");
    host.sh("docker exec slow touch /tmp/over && docker wait slow && docker rm slow")?;
    has(host, "web", &[(one, "web-1", true), (two, "web-2", true)])
}

/// Gives `berth` a declaration on its stdin.
fn declare(host: &Host, verb: &str, text: &str) -> Result<tests::lab::Said> {
    host.try_sh(&format!("berth service {verb} - <<'END'\n{text}\nEND\n"))
}

fn a_declaration_finds_its_containers_by_their_labels(stage: &Stage, one: IpAddr) -> Result<()> {
    let host = stage.host();
    let front = "name = \"front\"\nselector = { tier = \"front\" }\n[[port]]\nport = 80\n";
    let at = stage.run("front", "-l tier=front")?;
    let differs = declare(host, "diff", front)?;
    ensure!(!differs.is_success() && differs.stdout.contains("selector.tier"), "{}", differs.stdout);
    ensure!(declare(host, "apply -f", front)?.is_success(), "a whole declaration was refused");
    has(host, "front", &[(at, "front", true)])?;
    ensure!(declare(host, "diff", front)?.is_success(), "it stands so already");

    // Another selector: who is in it follows.
    let web = front.replace("tier = \"front\"", "\"berth.service\" = \"web\", \"berth.port\" = \"80\"");
    ensure!(declare(host, "apply -f", &web)?.is_success(), "the declaration was not changed");
    let two = host.address_of("web-2")?;
    has(host, "front", &[(one, "web-1", true), (two, "web-2", true)])?;
    host.sh("berth service delete front")?;
    until(SOON, "nobody is in it when it is gone", || {
        Ok((!host.try_sh("berth service show front")?.is_success()).then_some(()))
    })?;
    host.sh("docker rm -f front checked").map(drop)
}

fn what_cannot_be_is_refused_with_what_can(host: &Host) -> Result<()> {
    let balanced = |name: &str, protocol: &str| {
        format!(
            "name = \"{name}\"\n[[port]]\nport = 80\n[load_balancer]\nname = \"lb\"\n\
             [[load_balancer.listener]]\nport = 80\nprotocol = \"{protocol}\"\n"
        )
    };
    let refused = |text: &str, words: &[&str]| -> Result<()> {
        let said = declare(host, "apply -f", text)?;
        ensure!(!said.is_success() && words.iter().all(|word| said.stderr.contains(word)), "{}", said.stderr);
        println!("{}", said.stderr.trim());
        Ok(())
    };
    ensure!(
        declare(host, "apply -f", &balanced("first", "http"))?.is_success(),
        "the first has the balancer"
    );
    refused(&balanced("second", "http"), &["service first is behind load balancer lb already"])?;
    refused(&balanced("third", "udp"), &["listener 80 takes udp", "take tcp, http"])?;
    refused("name = \"Web\"\n[[port]]\nport = 80\n", &["its name \"Web\""])?;
    refused("name = \"web\"\n[[port]]\nport = 65536\n", &["port"])?;
    refused("name = \"web\"\nports = [80]\n", &["unknown field `ports`"])?;
    host.sh("berth service delete first")?;
    let unknown = host.try_sh("berth service delete first")?;
    ensure!(unknown.stderr.contains("no declared service first"), "{}", unknown.stderr);
    Ok(())
}

fn a_label_that_cannot_be_followed_is_named(stage: &Stage) -> Result<()> {
    let host = stage.host();
    stage.run("lost", "-l berth.service=lost")?;
    let notice = until(SOON, "the label without a port is named", || {
        let status: Status = host.ask("status")?;
        Ok(status.notices.into_iter().find(|notice| notice.problem.contains("container lost")))
    })?;
    ensure!(notice.hint.contains("berth.port"), "{notice:?}");
    host.sh("docker rm -f lost")?;
    until(SOON, "nothing is named any more", || {
        Ok(host.ask::<Status>("status")?.notices.is_empty().then_some(()))
    })
}
