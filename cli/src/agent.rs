//! Asks the agent: one HTTP request over one connection to its unix socket.

use crate::page::Verdict;
use api::{Answer, Problem, ProblemKind};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde::{Serialize, de::DeserializeOwned};
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::UnixStream;
use tokio::time::timeout;

/// The agent itself gives up on others after 15 seconds at most, one after the other.
const PATIENCE: Duration = Duration::from_secs(60);

/// The agent of this host.
pub(crate) struct Agent {
    socket: PathBuf,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    #[error("berthd is not running: nobody listens at {}", socket.display())]
    NotRunning { socket: PathBuf },
    #[error("you may not talk to berthd at {}", socket.display())]
    NotAllowed { socket: PathBuf },
    #[error("berthd at {} did not answer within {} s", socket.display(), PATIENCE.as_secs())]
    Slow { socket: PathBuf },
    #[error("the connection to berthd at {} broke", socket.display())]
    Broken { socket: PathBuf, source: Box<dyn Error + Send + Sync> },
    #[error("berthd's answer to {request} was not understood")]
    NotUnderstood { request: String, source: serde_json::Error },
    #[error("{}", .0.error)]
    Refused(Problem),
    #[error("cannot write the backup to {}", file.display())]
    NotSaved { file: PathBuf, source: io::Error },
    #[error("cannot write man pages to {}", directory.display())]
    NotWritten { directory: PathBuf, source: io::Error },
}

impl Agent {
    /// The agent that listens at `socket`.
    pub(crate) fn at(socket: &Path) -> Self {
        Self { socket: socket.to_owned() }
    }

    /// Reads.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<Answer<T>, AskError> {
        self.ask(Method::GET, path, Bytes::new()).await
    }

    /// Reads what goes with a query.
    pub(crate) async fn query<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, Option<String>)],
    ) -> Result<Answer<T>, AskError> {
        self.ask(Method::GET, &with_query(path, query), Bytes::new()).await
    }

    /// Makes something.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<Answer<T>, AskError> {
        let request = format!("POST {path}");
        let body = serde_json::to_vec(body).map_err(|source| AskError::NotUnderstood { request, source })?;
        self.ask(Method::POST, path, body.into()).await
    }

    /// Takes something away.
    pub(crate) async fn delete<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, Option<String>)],
    ) -> Result<Answer<T>, AskError> {
        self.ask(Method::DELETE, &with_query(path, query), Bytes::new()).await
    }

    async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<Answer<T>, AskError> {
        let request = format!("{method} {path}");
        let slow = |_| AskError::Slow { socket: self.socket.clone() };
        let (status, body) = timeout(PATIENCE, self.exchange(method, path, body)).await.map_err(slow)??;
        let not_understood = |source| AskError::NotUnderstood { request, source };
        if status.is_success() {
            serde_json::from_slice(&body).map_err(not_understood)
        } else {
            Err(AskError::Refused(serde_json::from_slice(&body).map_err(not_understood)?))
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), AskError> {
        let stream = UnixStream::connect(&self.socket).await.map_err(|error| self.unreachable(error))?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|e| self.broken(e))?;
        // The connection ends with the answer; its error, if any, is the request's too.
        tokio::spawn(connection);
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("Host", "berthd")
            .header("Content-Type", "application/json")
            .body(Full::new(body))
            .map_err(|error| self.broken(error))?;
        let answer = sender.send_request(request).await.map_err(|error| self.broken(error))?;
        let status = answer.status();
        let body = answer.into_body().collect().await.map_err(|error| self.broken(error))?;
        Ok((status, body.to_bytes()))
    }

    fn unreachable(&self, error: io::Error) -> AskError {
        let socket = self.socket.clone();
        match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => AskError::NotRunning { socket },
            io::ErrorKind::PermissionDenied => AskError::NotAllowed { socket },
            _ => self.broken(error),
        }
    }

    fn broken(&self, source: impl Into<Box<dyn Error + Send + Sync>>) -> AskError {
        AskError::Broken { socket: self.socket.clone(), source: source.into() }
    }
}

impl AskError {
    /// What the exit code says: an agent that answered "no" has answered.
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::Refused(problem) => match problem.kind {
                ProblemKind::NotFound | ProblemKind::Refused => Verdict::No,
                ProblemKind::Invalid | ProblemKind::Forbidden | ProblemKind::Unavailable => {
                    Verdict::CouldNotTell
                }
            },
            _ => Verdict::CouldNotTell,
        }
    }

    /// Prints the error, its causes and what to do next to stderr.
    pub(crate) fn print(&self) {
        eprintln!("error: {self}");
        for cause in self.causes() {
            eprintln!("  because {cause}");
        }
        if let Some(hint) = self.hint() {
            eprintln!("hint: {hint}");
        }
    }

    fn causes(&self) -> Vec<String> {
        if let Self::Refused(problem) = self {
            return problem.causes.clone();
        }
        std::iter::successors(self.source(), |&error| error.source()).map(ToString::to_string).collect()
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NotRunning { .. } => "start it with `systemctl start berthd`, or name its socket with \
                                        --socket or BERTH_SOCKET"
                .into(),
            Self::NotAllowed { .. } => "ask as root, or join the group that may read: `usermod -aG berth \
                                        USER`, then log in again"
                .into(),
            Self::Slow { .. } => "see what it is doing with `journalctl -u berthd -e`".into(),
            Self::Broken { .. } => {
                "it may have been restarted: ask again, or see `journalctl -u berthd -e`".into()
            }
            Self::NotUnderstood { .. } => format!(
                "this is berth {}, which speaks version {} of the API; install berth and berthd of one version",
                env!("CARGO_PKG_VERSION"),
                api::VERSION
            ),
            Self::Refused(problem) => return problem.hint.clone(),
            Self::NotWritten { .. } | Self::NotSaved { .. } => {
                "name a directory that exists and that you may write to".into()
            }
        })
    }
}

fn with_query(path: &str, query: &[(&str, Option<String>)]) -> String {
    let given = query.iter().filter_map(|(name, value)| Some(format!("{name}={}", encoded(value.as_ref()?))));
    let given: Vec<_> = given.collect();
    if given.is_empty() { path.into() } else { format!("{path}?{}", given.join("&")) }
}

/// Percent-encodes all but the unreserved characters of RFC 3986, section 2.3.
pub(crate) fn encoded(value: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    value.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}
