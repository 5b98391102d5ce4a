//! Firewalls: the dedicated one of a VLAN, and security groups at the interfaces of virtual guests.
//!
//! The first takes nothing but a whole list, is written by everybody, and applies it later or never; what is ours is
//! marked in the rules' notes. A group is made by us and is ours as a whole: its rules carry no mark. Sources: section 5
//! of the project's reference of this API, which names the clients and articles that it rests on.

mod group;
mod vlan;

use std::collections::BTreeSet;

use provider::{Firewall, FirewallChange, FirewallSeen, Interface, ProviderError};

use crate::NAME;
use crate::client::Client;

/// A firewall as it stands.
pub(crate) async fn look(
    client: &Client,
    firewall: &Firewall,
    cluster: &str,
    interfaces: &BTreeSet<Interface>,
) -> Result<Option<FirewallSeen>, ProviderError> {
    let doing = format!("looking at {firewall}");
    match firewall {
        Firewall::Zone(zone) => vlan::look(client, zone, &mark(cluster), &doing).await,
        Firewall::Group(name) => group::look(client, name, &mark(cluster), interfaces, &doing).await,
    }
}

/// Makes one change.
pub(crate) async fn change(
    client: &Client,
    firewall: &Firewall,
    cluster: &str,
    change: &FirewallChange,
) -> Result<(), ProviderError> {
    let doing = format!("{firewall}: {change}");
    let mark = mark(cluster);
    match (firewall, change) {
        (Firewall::Zone(zone), FirewallChange::SetRules(rules)) => {
            vlan::set(client, zone, &mark, rules, &doing).await
        }
        (Firewall::Zone(_), _) => Err(ProviderError::NotOffered { provider: NAME, doing }),
        (Firewall::Group(name), FirewallChange::Make) => group::make(client, name, &mark, &doing).await,
        (Firewall::Group(name), change) => group::change(client, name, &mark, change, &doing).await,
    }
}

/// What marks as ours, as on subnets.
fn mark(cluster: &str) -> String {
    format!("berth:{cluster}")
}

/// That a firewall is not there.
fn gone(what: &str, doing: &str) -> ProviderError {
    ProviderError::Gone { provider: NAME, doing: doing.to_owned(), what: what.to_owned() }
}
