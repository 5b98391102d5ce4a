//! Our rules in Docker's chain `DOCKER-USER`, through the iptables command: dockerd uses it too, so both
//! meet in the same backend, legacy or nft. Ours carry the comment `berth`.

use std::collections::BTreeSet;
use std::io;
use std::process::Output;

use tokio::process::Command;

use super::fault::Fault;
use crate::admission::{Admission, Direction};
use crate::{IfName, mark};

const CHAIN: &str = "DOCKER-USER";

/// `None` where there is no such chain: Docker's firewall is off, or there is no iptables.
///
/// Why iptables fails is only logged: where it cannot list the chain, dockerd cannot have made it, and
/// versions differ in their words for a chain that is not there.
pub(super) async fn ours() -> Option<BTreeSet<Admission>> {
    let output = match iptables(&["-S", CHAIN]).await {
        Ok(output) if output.status.success() => output,
        Ok(output) => {
            tracing::trace!(said = told(&output), "no chain DOCKER-USER");
            return None;
        }
        Err(error) => {
            tracing::trace!(%error, "no iptables");
            return None;
        }
    };
    Some(String::from_utf8_lossy(&output.stdout).lines().filter_map(read).collect())
}

/// Reads `-A DOCKER-USER -i berth-bblue -m comment --comment berth -j ACCEPT`.
fn read(rule: &str) -> Option<Admission> {
    let words: Vec<&str> = rule.split_whitespace().collect();
    let after = |option| words.iter().position(|word| *word == option).and_then(|at| words.get(at + 1));
    if after("--comment") != Some(&mark::COMMENT) || after("-j") != Some(&"ACCEPT") {
        return None;
    }
    let (direction, bridge) = match (after("-i"), after("-o")) {
        (Some(bridge), None) => (Direction::From, bridge),
        (None, Some(bridge)) => (Direction::To, bridge),
        _ => return None,
    };
    Some(Admission { direction, bridge: IfName::parse(bridge).ok()? })
}

pub(super) async fn add(admission: &Admission) -> Result<(), Fault> {
    if has(admission).await { Ok(()) } else { change("-I", admission).await }
}

pub(super) async fn remove(admission: &Admission) -> Result<(), Fault> {
    if has(admission).await { change("-D", admission).await } else { Ok(()) }
}

async fn has(admission: &Admission) -> bool {
    ours().await.is_some_and(|ours| ours.contains(admission))
}

async fn change(operation: &str, admission: &Admission) -> Result<(), Fault> {
    let link = match admission.direction {
        Direction::From => "-i",
        Direction::To => "-o",
    };
    let bridge = admission.bridge.as_str();
    let comment = ["-m", "comment", "--comment", mark::COMMENT, "-j", "ACCEPT"];
    let arguments: Vec<&str> = [operation, CHAIN, link, bridge].into_iter().chain(comment).collect();
    let output = iptables(&arguments).await?;
    if output.status.success() { Ok(()) } else { Err(io::Error::other(told(&output)).into()) }
}

/// Waits up to five seconds for the lock that dockerd may hold.
async fn iptables(arguments: &[&str]) -> io::Result<Output> {
    Command::new("iptables").args(["-w", "5"]).args(arguments).output().await
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_accepts_with_our_comment_are_ours() {
        let ours = "-A DOCKER-USER -o berth-bblue -m comment --comment berth -j ACCEPT";
        let bridge = IfName::bridge("blue");
        assert_eq!(read(ours), Some(Admission { direction: Direction::To, bridge }));
        for theirs in [
            "-N DOCKER-USER",
            "-A DOCKER-USER -j RETURN",
            "-A DOCKER-USER -o berth-bblue -j ACCEPT",
            "-A DOCKER-USER -o berth-bblue -m comment --comment berth -j DROP",
            "-A DOCKER-USER -i eth0 -o berth-bblue -m comment --comment berth -j ACCEPT",
            "-A DOCKER-USER -m comment --comment",
        ] {
            assert_eq!(read(theirs), None, "{theirs}");
        }
    }
}
