//! Runs the test that calls it once more, in a process of its own that may be killed or limited.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
