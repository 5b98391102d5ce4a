//! `berth address history`, and `berth address show --at`.

use crate::agent::{Agent, AskError};
use crate::page::{Page, Verdict};
use crate::table::{moment, or_dash, table};
use crate::time::During;
use api::{Answer, Assignment, History, paths};
use jiff::Timestamp;
use std::net::IpAddr;

/// Whose history.
pub(crate) struct Of {
    pub(crate) address: Option<IpAddr>,
    pub(crate) container: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) during: During,
}

/// All that is known.
pub(crate) async fn history(agent: &Agent, of: &Of, json_lines: bool) -> Result<Page, AskError> {
    let answer = ask(agent, of).await?;
    let verdict = verdict(&answer);
    let page = if json_lines {
        Page::new(&answer, lines(&answer.answer.assignments)).only_text()
    } else {
        Page::new(&answer, rows(&answer.answer.assignments))
    };
    Ok(noted(page, &answer).verdict(verdict))
}

/// Who had an address then.
pub(crate) async fn shown(agent: &Agent, address: IpAddr, during: During) -> Result<Page, AskError> {
    let of = Of { address: Some(address), container: None, host: None, during };
    let answer = ask(agent, &of).await?;
    let text = match answer.answer.assignments.as_slice() {
        [] if verdict(&answer) == Verdict::No => format!("{address}  nobody had it\n"),
        [] => format!("{address}  could not be told\n"),
        [one] => told(one),
        more => rows(more),
    };
    let verdict = verdict(&answer);
    Ok(noted(Page::new(&answer, text), &answer).verdict(verdict))
}

async fn ask(agent: &Agent, of: &Of) -> Result<Answer<History>, AskError> {
    let time = |moment: Option<Timestamp>| moment.map(|moment| moment.to_string());
    let query = [
        ("address", of.address.map(|address| address.to_string())),
        ("container", of.container.clone()),
        ("host", of.host.clone()),
        ("from", time(of.during.from)),
        ("to", time(of.during.to)),
    ];
    agent.query(paths::HISTORY, &query).await
}

/// Nothing found is a "no" only where everything could be seen.
fn verdict(answer: &Answer<History>) -> Verdict {
    let History { assignments, unseen, cut, .. } = &answer.answer;
    match () {
        () if *cut => Verdict::CouldNotTell,
        () if assignments.iter().any(|it| !it.use_unknown) => Verdict::Yes,
        () if assignments.is_empty() && unseen.is_empty() && answer.silent.is_empty() => Verdict::No,
        () => Verdict::CouldNotTell,
    }
}

fn noted(page: Page, answer: &Answer<History>) -> Page {
    let unseen = answer.answer.unseen.iter().map(|unseen| {
        let (from, to) = (moment(unseen.from), moment(unseen.to));
        let why = if unseen.why.is_empty() { String::new() } else { format!(": {}", unseen.why.join(", ")) };
        format!("not seen: {from} to {to}, kept by {}{why}", unseen.keepers.join(", "))
    });
    let cut = answer.answer.cut.then(|| "there is more than one answer has room for".to_owned());
    page.notes(answer.answer.clocks.iter().cloned())
        .notes(cut.into_iter())
        .notes(unseen)
        .hint(answer.answer.hint.as_ref())
}

/// One assignment, a fact a line.
fn told(one: &Assignment) -> String {
    let mut heading = vec![one.address.to_string()];
    heading.push(if one.use_unknown {
        format!("held by {}, use unknown", one.host)
    } else {
        one.container.clone().unwrap_or_else(|| "a container that Docker did not show in time".into())
    });
    let facts = [
        ("host", Some(one.host.clone())),
        ("container", one.container_id.clone()),
        ("network", one.network.clone()),
        ("endpoint", one.endpoint.clone()),
        ("epoch", Some(one.epoch.clone())),
        ("from", Some(began(one))),
        ("to", Some(ended(one))),
        (
            "clock",
            (one.clock_moved_millis != 0)
                .then(|| format!("moved by {} ms on that host", one.clock_moved_millis)),
        ),
    ];
    let facts = facts.into_iter().filter_map(|(name, fact)| Some(format!("  {name:9}  {}\n", fact?)));
    format!("{}\n{}", heading.join("  "), facts.collect::<String>())
}

fn rows(assignments: &[Assignment]) -> String {
    let row = |one: &Assignment| {
        vec![
            one.address.to_string(),
            began(one),
            ended(one),
            one.host.clone(),
            match &one.container {
                _ if one.use_unknown => "held, use unknown".into(),
                Some(name) => name.clone(),
                None => or_dash(one.endpoint.as_deref().map(short)),
            },
            or_dash(one.container_id.as_deref().map(short)),
            one.epoch.clone(),
        ]
    };
    let headings = ["address", "from", "to", "host", "container", "id", "epoch"];
    table(&headings, assignments.iter().map(row))
}

fn began(one: &Assignment) -> String {
    match (one.earlier, one.from == Timestamp::UNIX_EPOCH) {
        (true, true) => "unknown".into(),
        (true, false) => format!("before {}", moment(one.from)),
        (false, _) => moment(one.from),
    }
}

fn ended(one: &Assignment) -> String {
    match (one.to, &one.why) {
        (Some(to), Some(why)) => format!("{}, {why}", moment(to)),
        (Some(to), None) => moment(to),
        (None, _) => "-".into(),
    }
}

/// Docker's ids are known by their first twelve digits.
fn short(id: &str) -> String {
    id.chars().take(12).collect()
}

fn lines(assignments: &[Assignment]) -> String {
    let line = |one: &Assignment| serde_json::to_string(one).map(|line| line + "\n").unwrap_or_default();
    assignments.iter().map(line).collect()
}
