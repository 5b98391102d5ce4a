//! `berth store backup`: everything that the store has, in a file.

use crate::agent::{Agent, AskError};
use crate::args::StoreVerb;
use crate::page::Page;
use api::{Backup, paths};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

pub(crate) async fn answer(agent: &Agent, verb: &StoreVerb) -> Result<Page, AskError> {
    let StoreVerb::Backup { file } = verb;
    let answer = agent.get::<Backup>(paths::STORE_BACKUP).await?;
    let Backup { revision, entries, file: text } = &answer.answer;
    save(file, text).map_err(|source| AskError::NotSaved { file: file.clone(), source })?;
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
