//! The envelope of every answer: what, on whose word, and who was silent.

use serde::{Deserialize, Serialize};
use std::fmt;

/// An answer with the names of those who gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer<T> {
    /// The version of the vocabulary: [`crate::VERSION`].
    pub version: u32,
    /// Whose word this is, in the order they were asked.
    pub words_of: Vec<Source>,
    /// Who was asked and did not answer, and why. The answer goes on without them.
    #[serde(default)]
    pub silent: Vec<Silence>,
    /// The answer itself.
    pub answer: T,
}

impl<T> Answer<T> {
    /// An answer on the word of `words_of`, with nobody silent.
    pub fn new(words_of: impl Into<Vec<Source>>, answer: T) -> Self {
        Self { version: crate::VERSION, words_of: words_of.into(), silent: Vec::new(), answer }
    }

    /// An answer to a part of the question, on the same words.
    pub fn map<U>(self, part: impl FnOnce(T) -> U) -> Answer<U> {
        let Self { version, words_of, silent, answer } = self;
        Answer { version, words_of, silent, answer: part(answer) }
    }

    /// The same answer, admitting that some were silent.
    pub fn without(mut self, silent: Vec<Silence>) -> Self {
        self.words_of.retain(|source| silent.iter().all(|silence| silence.source != *source));
        self.silent = silent;
        self
    }
}

/// Someone who can say something about an address, a subnet or a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The agent's own configuration and state in memory.
    Agent,
    /// What this host wrote to its own disk before it answered.
    Journal,
    /// The cluster's store.
    Store,
    /// Links, routes, neighbours and rules in this host's kernel.
    Kernel,
    /// dockerd, through its API.
    Docker,
    /// The IaaS provider, through its API.
    Cloud,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Agent => "agent",
            Self::Journal => "journal",
            Self::Store => "store",
            Self::Kernel => "kernel",
            Self::Docker => "docker",
            Self::Cloud => "cloud",
        })
    }
}

/// What one source says about one thing, in one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Who says it.
    pub by: Source,
    /// What it says, such as `assigned, epoch 41`.
    pub says: String,
    /// It does not agree with what holds by the rules, given what the others say.
    #[serde(default)]
    pub differs: bool,
}

impl Word {
    /// A word that agrees with the others.
    pub fn of(by: Source, says: impl Into<String>) -> Self {
        Self { by, says: says.into(), differs: false }
    }

    /// The same word, marked as differing from the others when `differs`.
    pub fn differing(mut self, differs: bool) -> Self {
        self.differs = differs;
        self
    }
}

/// Someone who was asked and did not answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Silence {
    /// Who was asked.
    pub source: Source,
    /// Why there is no answer, with the causes.
    pub because: String,
}

/// Why a request was not granted. It goes with a status code of 4xx or 5xx.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of refusal it is; decides the status code and the exit code of `berth`.
    pub kind: ProblemKind,
    /// What was being done, to what, and what is the matter: one sentence.
    pub error: String,
    /// The causes, outermost first.
    #[serde(default)]
    pub causes: Vec<String>,
    /// What to do next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The kinds of refusal a caller would treat differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemKind {
    /// The request makes no sense (400).
    Invalid,
    /// The caller's user may not do this (403).
    Forbidden,
    /// There is no such thing (404).
    NotFound,
    /// It was understood, and the answer is no (409).
    Refused,
    /// Someone whose word is needed is not answering (503).
    Unavailable,
}

impl ProblemKind {
    /// The HTTP status code that goes with it.
    pub fn status_code(self) -> u16 {
        match self {
            Self::Invalid => 400,
            Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Refused => 409,
            Self::Unavailable => 503,
        }
    }
}
