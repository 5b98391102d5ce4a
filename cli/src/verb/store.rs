//! `berth store backup`: everything that the store has, in a file. `berth store rebuild`: one that was lost, made anew.

use crate::agent::{Agent, AskError};
use crate::args::StoreVerb;
use crate::page::{Page, Verdict};
use crate::table::{moment, or_dash, pairs, table};
use crate::verb::host::who;
use api::{Answer, Awaited, Backup, RebuildStore, StoreRebuild, paths};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

pub(crate) async fn answer(agent: &Agent, verb: &StoreVerb) -> Result<Page, AskError> {
    match verb {
        StoreVerb::Backup { file } => backup(agent, file).await,
        StoreVerb::Rebuild { no_others, gone } => {
            let word = RebuildStore { who: who(), no_others: *no_others, gone: gone.clone() };
            Ok(rebuilt(&agent.post::<StoreRebuild>(paths::STORE_REBUILD, &word).await?))
        }
    }
}

fn rebuilt(answer: &Answer<StoreRebuild>) -> Page {
    let StoreRebuild { generation, by, at, began, zones, subnets, left_out, awaited, no_others, over } =
        &answer.answer;
    let mut text = pairs([
        ("generation", generation.clone()),
        ("begun", format!("{} by {by}", or_dash(at.map(moment)))),
        ("zones", zones.join(", ")),
        ("no others", or_dash(no_others.clone())),
        ("over", if *over { "yes" } else { "no" }.to_owned()),
    ]);
    if *began {
        let opened: Vec<String> = subnets.iter().map(ToString::to_string).collect();
        text += &format!("opened anew: {}\n", opened.join(", "));
        left_out.iter().for_each(|what| text += &format!("not there any more: {what}\n"));
    }
    let state = |it: &Awaited| match (&it.gone, it.accounted) {
        (Some(word), _) => format!("gone: {word}"),
        (None, true) => "has answered".to_owned(),
        (None, false) => "awaited".to_owned(),
    };
    text += &table(&["host", "state"], awaited.iter().map(|it| vec![it.host.clone(), state(it)]));
    let silent = awaited.iter().any(|it| !it.accounted);
    let hint = match (over, silent, no_others) {
        (true, ..) => "addresses that nobody claimed come back after their rest in quarantine",
        (_, true, _) => {
            "a host answers once its berthd runs; of one that is powered off for good say `--gone HOST`"
        }
        (_, false, None) => "say `--no-others` if no other host uses addresses of this cluster",
        (_, false, Some(_)) => "`berth status` shows what is kept, and why",
    };
    Page::new(answer, text).hint(Some(hint)).verdict(if *over { Verdict::Yes } else { Verdict::No })
}

async fn backup(agent: &Agent, file: &Path) -> Result<Page, AskError> {
    let answer = agent.get::<Backup>(paths::STORE_BACKUP).await?;
    let Backup { revision, entries, file: text } = &answer.answer;
    save(file, text).map_err(|source| AskError::NotSaved { file: file.to_owned(), source })?;
    let done = format!("{} has the store at revision {revision}, {entries} entries\n", file.display());
    Ok(Page::plain(done).hint(Some("`berthd --restore-store FILE` reads it; docs/operating.md says when")))
}

/// Whole or not at all, and for its owner alone.
fn save(path: &Path, text: &str) -> io::Result<()> {
    let mut partly = path.as_os_str().to_owned();
    partly.push(".part");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partly)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&partly, path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}
