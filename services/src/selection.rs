//! Which containers of a host are in which service.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use api::{Readiness, Service};
use ipam::{Epoch, HostId, Zone};

use crate::labels::{LabelFault, Shorthand, selector};
use crate::member::{Draining, Member};

/// A container of this host that a service may be about: a running one, with an address of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub container: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// One of its addresses.
    pub address: IpAddr,
    /// The number under which it has it.
    pub epoch: Epoch,
    /// The zone of the address.
    pub zone: Zone,
    /// What Docker says of it.
    pub readiness: Readiness,
    /// Why it gets nothing new, if so.
    pub draining: Option<Draining>,
}

/// What came of a selection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selected {
    /// The members on this host, by service and address.
    pub members: BTreeMap<(String, IpAddr), Member>,
    /// Labels that cannot be followed.
    pub faults: BTreeSet<LabelFault>,
}

/// Which of these containers of a host are in which service.
///
/// A container is in every declared service whose selector it satisfies, and in the one that its label names.
pub fn select(
    candidates: impl IntoIterator<Item = Candidate>,
    declared: &BTreeMap<String, Service>,
    host: &HostId,
) -> Selected {
    let mut selected = Selected::default();
    for candidate in candidates {
        let (said, faults) = Shorthand::read(&candidate.container, &candidate.labels);
        selected.faults.extend(faults);
        let has = |labels: BTreeMap<String, String>| {
            labels.iter().all(|(label, value)| candidate.labels.get(label) == Some(value))
        };
        let mut names: BTreeSet<&str> =
            declared.values().filter(|it| has(selector(it))).map(|it| it.name.as_str()).collect();
        if let Some(service) = said.service.as_deref().filter(|service| !declared.contains_key(*service)) {
            if said.port.is_some() {
                names.insert(service);
            } else {
                let container = candidate.container.clone();
                selected.faults.insert(LabelFault::NoPort { container, service: service.to_owned() });
            }
        }
        for name in names {
            let Candidate { container, address, epoch, zone, readiness, draining, .. } = candidate.clone();
            let Shorthand { port, weight, .. } = said;
            let host = host.clone();
            let member = Member { address, epoch, container, host, zone, port, weight, readiness, draining };
            selected.members.insert((name.to_owned(), address), member);
        }
    }
    selected
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use ipam::Generation;

    use super::*;
    use crate::labels::implied;

    fn candidate(name: &str, labels: &[(&str, &str)]) -> Candidate {
        Candidate {
            container: name.to_owned(),
            labels: labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            address: "10.60.0.5".parse().unwrap(),
            epoch: Epoch { generation: Generation { number: 1, id: 1 }, take: 1, counter: 1 },
            zone: "vlan-1".into(),
            readiness: Readiness::Ready,
            draining: None,
        }
    }

    fn declared(services: &[Service]) -> BTreeMap<String, Service> {
        services.iter().map(|service| (service.name.clone(), service.clone())).collect()
    }

    fn names(selected: &Selected) -> Vec<&str> {
        selected.members.keys().map(|(name, _)| name.as_str()).collect()
    }

    fn eighty() -> NonZeroU16 {
        NonZeroU16::new(80).unwrap()
    }

    #[test]
    fn a_container_is_in_every_service_all_of_whose_labels_it_has() {
        let service = |name: &str, labels: &[(&str, &str)]| Service {
            selector: labels.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            ..implied(name, [eighty()])
        };
        let all = declared(&[
            service("one", &[("tier", "front")]),
            service("both", &[("tier", "front"), ("of", "shop")]),
            service("other", &[("tier", "front"), ("of", "blog")]),
        ]);
        let selected = select([candidate("c", &[("tier", "front"), ("of", "shop")])], &all, &"h1".into());
        assert_eq!(names(&selected), ["both", "one"]);
        assert_eq!(selected.faults, [].into());
    }

    #[test]
    fn the_label_alone_makes_a_service_if_it_says_where_it_listens() {
        let labels = [("berth.service", "web"), ("berth.port", "8080")];
        let selected = select([candidate("c", &labels)], &BTreeMap::new(), &"h1".into());
        let member = &selected.members[&("web".to_owned(), "10.60.0.5".parse().unwrap())];
        assert_eq!((member.port, member.weight, &member.host), (NonZeroU16::new(8080), 50, &"h1".into()));

        let selected = select([candidate("c", &labels[..1])], &BTreeMap::new(), &"h1".into());
        assert_eq!(names(&selected), [""; 0]);
        let fault = LabelFault::NoPort { container: "c".into(), service: "web".into() };
        assert_eq!(selected.faults, [fault].into());
    }

    #[test]
    fn a_declared_service_says_where_its_labelled_containers_listen() {
        let all = declared(&[implied("web", [eighty()])]);
        let selected = select([candidate("c", &[("berth.service", "web")])], &all, &"h1".into());
        assert_eq!((names(&selected), selected.faults.len()), (vec!["web"], 0));
    }

    #[test]
    fn who_is_selected_by_other_labels_is_not_in_the_service_of_its_own_name_by_chance() {
        let mut web = implied("web", [eighty()]);
        web.selector.insert("tier".into(), "front".into());
        let selected = select([candidate("c", &[("berth.service", "web")])], &declared(&[web]), &"h1".into());
        assert_eq!(names(&selected), [""; 0]);
    }
}
