//! `berth name NAME|ADDRESS`: what DNS answers here, and on whose word.

use crate::agent::{Agent, AskError};
use crate::page::{Page, Verdict};
use crate::table::{pairs, table};
use api::{NameRecord, NameReport, paths};

pub(crate) async fn name(agent: &Agent, name: &str) -> Result<Page, AskError> {
    let asked = [("name", Some(name.to_owned()))];
    let answer = agent.query::<NameReport>(paths::NAMES, &asked).await?;
    let verdict = if answer.answer.records.is_empty() { Verdict::No } else { Verdict::Yes };
    Ok(Page::new(&answer, text(&answer.answer)).verdict(verdict))
}

fn text(report: &NameReport) -> String {
    let NameReport { asked, answer, records, word } = report;
    let mut text = format!("{asked}\n");
    text += &pairs([("answer", answer.clone()), ("by", word.clone())]);
    if !records.is_empty() {
        let row = |NameRecord { kind, data, ttl_secs, .. }: &NameRecord| {
            vec![kind.clone(), data.clone(), format!("{ttl_secs} s")]
        };
        text += &format!("\n{}", table(&["type", "data", "for"], records.iter().map(row)));
    }
    text
}
