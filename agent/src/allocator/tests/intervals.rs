//! What the ledger is told of assignments, also by an agent that was killed.

use std::time::Duration;

use ledger::{Container, Entry, Why};

use super::rig::{Agent, Rig};

async fn intervals(agent: &Agent) -> Vec<Entry> {
    agent.allocator.intervals().await.unwrap()
}

#[tokio::test]
async fn an_interval_is_there_with_the_answer_and_survives_a_kill() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    agent.ready().await;
    let first = agent.run_container("e1").await;
    rig.clock.advance(Duration::from_secs(5));
    agent.allocator.endpoint_gone("e1".into()).await.unwrap();
    agent.allocator.release(first.address).await.unwrap();
    let second = agent.run_container("e2").await;
    let before = intervals(&agent).await;
    agent.kill();

    let agent = rig.start().await;
    let after = intervals(&agent).await;
    assert_eq!(after, before);
    let told: Vec<_> = after
        .iter()
        .map(|entry| {
            (entry.interval.epoch, entry.interval.endpoint.clone(), entry.interval.end.map(|e| e.why))
        })
        .collect();
    let expected =
        [(first.epoch, Some("e1".into()), Some(Why::Released)), (second.epoch, Some("e2".into()), None)];
    assert_eq!(told, expected);
}

#[tokio::test]
async fn what_ran_before_a_reboot_has_ended_with_it() {
    let mut rig = Rig::new().await;
    let agent = rig.start().await;
    agent.ready().await;
    let running = agent.run_container("e1").await;
    agent.kill();
    rig.reboot();
    let agent = rig.start().await;
    let told = intervals(&agent).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].interval.epoch, running.epoch);
    assert_eq!(told[0].interval.end.unwrap().why, Why::Reboot);
}

#[tokio::test]
async fn what_the_ledger_has_is_forgotten_here_and_stays_forgotten() {
    let rig = Rig::new().await;
    let agent = rig.start().await;
    agent.ready().await;
    let gone = agent.assign_any().await.unwrap();
    agent.allocator.release(gone.address).await.unwrap();
    let runs = agent.run_container("e2").await;
    let web = Container { id: "c".repeat(64), name: "web".into(), network: "cloud".into() };
    agent.allocator.named(vec![(runs.address, runs.epoch, web.clone())]).await.unwrap();
    agent.allocator.written(vec![(gone.address, gone.epoch)]).await.unwrap();
    let left = intervals(&agent).await;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].interval.container, Some(web));
    agent.kill();
    assert_eq!(intervals(&rig.start().await).await, left);
}
