//! An agent that answers from a table, and a `berth` that asks it.

use api::{Answer, Problem};
use expect_test::Expect;
use serde::Serialize;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Listens on a socket of its own and gives prepared answers, until it is dropped.
pub(crate) struct FakeAgent {
    directory: TempDir,
    answers: HashMap<String, (u16, String)>,
}

impl FakeAgent {
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory for the socket");
        Self { directory, answers: HashMap::new() }
    }

    /// Answers `request`, such as `GET /v1/status`.
    pub(crate) fn answers<T: Serialize>(mut self, request: &str, answer: Answer<T>) -> Self {
        let body = serde_json::to_string(&answer).expect("answers are JSON");
        self.answers.insert(request.into(), (200, body));
        self
    }

    /// Refuses `request`.
    pub(crate) fn refuses(mut self, request: &str, problem: Problem) -> Self {
        let body = serde_json::to_string(&problem).expect("problems are JSON");
        self.answers.insert(request.into(), (problem.kind.status_code(), body));
        self
    }

    /// Answers `request` with a text of another world.
    pub(crate) fn babbles(mut self, request: &str, text: &str) -> Self {
        self.answers.insert(request.into(), (200, text.into()));
        self
    }

    /// Runs `berth` against this agent, for one request, and compares all that is seen of it.
    pub(crate) fn check(self, arguments: &str, expected: Expect) {
        let socket = self.directory.path().join("berth.sock");
        let listener = UnixListener::bind(&socket).expect("a socket in our own directory");
        let answering = std::thread::spawn(move || self.answer_once(&listener));
        let seen = berth(&socket, arguments);
        answering.join().expect("the fake agent was asked");
        expected.assert_eq(&seen);
    }

    fn answer_once(self, listener: &UnixListener) {
        let (mut stream, _) = listener.accept().expect("berth connects");
        let request = request_line(&mut stream);
        let (status, body) =
            self.answers.get(&request).unwrap_or_else(|| panic!("nobody prepared `{request}`"));
        let length = body.len();
        write!(stream, "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
            .expect("berth reads the answer");
    }
}

/// Reads a request whole, and returns method and path, and behind them the body if there is one.
fn request_line(stream: &mut UnixStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).expect("berth sends a request");
        bytes.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&bytes);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.map_or(0, |length| length.parse().expect("a length is a number"));
        if body.len() < length {
            continue;
        }
        let line = head.lines().next().expect("a request has a first line").trim_end_matches(" HTTP/1.1");
        return if body.is_empty() { line.to_owned() } else { format!("{line} {body}") };
    }
}

/// Runs `berth` with a socket, in UTC, and shows exit code, stdout and stderr.
pub(crate) fn berth(socket: &Path, arguments: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_berth"))
        .args(arguments.split_whitespace())
        .env("BERTH_SOCKET", socket)
        .env("TZ", "UTC")
        .env("SUDO_USER", "ann")
        .output()
        .expect("berth can be run");
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    let code = output.status.code().expect("berth exits by itself");
    let directory = socket.parent().map(|d| d.display().to_string()).unwrap_or_default();
    let seen = format!("{stdout}--- exit {code}\n{stderr}");
    // Blank lines of clap's help are indented; nobody sees that, and editors take it away.
    let seen: String = seen.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    if directory.is_empty() { seen } else { seen.replace(&directory, "/run/berth") }
}

/// A path at which nobody listens.
pub(crate) fn nobody() -> PathBuf {
    "/nowhere/berth.sock".into()
}
