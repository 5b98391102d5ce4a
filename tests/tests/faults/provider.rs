//! A cloud that is away, denies, throttles or refuses: what is there goes on, and the rest comes by itself.

use anyhow::{Context, Result, ensure};
use api::{Condition, Order, OrderState};
use provider_mock::{Effect, Fault};
use tests::lab::{DockerHost, Pool, until};

use tests::stage::{SOON, Stage, with_pool};

/// A /30 has one address for a container: each container makes the next subnet needed.
fn one_a_subnet() -> DockerHost {
    with_pool(Pool { prefix: 30, subnets_max: 6, free_min: 1, cooling_secs: 1, ..Pool::default() })
}

#[test]
fn without_the_cloud_containers_go_on_and_what_is_missing_comes_by_itself_afterwards() -> Result<()> {
    let stage = Stage::set(one_a_subnet())?;
    unreachable_throttled_or_denied(&stage, 1, Effect::CutBefore, "is not answering")?;
    unreachable_throttled_or_denied(&stage, 2, Effect::RateLimited, "asks us to slow down")?;
    unreachable_throttled_or_denied(&stage, 3, Effect::Unauthorized, "lab")
}

/// The `number`th container takes what is there while the cloud has this fault; the next one must wait.
fn unreachable_throttled_or_denied(stage: &Stage, number: usize, effect: Effect, says: &str) -> Result<()> {
    let host = stage.host();
    stage.await_subnets(number)?;
    stage.cloud().inject(&Fault::everywhere(effect.clone()))?;
    let address = stage.run(&format!("c{number}"), "").with_context(|| format!("during {effect:?}"))?;
    stage.vm_reaches(address)?;
    stage.vm_reaches(host.address_of("c1")?)?;

    let shown = until(SOON, &format!("`berth status` shows {effect:?} and the next try"), || {
        Ok(match stage.cloud_condition()? {
            Condition::Failing { problem, next_try: Some(_), .. } => Some(problem),
            _ => None,
        })
    })?;
    ensure!(shown.contains(says), "{effect:?} is shown as: {shown}");
    let people = host.try_sh("berth status")?;
    ensure!(people.stdout.contains("next try"), "{}{}", people.stdout, people.stderr);
    let orders = host.try_sh("berth order list")?;
    ensure!(orders.stderr.contains("next try"), "the trouble is not with the orders: {orders:?}");
    let said = stage.refused("")?;
    ensure!(said.contains("no free address in pool default"), "{said}");

    stage.cloud().heal()?;
    stage.await_subnets(number + 1).with_context(|| format!("after {effect:?}"))?;
    until(SOON, "the cloud is well", || Ok((stage.cloud_condition()? == Condition::Good).then_some(())))
}

#[test]
fn a_refused_order_is_shown_with_the_next_try_and_repeated_when_nobody_objects_any_more() -> Result<()> {
    let stage = Stage::set(one_a_subnet())?;
    let refusal = Effect::Error {
        status: 500,
        code: "SoftLayer_Exception_Order_Item_Invalid".to_owned(),
        text: "Portable subnets are out of stock on this VLAN.".to_owned(),
    };
    stage.cloud().inject(&Fault::always("placeOrder", refusal))?;
    let address = stage.run("c1", "")?;
    let order = until(SOON, "`berth order list` shows the refusal", || {
        let orders: Vec<Order> = stage.host().ask("order list")?;
        let is_refused = |order: &Order| matches!(order.state, OrderState::Refused { .. });
        Ok(orders.into_iter().find(|order| is_refused(order) && order.next_try.is_some()))
    })
    .with_context(|| stage.host().sh("berth order list").unwrap_or_default())?;
    let OrderState::Refused { reason, .. } = &order.state else { unreachable!("it was looked for") };
    ensure!(reason.contains("out of stock"), "{reason}");
    let said = stage.refused("")?;
    ensure!(said.contains("out of stock") && said.contains("next try"), "{said}");
    stage.vm_reaches(address)?;

    stage.cloud().heal()?;
    stage.await_subnets(2)?;
    let next = stage.run("c2", "")?;
    stage.vm_reaches(next)?;
    let orders = stage.cloud().state()?["orders"].as_array().map(Vec::len);
    // The third is for whoever comes next.
    ensure!(matches!(orders, Some(2 | 3)), "{orders:?} orders for two subnets and a spare one");
    Ok(())
}
