//! Does the host's packet filter let our containers through? dockerd sets the policy of FORWARD to DROP,
//! which counts for every packet that is forwarded, whoever made the bridge. The agent puts its rules into
//! dockerd's chain for rules of others; where there is none, a person has to.

use super::{bad, good, unknown};
use ::api::Examination;
use tokio::process::Command;

const NAME: &str = "packet filter";

/// What to do where FORWARD drops and dockerd's chain `DOCKER-USER` is missing.
const CURE: &str = "`iptables -I FORWARD -i berth-b+ -j ACCEPT; iptables -I FORWARD -o berth-b+ -j ACCEPT`, in \
                    whatever sets that policy at boot";

/// Asks iptables, which dockerd uses too.
pub(super) async fn examine(has_bridges: bool) -> Examination {
    match Command::new("iptables").arg("-S").output().await {
        Ok(output) if output.status.success() => judge(&String::from_utf8_lossy(&output.stdout), has_bridges),
        Ok(output) => unknown(NAME, format!("iptables: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            good(NAME, "iptables is not installed, so dockerd filters nothing")
        }
        Err(error) => unknown(NAME, format!("iptables: {error}")),
    }
}

/// Judges the rules as `iptables -S` prints them.
fn judge(rules: &str, has_bridges: bool) -> Examination {
    if !rules.lines().any(|rule| rule == "-P FORWARD DROP") {
        return good(NAME, "FORWARD lets through what no rule stops");
    }
    let accepts = |direction: &str| {
        rules.lines().any(|rule| {
            let chain = rule.starts_with("-A FORWARD ") || rule.starts_with("-A DOCKER-USER ");
            chain && rule.contains(direction) && rule.ends_with("-j ACCEPT")
        })
    };
    match (
        accepts(" -i berth-b") && accepts(" -o berth-b"),
        rules.lines().any(|rule| rule == "-N DOCKER-USER"),
    ) {
        (true, _) => good(NAME, "FORWARD drops by default, and lets our bridges through"),
        (false, true) if !has_bridges => {
            good(NAME, "FORWARD drops by default; our first network adds a rule")
        }
        (false, true) => bad(
            NAME,
            "FORWARD drops by default, and no rule lets our bridges through",
            "`berth host plan` shows what the agent will do about it",
        ),
        (false, false) => bad(NAME, "FORWARD drops by default, and there is no chain DOCKER-USER", CURE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::api::Verdict;

    const DROP: &str = "-P INPUT ACCEPT\n-P FORWARD DROP\n";
    const DOCKERS: &str = "-N DOCKER-USER\n-A FORWARD -j DOCKER-USER\n";
    const IN: &str = "-A DOCKER-USER -i berth-bblue -m comment --comment berth -j ACCEPT\n";
    const OUT: &str = "-A DOCKER-USER -o berth-bblue -m comment --comment berth -j ACCEPT\n";

    #[test]
    fn a_filter_that_drops_what_is_forwarded_needs_a_rule_each_way() {
        assert_eq!(judge(&[DROP, DOCKERS].concat(), true).verdict, Verdict::Bad);
        assert_eq!(judge(&[DROP, DOCKERS, IN].concat(), true).verdict, Verdict::Bad);
        assert_eq!(judge(&[DROP, DOCKERS, IN, OUT].concat(), true).verdict, Verdict::Good);
    }

    #[test]
    fn before_the_first_network_no_rule_is_missed_if_docker_has_a_place_for_it() {
        assert_eq!(judge(&[DROP, DOCKERS].concat(), false).verdict, Verdict::Good);
        assert_eq!(judge(DROP, false).verdict, Verdict::Bad);
    }

    #[test]
    fn a_filter_that_lets_through_by_default_is_well() {
        assert_eq!(judge("-P FORWARD ACCEPT\n", true).verdict, Verdict::Good);
    }
}
