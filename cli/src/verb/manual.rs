//! `berth completions` and `berth man`: generated from the command line's own description.

use crate::agent::AskError;
use crate::args::Args;
use crate::page::Page;
use clap::CommandFactory;
use clap_complete::Shell;
use std::path::Path;

/// Completions for a shell, to be sourced.
pub(crate) fn completions(shell: Shell) -> Page {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "berth", &mut script);
    Page::plain(String::from_utf8_lossy(&script).into_owned())
}

/// Writes a man page for each verb.
pub(crate) fn pages(directory: &Path) -> Result<Page, AskError> {
    match clap_mangen::generate_to(Args::command(), directory) {
        Ok(()) => Ok(Page::plain(format!("{}\n", directory.join("berth.1").display()))),
        Err(source) => Err(AskError::NotWritten { directory: directory.to_owned(), source }),
    }
}
