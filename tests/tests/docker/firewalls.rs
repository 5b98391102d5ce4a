//! Firewalls of the cloud that follow real containers: the one of a public VLAN, and security groups.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use serde_json::json;
use tests::balancers::{declare, run_web, says};
use tests::lab::{BerthConfig, Daemon, DockerHost, Layout, Pool, until};
use tests::stage::{DELIVERY, SOON, Stage};

/// The public VLAN of the lab.
const VLAN: u64 = tests::lab::VLAN + 1;

fn web(firewall: &str) -> String {
    format!("name = \"web\"\n[[port]]\nport = 80\n[[policy]]\nfrom = [\"any\"]\n[firewall]\n{firewall}\n")
}

/// Waits until the site at this address answers a node, or does not.
fn opens(stage: &Stage, from: &str, address: IpAddr, open: bool) -> Result<()> {
    let (host, node) = (stage.host(), stage.lab().node(from)?);
    let ask = format!("timeout 2 busybox wget -q -O - http://{address}/");
    until(DELIVERY, &format!("{address} is open to {from}: {open}"), || {
        Ok((node.try_sh(&ask)?.is_success() == open).then_some(()))
    })
    .with_context(|| {
        format!(
            "{}\n{}",
            host.sh("berth service show web").unwrap_or_default(),
            host.log_tail(Daemon::Berthd)
        )
    })
}

/// The rules of the VLAN's firewall: to where, and whose.
fn rules(stage: &Stage) -> Result<Vec<(String, String)>> {
    let state = stage.cloud().state()?;
    let rules = state["firewalls"][0]["rules"].as_array().context("no firewall")?.clone();
    let text = |rule: &serde_json::Value, name: &str| rule[name].as_str().unwrap_or_default().to_owned();
    Ok(rules.iter().map(|rule| (text(rule, "destination"), text(rule, "notes"))).collect())
}

#[test]
fn a_public_vlan_s_firewall_lets_in_what_a_service_says_and_an_address_waits_until_it_is_closed() -> Result<()>
{
    let pool = Pool { public: true, cooling_secs: 1, ..Pool::default() };
    let options = DockerHost {
        berth: BerthConfig { pools: vec![pool], ..BerthConfig::default() },
        ..DockerHost::default()
    };
    let stage = Stage::set_in(Layout::one_host_with(options).firewalled_vlan())?;
    let host = stage.host();
    let one = run_web(host, "one", "cloud")?;
    opens(&stage, "client", one, true)?;
    declare(host, &web(&format!("zones = [\"{VLAN}\"]")))?;
    until(SOON, "it is told that the firewall has no rule", || {
        Ok(host.sh("berth service show web")?.contains("drops all else").then_some(()))
    })?;

    // The operator writes a rule for what is his; all else that is not ours is closed with it.
    let theirs = json!([{
        "order": 1, "permit": true, "protocol": "tcp", "source": "0.0.0.0/0", "destination": "203.0.113.2/32",
        "ports": [22, 22], "notes": "ssh",
    }]);
    stage.cloud().ask("PUT", &format!("/vlans/{VLAN}/firewall/rules"), Some(&theirs))?;
    let plain = stage.run("plain", "")?;
    opens(&stage, "client", plain, false)?;
    opens(&stage, "client", one, true)?;
    let two = run_web(host, "two", "cloud")?;
    opens(&stage, "client", two, true)?;

    host.sh("docker rm -f one")?;
    let waits = || -> Result<bool> {
        let shown = host.sh(&format!("berth address show {one}"))?;
        Ok(shown.contains(&format!("the firewall of VLAN {VLAN}")))
    };
    ensure!(waits()?, "its address does not wait for the firewall");
    until(DELIVERY, "its address waits for nobody", || Ok((!waits()?).then_some(())))?;
    let to = |rules: &[(String, String)], address: IpAddr| {
        rules.iter().any(|(to, _)| *to == format!("{address}/32"))
    };
    let left = rules(&stage)?;
    ensure!(!to(&left, one) && to(&left, two), "{left:?}");

    host.kill(Daemon::Berthd)?;
    opens(&stage, "client", two, true)?;
    host.start(Daemon::Berthd)?;
    host.sh("berth service delete web")?;
    opens(&stage, "client", two, false)?;
    let left = rules(&stage)?;
    ensure!(left == [("203.0.113.2/32".to_owned(), "ssh".to_owned())], "{left:?}");
    Ok(())
}

#[test]
fn a_security_group_opens_a_service_s_port_at_the_hosts_of_its_containers_and_goes_with_it() -> Result<()> {
    let stage = Stage::set(DockerHost::default())?;
    let host = stage.host();
    let address = run_web(host, "one", "cloud")?;
    opens(&stage, "vm1", address, true)?;
    // An operator attaches the host's first group: nothing comes in any more that no group lets in.
    stage.cloud().ask("PUT", "/machines/h1/groups/allow_outbound", None)?;
    opens(&stage, "vm1", address, false)?;
    declare(host, &web("security_groups = [\"berth-web\"]"))?;
    opens(&stage, "vm1", address, true)?;
    until(SOON, "it is shown", || {
        Ok(says(host, "security group berth-web: 1 rule of ours").is_ok().then_some(()))
    })?;
    says(host, "it sees hosts")?;
    host.sh("berth service delete web")?;
    opens(&stage, "vm1", address, false)?;
    until(SOON, "its group goes", || {
        Ok((!stage.cloud().state()?["security_groups"].to_string().contains("berth-web")).then_some(()))
    })
}
