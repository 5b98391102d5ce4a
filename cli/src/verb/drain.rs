//! `berth drain`: lets go of a container, or of a host, before it ends.

use std::time::{Duration, Instant};

use crate::agent::{Agent, AskError};
use crate::page::{Page, Verdict};
use crate::table::{or_dash, table};
use api::{Answer, Drain, Drained, paths};

/// How often it is looked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(250);

pub(crate) async fn drain(agent: &Agent, wanted: &Drain, wait: Duration) -> Result<Page, AskError> {
    let mut answer = agent.post::<Drained>(paths::DRAINS, wanted).await?;
    let begun = Instant::now();
    let mut said = usize::MAX;
    while pending(&answer.answer, wanted) > 0 && begun.elapsed() < wait {
        let left = pending(&answer.answer, wanted);
        if left != said {
            eprintln!("waiting for {left} of {} places in services …", answer.answer.members.len());
            said = left;
        }
        tokio::time::sleep(LOOK_EVERY).await;
        answer = look(agent, wanted).await?;
    }
    let left = pending(&answer.answer, wanted);
    let page = Page::new(&answer, text(&answer.answer, wanted));
    Ok(match left {
        0 => page.hint(
            (!wanted.undo).then(|| format!("`berth drain {} --undo` gives it work again", wanted.what)),
        ),
        _ => page.verdict(Verdict::No).hint(Some("give the same command again to wait longer")),
    })
}

async fn look(agent: &Agent, wanted: &Drain) -> Result<Answer<Drained>, AskError> {
    let query = [("what", Some(wanted.what.clone())), ("undo", Some(wanted.undo.to_string()))];
    agent.query::<Drained>(paths::DRAINS, &query).await
}

/// How many places are not as they were asked to be.
fn pending(drained: &Drained, wanted: &Drain) -> usize {
    drained.members.iter().filter(|member| !member.is_settled(wanted.undo)).count()
}

fn text(drained: &Drained, wanted: &Drain) -> String {
    let what = match &drained.container {
        Some(container) => format!("container {container} on host {}", drained.host),
        None => format!("host {} with all its containers", drained.host),
    };
    let says = if wanted.undo { "gets work again" } else { "gets nothing new" };
    if drained.members.is_empty() {
        return format!("{what} {says}; it is in no service now\n");
    }
    let row = |member: &api::DrainedMember| {
        vec![
            member.service.clone(),
            member.address.to_string(),
            member.container.clone(),
            if member.draining { "draining" } else { "takes part" }.to_owned(),
            or_dash(member.weight),
        ]
    };
    let headings = ["service", "address", "container", "state", "#weight at its load balancer"];
    format!("{what} {says}\n{}", table(&headings, drained.members.iter().map(row)))
}
