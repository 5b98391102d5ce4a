//! What is wrong with a configuration, where, and what to write instead.

use std::fmt;
use std::path::{Path, PathBuf};

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mistake {
    /// The line, from 1; 0 where the mistake is not in the text.
    pub line: usize,
    /// The column in characters, from 1; 0 where the mistake is not in the text.
    pub column: usize,
    /// What is wrong.
    pub problem: String,
    /// What to write, or do, instead.
    pub instead: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "line {}, column {}: ", self.line, self.column)?;
        }
        write!(f, "{}; {}", self.problem, self.instead)
    }
}

/// All mistakes of one file, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistakes {
    /// The file, if it was one.
    pub path: Option<PathBuf>,
    /// At least one.
    pub all: Vec<Mistake>,
}

impl Mistakes {
    /// How many there are, in words: `a mistake`, `3 mistakes`.
    pub fn count(&self) -> String {
        match self.all.len() {
            1 => "a mistake".into(),
            count => format!("{count} mistakes"),
        }
    }

    pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> Self {
        let mistake = Mistake {
            line: 0,
            column: 0,
            problem: format!("the file cannot be read: {error}"),
            instead: "write it after the example deploy/berth.toml, or name another with --config".into(),
        };
        Self { path: Some(path.to_owned()), all: vec![mistake] }
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.as_deref().unwrap_or(Path::new("the configuration"));
        write!(f, "{} has {}", path.display(), self.count())?;
        self.all.iter().try_for_each(|mistake| write!(f, "\n  {mistake}"))
    }
}

impl std::error::Error for Mistakes {}
