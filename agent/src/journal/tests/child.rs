//! Runs the test that calls it once more, in a process of its own that may be killed or limited.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What the child says before each answer it had.
const ANSWERED: &str = "answered ";

/// Set in the child: the directory it works in.
const DIRECTORY: &str = "BERTH_TEST_CHILD";

/// The directory to work in, if this process is the child.
pub(crate) fn role() -> Option<PathBuf> {
    std::env::var_os(DIRECTORY).map(PathBuf::from)
}

/// The command that runs the calling test as a child in `directory`.
pub(crate) fn command(directory: &Path) -> Command {
    let test = std::thread::current().name().expect("tests have names").to_owned();
    let mut command = Command::new(std::env::current_exe().expect("this program has a path"));
    command.args(["--exact", &test, "--nocapture", "--test-threads=1"]);
    command.env(DIRECTORY, directory).stdout(Stdio::piped()).stderr(Stdio::inherit());
    command
}

/// Says, in the child, that something was answered.
pub(crate) fn say_answered(answer: &str) {
    let mut out = std::io::stdout();
    writeln!(out, "{ANSWERED}{answer}").expect("the parent listens");
    out.flush().expect("the parent listens");
}

/// Runs the child in `directory`, kills it with SIGKILL once it had `answers` answers, and tells all it had.
pub(crate) fn kill_after(directory: &Path, answers: usize) -> Vec<String> {
    let mut child = command(directory).spawn().expect("a child starts");
    let mut lines = BufReader::new(child.stdout.take().expect("it has an output")).lines();
    let answer = |line: &str| line.split_once(ANSWERED).map(|(_, answer)| answer.to_owned());
    let mut answered = Vec::new();
    while answered.len() < answers {
        let line = lines.next().expect("the child goes on until it is killed").expect("it says text");
        answered.extend(answer(&line));
    }
    child.kill().expect("it can be killed");
    child.wait().expect("it dies");
    // What it still said before it died was answered too. The last line may be cut off.
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    let whole = rest.len().saturating_sub(1);
    answered.extend(rest[..whole].iter().filter_map(|line| answer(line)));
    answered
}
