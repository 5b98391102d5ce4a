//! What a verb has to say: data in two forms, notes beside it, and a verdict.

use crate::args::Output;
use api::Answer;
use serde::Serialize;
use std::io::{self, Write};
use std::process::ExitCode;

/// The answer to one command line.
pub(crate) struct Page {
    text: String,
    json: String,
    notes: Vec<String>,
    verdict: Verdict,
}

/// What the exit code says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verdict {
    Yes,
    No,
    CouldNotTell,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Yes => Self::SUCCESS,
            Verdict::No => Self::from(1),
            Verdict::CouldNotTell => Self::from(2),
        }
    }
}

impl Page {
    /// An answer of the agent, with its text for people. Those who were silent get a note each.
    pub(crate) fn new<T: Serialize>(answer: &Answer<T>, text: String) -> Self {
        let silent = answer.silent.iter();
        let notes = silent.map(|silence| format!("{} is silent: {}", silence.source, silence.because));
        Self { text, json: as_json(answer), notes: notes.collect(), verdict: Verdict::Yes }
    }

    /// Text that did not come from the agent and has no other form.
    pub(crate) fn plain(text: String) -> Self {
        Self { json: text.clone(), text, notes: Vec::new(), verdict: Verdict::Yes }
    }

    /// The same page with a hint what to do next.
    pub(crate) fn hint(mut self, hint: Option<impl AsRef<str>>) -> Self {
        self.notes.extend(hint.map(|hint| format!("hint: {}", hint.as_ref())));
        self
    }

    /// The same page with more notes.
    pub(crate) fn notes(mut self, notes: impl Iterator<Item = String>) -> Self {
        self.notes.extend(notes);
        self
    }

    /// The same page, with its text whatever form is asked for.
    pub(crate) fn only_text(mut self) -> Self {
        self.json.clone_from(&self.text);
        self
    }

    /// The same page with a verdict.
    pub(crate) fn verdict(self, verdict: Verdict) -> Self {
        Self { verdict, ..self }
    }

    /// Prints data to stdout and notes to stderr.
    pub(crate) fn print(self, output: Output) -> Verdict {
        let data = match output {
            Output::Table => &self.text,
            Output::Json => &self.json,
        };
        // A reader that has seen enough, such as `head`, is no trouble.
        let _ = io::stdout().lock().write_all(data.as_bytes());
        for note in &self.notes {
            let _ = writeln!(io::stderr(), "{note}");
        }
        self.verdict
    }
}

fn as_json(answer: &impl Serialize) -> String {
    match serde_json::to_string_pretty(answer) {
        Ok(json) => json + "\n",
        Err(error) => format!("{{\"error\": \"the answer cannot be written as JSON: {error}\"}}\n"),
    }
}
