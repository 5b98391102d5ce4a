//! evict_to_usable_s: a host whose machine the provider calls off is evicted; how long until another host can use
//! everything that it held, beyond the quarantine that the operator asked for. In a lab with real daemons.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use provider_mock::PowerState;
use serde_json::json;
use tests::lab::{Host, Lab, until};
use tests::plugin;

use crate::report::say_once;
use crate::{Size, labs};

/// What the operator asks for in this cell.
const QUARANTINE_SECS: u64 = 30;

/// A session, the provider's staleness, two questions with a pause.
const WITNESSED: Duration = Duration::from_secs(300);

const USABLE: Duration = Duration::from_secs(240);

/// Containers on the host that dies.
const CONTAINERS: usize = 4;

pub(crate) fn measure(_: &Size) -> Result<()> {
    let lab = Lab::build(labs::layout(2, 1, 28))?;
    let subnet = labs::start(&lab, &format!("quarantine_secs = {QUARANTINE_SECS}"))?;
    let (left, dies) = (lab.host("h1")?, lab.host("h2")?);
    let mut held = BTreeSet::new();
    for number in 1..=CONTAINERS {
        dies.sh(&format!("docker run -d --name c{number} --network cloud busybox sleep 1000000"))?;
        held.insert(dies.address_of(&format!("c{number}"))?.to_string());
    }
    let begun = Instant::now();
    lab.cloud().set_power("h2", PowerState::Halted)?;
    dies.power_off()?;
    until(WITNESSED, "the dead host is evicted", || {
        Ok((!lab.etcd().keys("evictions/")?.is_empty()).then_some(()))
    })?;
    say_once("evict_death_to_witness_s", "s", begun.elapsed().as_secs_f64());
    let witnessed = Instant::now();
    let pool = format!("default/{subnet}");
    until(USABLE, "everything that it held can be used", || {
        let mut got = BTreeSet::new();
        for address in &held {
            if request(left, &pool, address)? {
                got.insert(address.clone());
            }
        }
        held.retain(|address| !got.contains(address));
        Ok(held.is_empty().then_some(()))
    })?;
    let beyond = witnessed.elapsed().as_secs_f64() - QUARANTINE_SECS as f64;
    ensure!(beyond >= 0.0, "usable before its quarantine ended");
    say_once("evict_to_usable_s", "s", beyond);
    Ok(())
}

/// Asks berthd for this very address, as dockerd does for `--ip`.
fn request(host: &Host, pool: &str, address: &str) -> Result<bool> {
    let ask = json!({ "PoolID": pool, "Address": address, "Options": null }).to_string();
    let (_, answer) = plugin::call(host, "/IpamDriver.RequestAddress", ask.as_bytes())
        .with_context(|| format!("berthd was asked for {address}"))?;
    Ok(answer["Address"].is_string())
}
