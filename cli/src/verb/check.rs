//! `berth check`: do journal, store, kernel, Docker and cloud agree?

use super::words;
use crate::agent::{Agent, AskError};
use crate::page::{Page, Verdict};
use crate::table::list;
use api::{CheckReport, Finding, paths};

pub(crate) async fn check(agent: &Agent) -> Result<Page, AskError> {
    let answer = agent.get::<CheckReport>(paths::CHECK).await?;
    let CheckReport { addresses, endpoints, findings, cost } = &answer.answer;
    let cost =
        cost.map(|cost| format!(", in {} ms with {} reads of the store", cost.millis, cost.store_reads));
    let cost = cost.unwrap_or_default();
    let asked =
        format!("{addresses} addresses and {endpoints} endpoints, asked {}{cost}", list(&answer.words_of));
    let text = match findings.as_slice() {
        [] if answer.silent.is_empty() => format!("all words agree: {asked}\n"),
        [] => format!("those who answered agree: {asked}\n"),
        findings => {
            let count = findings.len();
            format!("{count} found in {asked}\n\n{}", findings.iter().map(finding).collect::<String>())
        }
    };
    let verdict = match (findings.is_empty(), answer.silent.is_empty()) {
        (true, true) => Verdict::Yes,
        (true, false) => Verdict::CouldNotTell,
        (false, _) => Verdict::No,
    };
    let hints: Vec<_> = findings.iter().filter_map(|finding| finding.hint.clone()).collect();
    let page = Page::new(&answer, text).verdict(verdict);
    Ok(hints.into_iter().fold(page, |page, hint| page.hint(Some(hint))))
}

fn finding(finding: &Finding) -> String {
    let promise = finding.promise.as_ref().map(|promise| format!("  breaks {promise}")).unwrap_or_default();
    format!("{}  {}{promise}\n{}", finding.subject, finding.problem, words(&finding.words))
}
