//! Calls on berthd's plugin socket, as dockerd makes them.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::lab::Host;

/// Docker waits 15 s for a plugin that is away; a refusal must not take longer than that.
pub const DOCKERS_PATIENCE: Duration = Duration::from_secs(15);

/// One call: the HTTP status and the answer.
///
/// # Errors
/// berthd does not answer, or not with JSON.
pub fn call(host: &Host, path: &str, body: &[u8]) -> Result<(u16, Value)> {
    let mut stream = UnixStream::connect(host.outside("/run/docker/plugins/berth.sock")?)?;
    stream.set_read_timeout(Some(DOCKERS_PATIENCE))?;
    write!(stream, "POST {path} HTTP/1.1\r\nHost: plugin\r\nContent-Length: {}\r\n\r\n", body.len())?;
    stream.write_all(body)?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(|| format!("no answer to {path}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").with_context(|| format!("{path}: {answer}"))?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    let body = serde_json::from_str(body).with_context(|| format!("{path}: {answer}"))?;
    Ok((status.with_context(|| format!("{path}: {head}"))?, body))
}
