//! What owners promise, at a simulated cloud that speaks SoftLayer's real protocol, with agents that can be killed.

mod local;

use std::time::Duration;

use crate::owners::tests::world::{self, World};
use provider_mock::{Delays, Effect, Fault};

#[tokio::test]
async fn members_are_registered_weighed_and_removed_as_their_containers_come_and_go() {
    let world = World::new().await;
    let _agent = world.agent("h1");
    world.declare().await;
    for number in 1..=5 {
        world.comes(number, u64::from(number)).await;
    }
    world.has(&[(1, 50), (2, 50), (3, 50), (4, 50), (5, 50)]).await;
    assert_eq!(world.listeners(), [80, 443]);
    world.is_drained(1, 1).await;
    world.has(&[(1, 0), (2, 50), (3, 50), (4, 50), (5, 50)]).await;
    world.goes(1).await;
    world.is_free(1).await;
    world.has(&[(2, 50), (3, 50), (4, 50), (5, 50)]).await;
    world.leaves_strangers_alone();
}

#[tokio::test]
async fn a_service_that_is_deleted_while_it_drains_leaves_nothing_behind() {
    let world = World::new().await;
    let _agent = world.agent("h1");
    world.declare().await;
    world.comes(1, 1).await;
    world.comes(2, 2).await;
    world.has(&[(1, 50), (2, 50)]).await;
    world.is_drained(1, 1).await;
    world.withdraw().await;
    world.has(&[]).await;
    world.until("its listener is gone", || world.listeners() == [443]).await;
    world.is_free(1).await;
    world.is_free(2).await;
    let left = store::layout::Item::Balancer("web-lb".into()).key();
    let is_gone = async || store::Store::get(&world.store, &left).await.unwrap().entry.is_none();
    world.until_async("nothing is known of it", is_gone).await;
    world.leaves_strangers_alone();
}

#[tokio::test]
async fn an_owner_that_is_killed_in_mid_update_is_followed_by_another() {
    let delays = Delays { balancer_update_ms: 300, ..Delays::NONE };
    let world = World::with(delays).await;
    let first = world.agent("h1");
    world.declare().await;
    world.comes(1, 1).await;
    world.until_async("it is about to be put there", async || !world.writers(1).await.is_empty()).await;
    drop(first);
    world.falls_silent("h1").await;
    let _second = world.agent("h2");
    world.comes(2, 2).await;
    world.has(&[(1, 50), (2, 50)]).await;
    world.goes(1).await;
    world.is_free(1).await;
    world.leaves_strangers_alone();
}

#[tokio::test]
async fn two_owners_for_a_moment_end_as_one_and_as_wanted() {
    let world = World::new().await;
    let (_first, _second) = (world.agent("h1"), world.agent("h2"));
    world.declare().await;
    for round in 0..4_u8 {
        // Whoever had it falls silent, works on, and comes back.
        let host = if round % 2 == 0 { "h1" } else { "h2" };
        world.falls_silent(host).await;
        world.comes(round + 1, 1).await;
        let all: Vec<(u8, u8)> = (1..=round + 1).map(|number| (number, 50)).collect();
        world.has(&all).await;
        world.comes_back(host).await;
    }
    world.goes(1).await;
    world.is_free(1).await;
    world.leaves_strangers_alone();
}

#[tokio::test]
async fn late_member_a_deposed_owner_s_call_that_lands_late_is_found_before_the_address_is_used_again() {
    let world = World::new().await;
    let first = world.agent("h1");
    world.declare().await;
    world.until("it listens", || world.listeners() == [80, 443]).await;
    world.cloud.live().inject(Fault::once("addLoadBalancerMembers", Effect::Late { ms: 1_200 }));
    world.comes(1, 1).await;
    world.until_async("it is about to be put there", async || !world.writers(1).await.is_empty()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    // Its call is under way: the owner dies, another one follows, and the container is gone.
    drop(first);
    world.falls_silent("h1").await;
    let _second = world.agent("h2");
    world.goes(1).await;
    world.has(&[(1, 50)]).await;
    world.has(&[]).await;
    world.is_free(1).await;
    world.leaves_strangers_alone();
}

#[tokio::test]
async fn a_change_that_was_made_although_its_answer_was_lost_is_seen_and_not_made_twice() {
    let world = World::new().await;
    for effect in [Effect::CutAfter, Effect::EmptyBody] {
        world.cloud.live().inject(Fault::once("addLoadBalancerMembers", effect));
    }
    let _agent = world.agent("h1");
    world.declare().await;
    world.comes(1, 1).await;
    world.has(&[(1, 50)]).await;
    world.comes(2, 2).await;
    world.has(&[(1, 50), (2, 50)]).await;
    world.goes(1).await;
    world.is_free(1).await;
    world.leaves_strangers_alone();
}

#[tokio::test]
async fn errors_of_the_provider_are_waited_out() {
    let world = World::new().await;
    for effect in [Effect::RateLimited, Effect::InternalError, Effect::CutBefore] {
        world.cloud.live().inject(Fault::once("addLoadBalancerMembers", effect));
    }
    let _agent = world.agent("h1");
    world.declare().await;
    world.comes(1, 1).await;
    world.has(&[(1, 50)]).await;
    world.leaves_strangers_alone();
}

#[tokio::test]
async fn a_load_balancer_that_is_busy_is_waited_for_and_never_asked_meanwhile() {
    let world = World::new().await;
    world.cloud.live().keep_balancer_busy("Web-LB", 2_000);
    let _agent = world.agent("h1");
    world.declare().await;
    world.comes(1, 1).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(world.at_provider().is_empty());
    world.has(&[(1, 50)]).await;
    let refused = world.cloud.live().requests().iter().filter(|it| it.status == Some(500)).count();
    assert_eq!(refused, 0, "it was asked to change while it was busy");
}

#[tokio::test]
async fn a_load_balancer_that_is_deleted_under_us_gets_everything_again_once_it_is_back() {
    let world = World::new().await;
    let _agent = world.agent("h1");
    world.declare().await;
    world.comes(1, 1).await;
    world.comes(2, 2).await;
    world.has(&[(1, 50), (2, 50)]).await;
    world.cloud.live().delete_balancer("web-lb");
    world.goes(1).await;
    world.is_free(1).await;
    world.make_balancer().await;
    world.has(&[(2, 50)]).await;
    world.until("it listens", || world.listeners() == [80, 443]).await;
}

#[tokio::test]
async fn what_is_edited_by_hand_is_mended_and_strangers_are_left() {
    let world = World::new().await;
    let _agent = world.agent("h1");
    world.declare().await;
    world.comes(1, 1).await;
    world.comes(2, 2).await;
    world.has(&[(1, 50), (2, 50)]).await;
    world.cloud.live().put_balancer_member("web-lb", "10.60.0.1", None).unwrap();
    world.cloud.live().put_balancer_member("web-lb", "10.60.0.2", Some(3)).unwrap();
    world.has(&[(1, 50), (2, 50)]).await;
    world.leaves_strangers_alone();
}

#[tokio::test]
async fn containers_come_and_go_while_the_provider_is_away_and_all_is_in_line_when_it_is_back() {
    let world = World::new().await;
    let _agent = world.agent("h1");
    world.declare().await;
    world.comes(1, 1).await;
    world.has(&[(1, 50)]).await;
    let away = world.cloud.live().inject(Fault::everywhere(Effect::CutBefore));
    world.goes(1).await;
    for number in 2..10 {
        world.comes(number, 1).await;
        if number % 2 == 0 {
            world.goes(number).await;
        }
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(world.waits(1).await, "its address is let go of while nobody can see that it is gone");
    world.cloud.live().remove_fault(away);
    world.has(&[(3, 50), (5, 50), (7, 50), (9, 50)]).await;
    world.is_free(1).await;
    world.leaves_strangers_alone();
}

#[tokio::test]
async fn orphans_are_found_after_the_store_was_lost() {
    let mut world = World::new().await;
    let agent = world.agent("h1");
    world.declare().await;
    world.comes(1, 1).await;
    world.comes(2, 2).await;
    world.has(&[(1, 50), (2, 50)]).await;
    drop(agent);
    world.lose_the_store().await;
    world.declare().await;
    world.comes(2, 7).await;
    let _agent = world.agent("h1");
    // Of what was lost with the store nobody can know at once: no address of it is used before hosts account for it.
    let is_gone = async || {
        while !world.at_provider().into_keys().eq([2]) || !world.waits(2).await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(world::PATIENCE, is_gone()).await.unwrap();
    world.leaves_strangers_alone();
}

#[tokio::test]
async fn an_owner_that_stops_in_order_keeps_nobody_waiting() {
    let world = World::new().await;
    let first = world.agent("h1");
    world.declare().await;
    world.comes(1, 1).await;
    world.has(&[(1, 50)]).await;
    // Until no call of whoever might have been before can land.
    tokio::time::sleep(world::TIMING.call_max + world::TIMING.term_confirmed_for).await;
    first.stop().await;
    let _second = world.agent("h2");
    world.goes(1).await;
    let begun = std::time::Instant::now();
    world.is_free(1).await;
    assert!(begun.elapsed() < world::TIMING.call_max, "it waited for one that said that it is done");
}
