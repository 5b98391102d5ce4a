//! What applying a declaration would change.

use std::collections::{BTreeMap, BTreeSet};

use api::{
    FieldChange, HealthCheck, Listener, LoadBalancer, Outside, PolicyEntry, Service, ServiceChange,
    ServicePort,
};

/// What differs between a service as it stands and as it is to be; either may not be.
pub fn difference(name: &str, from: Option<&Service>, to: Option<&Service>) -> ServiceChange {
    let (before, after) = (from.map(fields).unwrap_or_default(), to.map(fields).unwrap_or_default());
    let mut all: Vec<&String> = before.keys().chain(after.keys()).collect();
    all.sort();
    all.dedup();
    let changes = all
        .into_iter()
        .filter(|field| before.get(*field) != after.get(*field))
        .map(|field| FieldChange {
            field: field.clone(),
            from: before.get(field).cloned(),
            to: after.get(field).cloned(),
        })
        .collect();
    ServiceChange { name: name.to_owned(), changes }
}

/// What a declaration says, a line each, by the names that it has there.
fn fields(service: &Service) -> BTreeMap<String, String> {
    let Service { name, selector, ports, load_balancer, policies, firewall, dns } = service;
    let mut all = BTreeMap::from([("name".to_owned(), name.clone())]);
    all.extend(selector.iter().map(|(label, value)| (format!("selector.{label}"), value.clone())));
    all.extend(ports.iter().map(port));
    all.extend(dns.iter().map(|label| ("dns".to_owned(), label.clone())));
    if let Some(LoadBalancer { name, order, listeners }) = load_balancer {
        all.insert("load_balancer.name".to_owned(), name.clone());
        let order = order.map(|order| format!("{order:?}").to_lowercase());
        all.extend(order.map(|order| ("load_balancer.order".to_owned(), order)));
        all.extend(listeners.iter().flat_map(listener));
    }
    if let Some(Outside { zones, security_groups }) = firewall {
        let named = [("firewall.zones", zones), ("firewall.security_groups", security_groups)];
        let named = named.into_iter().filter(|(_, names)| !names.is_empty());
        all.extend(named.map(|(field, names)| (field.to_owned(), names.join(", "))));
    }
    let mut peers: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for PolicyEntry { from, port } in policies {
        let of_port = peers.entry(port.as_deref().unwrap_or("all ports")).or_default();
        of_port.extend(from.iter().map(ToString::to_string));
    }
    all.extend(peers.into_iter().map(|(port, from)| {
        let from: Vec<String> = from.into_iter().collect();
        (format!("policy.{port}"), from.join(", "))
    }));
    all
}

fn port(ServicePort { name, port, transport }: &ServicePort) -> (String, String) {
    let transport = format!("{transport:?}").to_lowercase();
    (format!("port.{port}/{transport}"), name.clone().unwrap_or_else(|| "-".to_owned()))
}

fn listener(Listener { port, protocol, to, health }: &Listener) -> Vec<(String, String)> {
    let field = format!("load_balancer.listener.{port}");
    let to = to.clone().unwrap_or_else(|| "the first port".to_owned());
    let mut all = vec![(field.clone(), format!("{} to {to}", format!("{protocol:?}").to_lowercase()))];
    let HealthCheck { path, interval_secs, timeout_secs, retries } = health.clone().unwrap_or_default();
    let numbers = [
        ("interval_secs", interval_secs.map(u64::from)),
        ("timeout_secs", timeout_secs.map(u64::from)),
        ("retries", retries.map(u64::from)),
    ];
    all.extend(path.map(|path| (format!("{field}.health.path"), path)));
    let numbers = numbers.into_iter().filter_map(|(what, number)| Some((what, number?)));
    all.extend(numbers.map(|(what, number)| (format!("{field}.health.{what}"), number.to_string())));
    all
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use super::*;
    use crate::labels::implied;

    fn web() -> Service {
        implied("web", NonZeroU16::new(80))
    }

    fn lines(change: &ServiceChange) -> Vec<(&str, Option<&str>, Option<&str>)> {
        let all = change.changes.iter();
        all.map(|it| (it.field.as_str(), it.from.as_deref(), it.to.as_deref())).collect()
    }

    #[test]
    fn what_stands_already_changes_nothing() {
        assert_eq!(difference("web", Some(&web()), Some(&web())).changes, []);
    }

    #[test]
    fn what_comes_goes_and_changes_is_told_by_its_name_in_the_declaration() {
        let mut now = web();
        now.selector.insert("tier".into(), "front".into());
        now.ports[0].port = NonZeroU16::new(8080).unwrap();
        assert_eq!(
            lines(&difference("web", Some(&web()), Some(&now))),
            [
                ("port.80/tcp", Some("-"), None),
                ("port.8080/tcp", None, Some("-")),
                ("selector.tier", None, Some("front")),
            ]
        );
    }

    #[test]
    fn a_new_one_is_all_new_and_one_that_goes_is_all_gone() {
        assert_eq!(
            lines(&difference("web", None, Some(&web()))),
            [("name", None, Some("web")), ("port.80/tcp", None, Some("-"))]
        );
        assert_eq!(
            lines(&difference("web", Some(&web()), None)),
            [("name", Some("web"), None), ("port.80/tcp", Some("-"), None)]
        );
    }
}
