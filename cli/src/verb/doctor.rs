//! `berth doctor`: is the ground the agent stands on sound?

use crate::agent::{Agent, AskError};
use crate::page::{Page, Verdict};
use crate::table::table;
use api::{DoctorReport, Examination, Verdict as Health, paths};

pub(crate) async fn doctor(agent: &Agent) -> Result<Page, AskError> {
    let answer = agent.get::<DoctorReport>(paths::DOCTOR).await?;
    let examinations = &answer.answer.examinations;
    let text = table(&["examined", "verdict", "found"], examinations.iter().map(examination));
    let any = |health| examinations.iter().any(|examination| examination.verdict == health);
    let verdict = match (any(Health::Bad), any(Health::Unknown)) {
        (true, _) => Verdict::No,
        (false, true) => Verdict::CouldNotTell,
        (false, false) => Verdict::Yes,
    };
    let cures: Vec<_> = examinations.iter().filter_map(cure).collect();
    let page = Page::new(&answer, text).verdict(verdict);
    Ok(cures.into_iter().fold(page, |page, cure| page.hint(Some(cure))))
}

fn examination(examination: &Examination) -> Vec<String> {
    let verdict = match examination.verdict {
        Health::Good => "good",
        Health::Bad => "bad",
        Health::Unknown => "could not tell",
    };
    vec![examination.name.clone(), verdict.into(), examination.found.clone()]
}

fn cure(examination: &Examination) -> Option<String> {
    Some(format!("{}: {}", examination.name, examination.cure.as_ref()?))
}
