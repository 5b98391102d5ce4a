//! Does the host's packet filter let our containers through? dockerd sets the policy of FORWARD to DROP,
//! which counts for every packet that is forwarded, whoever made the bridge.

use super::{bad, good, unknown};
use ::api::Examination;
use tokio::process::Command;

const NAME: &str = "packet filter";

/// What to add: the chain DOCKER-USER is dockerd's place for rules of others, and it never removes them.
const CURE: &str = "`iptables -I DOCKER-USER -i berth-b+ -j ACCEPT; iptables -I DOCKER-USER -o berth-b+ -j ACCEPT`, \
                    after each start of dockerd";

/// Asks iptables, which dockerd uses too.
pub(super) async fn examine() -> Examination {
    match Command::new("iptables").arg("-S").output().await {
        Ok(output) if output.status.success() => judge(&String::from_utf8_lossy(&output.stdout)),
        Ok(output) => unknown(NAME, format!("iptables: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            good(NAME, "iptables is not installed, so dockerd filters nothing")
        }
        Err(error) => unknown(NAME, format!("iptables: {error}")),
    }
}

/// Judges the rules as `iptables -S` prints them.
fn judge(rules: &str) -> Examination {
    if !rules.lines().any(|rule| rule == "-P FORWARD DROP") {
        return good(NAME, "FORWARD lets through what no rule stops");
    }
    let accepts = |direction: &str| {
        rules.lines().any(|rule| {
            let chain = rule.starts_with("-A FORWARD ") || rule.starts_with("-A DOCKER-USER ");
            chain && rule.contains(direction) && rule.ends_with("-j ACCEPT")
        })
    };
    match (accepts(" -i berth-b"), accepts(" -o berth-b")) {
        (true, true) => good(NAME, "FORWARD drops by default, and lets our bridges through"),
        _ => bad(NAME, "FORWARD drops by default, and no rule lets our bridges through", CURE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::api::Verdict;

    #[test]
    fn docker_dropping_what_is_forwarded_needs_a_rule_each_way() {
        let drop = "-P INPUT ACCEPT\n-P FORWARD DROP\n-A FORWARD -j DOCKER-USER\n";
        let inward = "-A DOCKER-USER -i berth-b+ -j ACCEPT\n";
        let outward = "-A DOCKER-USER -o berth-b+ -j ACCEPT\n";
        assert_eq!(judge(drop).verdict, Verdict::Bad);
        assert_eq!(judge(&format!("{drop}{inward}")).verdict, Verdict::Bad);
        assert_eq!(judge(&format!("{drop}{inward}{outward}")).verdict, Verdict::Good);
    }

    #[test]
    fn a_filter_that_lets_through_by_default_is_well() {
        assert_eq!(judge("-P FORWARD ACCEPT\n").verdict, Verdict::Good);
    }
}
