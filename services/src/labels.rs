//! The shorthand: a service declared by labels on containers, as users of reverse proxies know it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use api::{Service, ServicePort};

use crate::declaration::is_name;

/// The label that puts a container into the service of this name.
pub(crate) const SERVICE: &str = "berth.service";

/// The label that says where it listens.
const PORT: &str = "berth.port";

/// The label that says how much comes to it beside others, 0 to 100.
const WEIGHT: &str = "berth.weight";

/// What begins so is meant for us.
const OURS: &str = "berth.";

/// A container's weight if no label says otherwise: room on both sides.
pub(crate) const WEIGHT_DEFAULT: u8 = 50;

/// The largest weight.
const WEIGHT_MAX: u8 = 100;

/// What the labels of a container say of services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shorthand {
    /// The service that it is in by its label.
    pub service: Option<String>,
    /// Where it listens.
    pub port: Option<NonZeroU16>,
    /// Its weight.
    pub weight: u8,
}

/// A label that cannot be followed; the container is left out of what it is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum LabelFault {
    /// No name of a service.
    #[error(
        "container {container} has the label {SERVICE}={value}, which is no name of a service; hint: letters, digits \
         and `-`, at most 63, beginning with a letter"
    )]
    Name {
        /// Which.
        container: String,
        /// What it has.
        value: String,
    },
    /// No port.
    #[error(
        "container {container} has the label {PORT}={value}, which is no port; hint: a number from 1 to 65535"
    )]
    Port {
        /// Which.
        container: String,
        /// What it has.
        value: String,
    },
    /// No weight.
    #[error(
        "container {container} has the label {WEIGHT}={value}, which is no weight; hint: a number from 0 to \
         {WEIGHT_MAX}"
    )]
    Weight {
        /// Which.
        container: String,
        /// What it has.
        value: String,
    },
    /// Nobody says where it listens.
    #[error(
        "container {container} is in service {service} by its label, and nobody says where it listens; hint: add the \
         label {PORT}=NUMBER, or declare the service with `berth service apply`"
    )]
    NoPort {
        /// Which.
        container: String,
        /// Which service.
        service: String,
    },
    /// A label that begins as ours do and is none.
    #[error(
        "container {container} has the label {label}, which means nothing; hint: {SERVICE}, {PORT} and {WEIGHT} do"
    )]
    Unknown {
        /// Which.
        container: String,
        /// The label.
        label: String,
    },
}

impl Shorthand {
    /// What these labels say, and what of them cannot be followed.
    pub fn read(container: &str, labels: &BTreeMap<String, String>) -> (Self, Vec<LabelFault>) {
        let mut faults = Vec::new();
        let of = || container.to_owned();
        let service = labels.get(SERVICE).filter(|value| {
            let good = is_name(value);
            faults.extend((!good).then(|| LabelFault::Name { container: of(), value: (*value).clone() }));
            good
        });
        let port = labels.get(PORT).and_then(|value| {
            let port = value.parse().ok();
            faults.extend(port.is_none().then(|| LabelFault::Port { container: of(), value: value.clone() }));
            port
        });
        let weight = labels.get(WEIGHT).and_then(|value| {
            let weight = value.parse().ok().filter(|weight| *weight <= WEIGHT_MAX);
            faults.extend(
                weight.is_none().then(|| LabelFault::Weight { container: of(), value: value.clone() }),
            );
            weight
        });
        let unknown = labels.keys().filter(|label| label.starts_with(OURS));
        let unknown = unknown.filter(|label| ![SERVICE, PORT, WEIGHT].contains(&label.as_str()));
        faults.extend(unknown.map(|label| LabelFault::Unknown { container: of(), label: label.clone() }));
        (Self { service: service.cloned(), port, weight: weight.unwrap_or(WEIGHT_DEFAULT) }, faults)
    }
}

/// The service that is there because containers have its label, and nobody declared it; and the ports that their
/// labels name.
pub fn implied(name: &str, ports: impl IntoIterator<Item = NonZeroU16>) -> Service {
    let ports: BTreeSet<NonZeroU16> = ports.into_iter().collect();
    let port = |port| ServicePort { name: None, port, transport: Default::default() };
    Service {
        name: name.to_owned(),
        selector: BTreeMap::new(),
        ports: ports.into_iter().map(port).collect(),
        load_balancer: None,
        policies: Vec::new(),
        firewall: None,
        dns: None,
    }
}

/// The labels that a service's containers have.
pub(crate) fn selector(service: &Service) -> BTreeMap<String, String> {
    if service.selector.is_empty() {
        [(SERVICE.to_owned(), service.name.clone())].into()
    } else {
        service.selector.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn labels_say_service_port_and_weight() {
        let (said, faults) = Shorthand::read(
            "c",
            &labels(&[(SERVICE, "web"), (PORT, "8080"), (WEIGHT, "7"), ("other", "thing")]),
        );
        assert_eq!(said, Shorthand { service: Some("web".into()), port: NonZeroU16::new(8080), weight: 7 });
        assert_eq!(faults, []);
    }

    #[test]
    fn each_label_that_cannot_be_followed_is_named_with_what_it_may_be() {
        let (said, faults) = Shorthand::read(
            "c",
            &labels(&[(SERVICE, "1web"), (PORT, "0"), (WEIGHT, "101"), ("berth.prot", "80")]),
        );
        assert_eq!(said, Shorthand { service: None, port: None, weight: WEIGHT_DEFAULT });
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        for (fault, words) in said.iter().zip([
            ["berth.service=1web", "beginning with a letter"],
            ["berth.port=0", "1 to 65535"],
            ["berth.weight=101", "0 to 100"],
            ["berth.prot", "berth.service, berth.port and berth.weight"],
        ]) {
            assert!(words.iter().all(|word| fault.contains(word)), "{fault}");
        }
        assert_eq!(faults.len(), 4);
    }
}
