//! Who takes part in a service: from what the hosts wrote of their containers, and which hosts live.

use api::Readiness;

use crate::member::{Draining, Member};
use crate::vigil::Vigil;

/// Whether a member takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    In,
    /// It does not: Docker says that it is not ready.
    NotReady(Readiness),
    /// It does not: it gets nothing new, and ends what it has.
    Draining(Draining),
    /// It does not: its host gives no sign of life.
    HostSilent,
    /// It does, although its host is silent: so many of the zone are together that it is not they who failed.
    KeptInMassLapse,
    /// It does, although its host is silent: it is the last that was ready.
    KeptAsTheLast,
}

impl Standing {
    /// Whether it takes part.
    pub fn is_in(self) -> bool {
        matches!(self, Self::In | Self::KeptInMassLapse | Self::KeptAsTheLast)
    }
}

/// Each member's standing, of all members of one service, in their order.
pub fn judge(members: &[Member], vigil: &Vigil) -> Vec<Standing> {
    let alone = |member: &Member| match (member.readiness, member.draining) {
        (Readiness::Ready, Some(why)) => Standing::Draining(why),
        (Readiness::Ready, None) if vigil.is_silent(&member.host) => Standing::HostSilent,
        (Readiness::Ready, None) if vigil.is_spared(&member.host) => Standing::KeptInMassLapse,
        (Readiness::Ready, None) => Standing::In,
        (other, _) => Standing::NotReady(other),
    };
    let mut standings: Vec<Standing> = members.iter().map(alone).collect();
    if !standings.iter().any(|standing| standing.is_in()) {
        for standing in standings.iter_mut().filter(|standing| **standing == Standing::HostSilent) {
            *standing = Standing::KeptAsTheLast;
        }
    }
    standings
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use ipam::{Epoch, Generation, HostId, Timestamp, Zone};

    use super::*;
    use crate::vigil::TOGETHER_MILLIS;

    fn member(number: u8, host: &str, readiness: Readiness) -> Member {
        Member {
            address: [10, 60, 0, number].into(),
            epoch: Epoch { generation: Generation { number: 1, id: 1 }, take: 1, counter: u64::from(number) },
            container: format!("c{number}"),
            host: host.into(),
            zone: "vlan-1".into(),
            port: None,
            weight: 50,
            readiness,
            draining: None,
        }
    }

    /// Of five hosts these have been silent for long.
    fn silent(hosts: &[&str]) -> Vigil {
        let all: BTreeSet<HostId> = ["h1", "h2", "h3", "h4", "h5"].map(HostId::from).into();
        let alive = all.iter().filter(|host| !hosts.contains(&host.0.as_str())).cloned().collect();
        let zones: BTreeMap<Zone, BTreeSet<HostId>> = [("vlan-1".into(), all)].into();
        let mut vigil = Vigil::default();
        vigil.look(Timestamp(0), &zones, &alive);
        vigil.look(Timestamp(TOGETHER_MILLIS), &zones, &alive);
        vigil
    }

    #[test]
    fn who_docker_says_is_not_ready_does_not_take_part() {
        for readiness in [Readiness::Starting, Readiness::Unhealthy, Readiness::Paused] {
            let members = [member(1, "h1", readiness), member(2, "h1", Readiness::Ready)];
            assert_eq!(judge(&members, &silent(&[])), [Standing::NotReady(readiness), Standing::In]);
        }
    }

    #[test]
    fn a_silent_host_s_members_do_not_take_part() {
        let members = [member(1, "h1", Readiness::Ready), member(2, "h2", Readiness::Ready)];
        assert_eq!(judge(&members, &silent(&["h1"])), [Standing::HostSilent, Standing::In]);
    }

    #[test]
    fn those_of_hosts_that_lapsed_together_do() {
        let members = [member(1, "h1", Readiness::Ready), member(2, "h3", Readiness::Ready)];
        assert_eq!(judge(&members, &silent(&["h1", "h2"])), [Standing::KeptInMassLapse, Standing::In]);
    }

    #[test]
    fn the_last_ready_member_stays_whatever_its_host_does() {
        let members = [member(1, "h1", Readiness::Ready), member(2, "h2", Readiness::Unhealthy)];
        let kept = [Standing::KeptAsTheLast, Standing::NotReady(Readiness::Unhealthy)];
        assert_eq!(judge(&members, &silent(&["h1"])), kept);
    }

    #[test]
    fn a_member_that_is_drained_is_out_although_it_is_the_last_and_lives() {
        let drained = Member { draining: Some(Draining::Asked), ..member(1, "h1", Readiness::Ready) };
        assert_eq!(judge(&[drained], &silent(&[])), [Standing::Draining(Draining::Asked)]);
    }
}
