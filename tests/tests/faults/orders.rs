//! Orders whose answer is lost, and agents that die between intent and opening: one order, and an open pool.

use anyhow::{Context, Result, ensure};
use provider_mock::{Effect, Fault};
use serde_json::Value;
use tests::lab::{Daemon, DockerHost, until};

use super::scene::{DELIVERY, SOON, Scene};

#[test]
fn an_order_whose_answer_was_lost_is_found_and_never_repeated() -> Result<()> {
    for lost in [Effect::CutAfter, Effect::EmptyBody, Effect::InternalErrorAs200] {
        // The last was not executed, and nobody can tell: it must not be repeated blindly either.
        let was_executed = lost != Effect::InternalErrorAs200;
        let scene = Scene::build(DockerHost::default())?;
        scene.cloud().inject(&Fault::once("placeOrder", lost.clone()))?;
        scene.host().start(Daemon::Berthd)?;
        if was_executed {
            scene.await_subnets(1).with_context(|| format!("after {lost:?}"))?;
            exactly_one_order(&scene)?;
        } else {
            until(SOON, "the order is looked for", || Ok((calls(&scene, "getOrders")? > 1).then_some(())))?;
        }
        ensure!(calls(&scene, "placeOrder")? == 1, "the order was repeated after {lost:?}");
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
        let scene = Scene::build(DockerHost::default())?;
        let host = scene.host();
        let fault = Fault { service: Some(service.to_owned()), ..Fault::always(method, effect) };
        scene.cloud().inject(&fault)?;
        host.start(Daemon::Berthd)?;
        until(DELIVERY, &format!("the cloud is asked for {method}"), || {
            let asked = |it: &&Value| it["service"] == service && it["method"] == method;
            Ok((count(&scene, asked)? > 0).then_some(()))
        })
        .with_context(|| host.log_tail(Daemon::Berthd))?;
        host.kill(Daemon::Berthd)?;
        scene.cloud().heal()?;
        host.start(Daemon::Berthd)?;
        scene.await_subnets(1).with_context(|| moment.clone())?;
        exactly_one_order(&scene).context(moment)?;
    }
    Ok(())
}

fn exactly_one_order(scene: &Scene) -> Result<()> {
    let state = scene.cloud().state()?;
    let orders = state["orders"].as_array().context("the cloud's dump has no orders")?;
    ensure!(orders.len() == 1, "{} orders: {}", orders.len(), state["orders"]);
    Ok(())
}

/// How often a method of the API was called.
fn calls(scene: &Scene, method: &str) -> Result<usize> {
    count(scene, |it| it["method"] == method)
}

fn count(scene: &Scene, is_meant: impl Fn(&&Value) -> bool) -> Result<usize> {
    let requests = scene.cloud().requests()?;
    Ok(requests.as_array().context("the cloud's requests are no list")?.iter().filter(is_meant).count())
}
