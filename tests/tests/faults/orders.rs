//! Orders whose answer is lost, and agents that die between intent and opening: one order, and an open pool.

use anyhow::{Context, Result, ensure};
use provider_mock::{Effect, Fault};
use serde_json::Value;
use tests::lab::{Daemon, DockerHost, until};

use tests::stage::{DELIVERY, SOON, Stage};

#[test]
fn an_order_whose_answer_was_lost_is_found_and_never_repeated() -> Result<()> {
    for lost in [Effect::CutAfter, Effect::EmptyBody, Effect::InternalErrorAs200] {
        // The last was not executed, and nobody can tell: it must not be repeated blindly either.
        let was_executed = lost != Effect::InternalErrorAs200;
        let stage = Stage::build(DockerHost::default())?;
        stage.cloud().inject(&Fault::once("placeOrder", lost.clone()))?;
        stage.host().start(Daemon::Berthd)?;
        if was_executed {
            stage.await_subnets(1).with_context(|| format!("after {lost:?}"))?;
            exactly_one_order(&stage)?;
        } else {
            until(SOON, "the order is looked for", || Ok((calls(&stage, "getOrders")? > 1).then_some(())))?;
        }
        ensure!(calls(&stage, "placeOrder")? == 1, "the order was repeated after {lost:?}");
    }
    Ok(())
}

#[test]
fn an_agent_killed_at_any_moment_between_intent_and_opening_leaves_one_order_and_an_open_pool() -> Result<()>
{
    // The agent dies while it waits for an answer to this call; `SilentAfter`: the cloud has done it.
    for (service, method, effect) in [
        ("SoftLayer_Product_Order", "verifyOrder", Effect::SilentBefore),
        ("SoftLayer_Product_Order", "placeOrder", Effect::SilentAfter),
        ("SoftLayer_Billing_Order", "getObject", Effect::SilentBefore),
        ("SoftLayer_Network_Subnet", "setTags", Effect::SilentBefore),
        ("SoftLayer_Network_Subnet", "setTags", Effect::SilentAfter),
    ] {
        let moment = format!("killed during {method}, {effect:?}");
        let stage = Stage::build(DockerHost::default())?;
        let host = stage.host();
        let fault = Fault { service: Some(service.to_owned()), ..Fault::always(method, effect) };
        stage.cloud().inject(&fault)?;
        host.start(Daemon::Berthd)?;
        until(DELIVERY, &format!("the cloud is asked for {method}"), || {
            let asked = |it: &&Value| it["service"] == service && it["method"] == method;
            Ok((count(&stage, asked)? > 0).then_some(()))
        })
        .with_context(|| host.log_tail(Daemon::Berthd))?;
        host.kill(Daemon::Berthd)?;
        stage.cloud().heal()?;
        host.start(Daemon::Berthd)?;
        stage.await_subnets(1).with_context(|| moment.clone())?;
        exactly_one_order(&stage).context(moment)?;
    }
    Ok(())
}

fn exactly_one_order(stage: &Stage) -> Result<()> {
    let state = stage.cloud().state()?;
    let orders = state["orders"].as_array().context("the cloud's dump has no orders")?;
    ensure!(orders.len() == 1, "{} orders: {}", orders.len(), state["orders"]);
    Ok(())
}

/// How often a method of the API was called.
fn calls(stage: &Stage, method: &str) -> Result<usize> {
    count(stage, |it| it["method"] == method)
}

fn count(stage: &Stage, is_meant: impl Fn(&&Value) -> bool) -> Result<usize> {
    let requests = stage.cloud().requests()?;
    Ok(requests.as_array().context("the cloud's requests are no list")?.iter().filter(is_meant).count())
}
