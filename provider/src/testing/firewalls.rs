//! What every provider's firewalls must keep.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use ipnetwork::IpNetwork;
use tokio::time::{sleep, timeout};

use crate::{
    Firewall, FirewallChange, FirewallRule, FirewallSeen, FirewallTransport, Firewalls, Interface,
    ProviderError, Whose, ZoneId,
};

/// How long a change may take in a test.
const PATIENCE: Duration = Duration::from_secs(20);

/// Whose rules they are.
const CLUSTER: &str = "demo";

/// Runs every promise against the firewall of this zone, which has rules of somebody else's. `to` are two addresses of
/// containers behind it.
///
/// # Panics
/// When a promise is broken.
pub async fn guards_a_zone(provider: &impl Firewalls, zone: &ZoneId, to: [IpAddr; 2]) {
    let firewall = Firewall::Zone(zone.clone());
    let before = seen(provider, &firewall).await;
    assert!(before.ours.is_empty() && before.foreign > 0, "{before:?}");
    let rules: BTreeSet<_> = to.map(|to| rule(Some(to), "10.0.0.0/8")).into();
    set(provider, &firewall, &rules).await;
    let fewer: BTreeSet<_> = [rule(Some(to[1]), "0.0.0.0/0")].into();
    let after = set(provider, &firewall, &fewer).await;
    assert_eq!(after.foreign, before.foreign, "a rule of somebody else's was touched");
    let others = provider.firewall(&firewall, "another", &BTreeSet::new()).await.expect("a look");
    assert_eq!(others.map(|it| (it.ours.len(), it.foreign)), Some((0, before.foreign + 1)));
    set(provider, &firewall, &BTreeSet::new()).await;
    assert_eq!(seen(provider, &firewall).await, before);
}

/// Runs every promise against a group of a name that is free, at this interface, which has another group already.
///
/// # Panics
/// When a promise is broken.
pub async fn guards_hosts(provider: &impl Firewalls, name: &str, interface: &Interface) {
    let group = Firewall::Group(name.to_owned());
    let at: BTreeSet<Interface> = [interface.clone()].into();
    assert_eq!(provider.firewall(&group, CLUSTER, &at).await.expect("a look"), None);
    let early = provider.change_firewall(&group, CLUSTER, &FirewallChange::SetRules(BTreeSet::new())).await;
    assert!(matches!(early, Err(ProviderError::Gone { .. })), "{early:?}");

    change(provider, &group, &FirewallChange::Make).await;
    let made = provider.firewall(&group, CLUSTER, &at).await.expect("a look").expect("it was made");
    assert_eq!((made.whose, made.ours.len(), made.odd), (Whose::Ours, 0, 0));
    let standing = made.interfaces.get(interface).expect("it can be attached there");
    assert!(!standing.attached && standing.others > 0, "{standing:?}");
    let anothers = provider.firewall(&group, "another", &BTreeSet::new()).await.expect("a look");
    assert_eq!(anothers.map(|it| it.whose), Some(Whose::Others));

    for sources in [["10.0.0.0/8", "192.0.2.7/32"], ["0.0.0.0/0", "192.0.2.7/32"]] {
        set(provider, &group, &sources.map(|from| rule(None, from)).into()).await;
    }
    change(provider, &group, &FirewallChange::Attach(at.clone())).await;
    let attached =
        provider.firewall(&group, CLUSTER, &BTreeSet::new()).await.expect("a look").expect("a group");
    assert_eq!(
        attached.interfaces.get(interface).map(|it| (it.attached, it.others)),
        Some((true, standing.others))
    );
    let refused = provider.change_firewall(&group, CLUSTER, &FirewallChange::Remove).await;
    assert!(matches!(refused, Err(ProviderError::Refused { .. })), "{refused:?}");
    change(provider, &group, &FirewallChange::Detach(at.clone())).await;
    change(provider, &group, &FirewallChange::Remove).await;
    assert_eq!(provider.firewall(&group, CLUSTER, &at).await.expect("a look"), None);
}

fn rule(to: Option<IpAddr>, from: &str) -> FirewallRule {
    let from: IpNetwork = from.parse().expect("the test's own text");
    FirewallRule { to, transport: FirewallTransport::Tcp, port: 8080, from }
}

async fn seen(provider: &impl Firewalls, firewall: &Firewall) -> FirewallSeen {
    let looked = provider.firewall(firewall, CLUSTER, &BTreeSet::new()).await;
    looked.expect("a look").expect("a firewall")
}

async fn change(provider: &impl Firewalls, firewall: &Firewall, change: &FirewallChange) {
    provider.change_firewall(firewall, CLUSTER, change).await.expect("a change");
}

/// Sets these rules, and waits until they are there.
async fn set(provider: &impl Firewalls, firewall: &Firewall, rules: &BTreeSet<FirewallRule>) -> FirewallSeen {
    change(provider, firewall, &FirewallChange::SetRules(rules.clone())).await;
    let waiting = async {
        loop {
            let seen = seen(provider, firewall).await;
            if seen.ours == *rules && seen.odd == 0 {
                return seen;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("the rules are not there")
}
