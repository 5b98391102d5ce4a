//! What is asked wrongly, and what cannot be had.

use anyhow::{Context, Result, ensure};
use api::{AddressState, Order, OrderState};
use serde_json::json;
use tests::lab::{BerthConfig, Daemon, Pool, until};

use tests::stage::{DELIVERY, SOON, Stage, with_pool};

/// A /29 has five addresses for containers.
const SMALL: u8 = 29;

/// Longer than the test can take: the address that cools is nobody's to the end.
const COOLING_SECS: u32 = 3600;

#[test]
fn what_makes_no_sense_or_cannot_be_had_is_refused_with_the_reason_and_harms_nothing() -> Result<()> {
    let pool =
        Pool { prefix: SMALL, subnets_max: 1, free_min: 1, cooling_secs: COOLING_SECS, ..Pool::default() };
    let stage = Stage::set(with_pool(pool.clone()))?;
    nonsense_is_answered_in_dockers_form(&stage)?;
    an_address_that_cannot_be_had_is_refused_with_who_has_it_and_until_when(&stage)?;
    an_exhausted_pool_says_how_many_are_used_and_held_and_which_limit_is_reached(&stage)?;
    an_exhausted_pool_tells_of_the_order_in_flight(&stage, pool)
}

fn nonsense_is_answered_in_dockers_form(stage: &Stage) -> Result<()> {
    let ipam = ["RequestPool", "ReleasePool", "RequestAddress", "ReleaseAddress"];
    let driver = ["CreateNetwork", "DeleteNetwork", "CreateEndpoint", "DeleteEndpoint", "Join", "Leave"];
    let calls = ipam.iter().map(|call| (format!("/IpamDriver.{call}"), "Error"));
    let calls = calls.chain(driver.iter().map(|call| (format!("/NetworkDriver.{call}"), "Err")));
    for (path, form) in calls {
        for body in [&b""[..], b"{", b"[7]", b"\"\xff\"", br#"{"PoolID": 7, "NetworkID": {}, "Pool": []}"#] {
            let (status, answer) = stage.call(&path, body)?;
            let said = answer[form].as_str().unwrap_or_default();
            ensure!(status == 200 && !said.is_empty(), "{path} {body:?}: {status} {answer}");
        }
    }
    for (path, form) in [("/IpamDriver.Nonsense", "Error"), ("/NetworkDriver.Nonsense", "Err")] {
        let (status, answer) = stage.call(path, b"{}")?;
        ensure!(status == 404 && answer[form].is_string(), "{path}: {status} {answer}");
    }
    // dockerd is served as before, by the same process.
    let web = stage.run("web", "")?;
    stage.vm_reaches(web)?;
    stage.settles_on(&[web], SOON)
}

fn an_address_that_cannot_be_had_is_refused_with_who_has_it_and_until_when(stage: &Stage) -> Result<()> {
    let host = stage.host();
    let web = host.address_of("web")?;
    let endpoint = host.sh("docker inspect -f '{{.NetworkSettings.Networks.cloud.EndpointID}}' web")?;
    let whose = format!("is in use by container web (endpoint {}", endpoint.trim());
    until(SOON, "a refusal names the container that Docker has shown by now", || {
        Ok(stage.refused(&format!("--ip {web}"))?.contains(&whose).then_some(()))
    })?;

    let subnets: Vec<api::Subnet> = host.ask("subnet list")?;
    let subnet = subnets.first().context("no subnet")?;
    let gateway = subnet.gateway.context("a subnet without a gateway")?;
    let said = stage.refused(&format!("--ip {gateway}"))?;
    ensure!(said.contains("is set aside: the gateway"), "set aside: {said}");

    // Docker itself refuses an address outside the subnet that its network names; this is what we say.
    let pool_id = format!("default/{}", subnet.subnet);
    let call = json!({ "PoolID": pool_id, "Address": "10.99.0.5", "Options": {} }).to_string();
    let (_, answer) = stage.call("/IpamDriver.RequestAddress", call.as_bytes())?;
    let said = answer["Error"].as_str().unwrap_or_default();
    ensure!(said.contains("10.99.0.5 is in no subnet of the pool"), "outside: {answer}");

    host.sh("docker rm -f web")?;
    until(SOON, "the address cools", || {
        Ok(matches!(stage.state_of(web)?, Some(AddressState::Cooling { .. })).then_some(()))
    })?;
    let said = stage.refused(&format!("--ip {web}"))?;
    ensure!(said.contains("is cooling after epoch") && said.contains(" s"), "cooling: {said}");
    Ok(())
}

fn an_exhausted_pool_says_how_many_are_used_and_held_and_which_limit_is_reached(stage: &Stage) -> Result<()> {
    // One of the five still cools.
    for number in 1..=4 {
        stage.run(&format!("c{number}"), "")?;
    }
    let said = stage.refused("")?;
    for part in [
        "no free address in pool default",
        "1 subnet, 8 addresses",
        "4 assigned here",
        "1 cooling by timer",
        "3 set aside",
        "the limit of subnets in the zone is reached (subnets_max = 1)",
        "the next is free in",
    ] {
        ensure!(said.contains(part), "not said, `{part}`: {said}");
    }
    Ok(())
}

fn an_exhausted_pool_tells_of_the_order_in_flight(stage: &Stage, pool: Pool) -> Result<()> {
    let hour = json!({ "order_visible_ms": 3_600_000, "order_routed_ms": 1000,
        "reclaim_ms": 1000, "transaction_ms": 1000 });
    stage.cloud().ask("PUT", "/delays", Some(&hour))?;
    let host = stage.host();
    host.configure(&BerthConfig { pools: vec![Pool { subnets_max: 2, ..pool }], ..BerthConfig::default() })?;
    host.stop(Daemon::Berthd)?;
    host.start(Daemon::Berthd)?;
    until(DELIVERY, "a second subnet is ordered", || {
        let orders: Vec<Order> = host.ask("order list")?;
        Ok(orders.iter().any(|order| order.state == OrderState::Placed).then_some(()))
    })
    .with_context(|| host.log_tail(Daemon::Berthd))?;
    until(SOON, "a refusal tells of the order", || {
        let said = stage.refused("")?;
        Ok((said.contains("order ") && said.contains("placed, its subnet not yet delivered")).then_some(()))
    })?;

    stage.cloud().ask("POST", "/clock/advance", Some(&json!({ "secs": 3700 })))?;
    stage.await_subnets(2)?;
    let more = stage.run("c6", "")?;
    stage.vm_reaches(more)?;
    let orders = &stage.cloud().state()?["orders"];
    ensure!(orders.as_array().is_some_and(|orders| orders.len() == 2), "not two orders: {orders}");
    Ok(())
}
