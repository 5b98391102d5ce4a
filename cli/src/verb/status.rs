//! `berth status`: one page about the agent and everything it stands on.

use super::table_with_counts;
use crate::agent::{Agent, AskError};
use crate::page::{Page, Verdict};
use crate::table::{list, moment, or_dash, pairs, table};
use crate::verb::{host, order, subnet};
use api::{Condition, Mode, Notice, Part, Status, paths};

pub(crate) async fn status(agent: &Agent) -> Result<Page, AskError> {
    let answer = agent.get::<Status>(paths::STATUS).await?;
    let status = &answer.answer;
    let failing = status.parts.iter().any(|part| matches!(part.condition, Condition::Failing { .. }));
    let well = status.mode == Mode::Serving && !failing && status.notices.is_empty();
    let hints = status.parts.iter().filter_map(|part| match &part.condition {
        Condition::Failing { hint, .. } => hint.as_ref(),
        _ => None,
    });
    let cures = status.notices.iter().map(|notice| format!("{}: {}", notice.about, notice.hint));
    let verdict = if well { Verdict::Yes } else { Verdict::No };
    let page = Page::new(&answer, text(status)).verdict(verdict);
    let page = hints.fold(page, |page, hint| page.hint(Some(hint)));
    Ok(cures.fold(page, |page, cure| page.hint(Some(cure))))
}

fn text(status: &Status) -> String {
    let mut text = pairs([
        ("cluster", status.cluster.clone()),
        ("host", or_dash(status.host.as_ref())),
        ("agent", format!("{}, since {}", status.agent, moment(status.started))),
        ("mode", mode(&status.mode)),
    ]);
    if let Some(names) = &status.names {
        let at = list(names.at.iter());
        text += &format!("names    {} at {}\n", names.domain, if at.is_empty() { "-" } else { &at });
    }
    if !status.parts.is_empty() {
        text += "\n";
        text += &table(&["part", "condition", "what"], status.parts.iter().map(part));
        text += &status.parts.iter().filter_map(trouble).collect::<String>();
    }
    if !status.notices.is_empty() {
        text += "\n";
        let line = |notice: &Notice| format!("{}: {}\n", notice.about, notice.problem);
        text += &status.notices.iter().map(line).collect::<String>();
    }
    if !status.pools.is_empty() {
        text += "\n";
        let row = |line: &api::PoolLine| (vec![line.pool.clone(), line.zone.clone()], line.counts);
        text += &table_with_counts(&["pool", "zone"], status.pools.iter().map(row));
    }
    if !status.orders.is_empty() {
        text += "\n";
        text += &order::orders(&status.orders);
    }
    if !status.hosts.is_empty() {
        text += "\n";
        text += &host::hosts(&status.hosts);
        text += &status.hosts.iter().map(host::life).collect::<String>();
    }
    if !status.quarantine.is_empty() {
        text += "\n";
        text += &subnet::quarantine(&status.quarantine);
    }
    text
}

fn mode(mode: &Mode) -> String {
    match mode {
        Mode::Serving => "serving".into(),
        Mode::Starting => "starting".into(),
        Mode::ReleasesOnly { reasons } => {
            let reasons: String = reasons.iter().map(|reason| format!("\n  {reason}")).collect();
            format!("releases only, because of{reasons}")
        }
    }
}

fn part(part: &Part) -> Vec<String> {
    let condition = match part.condition {
        Condition::Good => "good",
        Condition::Unasked => "not asked yet",
        Condition::Failing { .. } => "failing",
    };
    vec![part.part.to_string(), condition.into(), part.what.clone()]
}

fn trouble(part: &Part) -> Option<String> {
    let Condition::Failing { problem, hint, since, next_try } = &part.condition else { return None };
    let next = match (next_try, hint) {
        (Some(next), _) => format!("; next try {}", moment(*next)),
        // The hint that follows says who helps, and how.
        (None, Some(_)) => String::new(),
        (None, None) => "; needs an operator".to_owned(),
    };
    Some(format!("{}: {problem}, since {}{next}\n", part.part, moment(*since)))
}
