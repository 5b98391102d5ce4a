//! A kernel that is a value: changes are made to it and recorded, for tests and simulation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::{fmt, io};

use crate::{
    ApplyError, BridgeSeen, Change, IfName, InterfaceSeen, Kernel, ObserveError, Observed, PortSeen,
};

/// A fake kernel. It refuses what the real one refuses: names that are taken, links that are missing.
#[derive(Default)]
pub struct FakeKernel {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    observed: Observed,
    made: Vec<Change>,
    /// Changes until one fails.
    fails_after: Option<usize>,
}

impl FakeKernel {
    /// A host with these interfaces, and nothing of ours.
    pub fn with(interfaces: BTreeMap<IfName, InterfaceSeen>) -> Self {
        let fake = Self::default();
        fake.state().observed.interfaces = interfaces;
        fake
    }

    /// Every change made so far, in order.
    pub fn made(&self) -> Vec<Change> {
        self.state().made.clone()
    }

    /// Lets this many changes pass, then refuses one with EIO.
    pub fn fail_after(&self, changes: usize) {
        self.state().fails_after = Some(changes);
    }

    /// Does what others do on the host: adds a link of their own, deletes ours, moves an end away.
    pub fn meanwhile(&self, what: impl FnOnce(&mut Observed)) {
        what(&mut self.state().observed);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked elsewhere left a whole value behind: every change is one assignment.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for FakeKernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FakeKernel").field(&self.state().observed).finish()
    }
}

impl Kernel for FakeKernel {
    async fn observe(&self) -> Result<Observed, ObserveError> {
        Ok(self.state().observed.clone())
    }

    async fn apply(&self, change: &Change) -> Result<(), ApplyError> {
        let mut state = self.state();
        match state.fails_after {
            Some(0) => {
                state.fails_after = None;
                let source = io::Error::other("the fake kernel was told to fail");
                return Err(ApplyError::Refused { change: change.to_string(), source });
            }
            Some(left) => state.fails_after = Some(left - 1),
            None => {}
        }
        make(&mut state.observed, change)?;
        state.made.push(change.clone());
        Ok(())
    }
}

fn make(kernel: &mut Observed, change: &Change) -> Result<(), ApplyError> {
    match change {
        Change::ReplaceFirewall(firewall) => kernel.firewall = Some(firewall.sentences()),
        Change::RemoveFirewall => kernel.firewall = None,
        Change::ChangePolicy(change) => {
            let policy = kernel.policy.get_or_insert_default();
            policy.guarded.retain(|address| !change.remove.guarded.contains(address));
            policy.openings.retain(|opening| !change.remove.openings.contains(opening));
            policy.guarded.extend(&change.add.guarded);
            policy.openings.extend(change.add.openings.iter().cloned());
        }
        Change::RemovePolicy => kernel.policy = None,
        Change::Admit(admission) => match &mut kernel.admissions {
            Some(admissions) => drop(admissions.insert(admission.clone())),
            None => {
                let source = io::Error::other("there is no chain DOCKER-USER");
                return Err(ApplyError::Refused { change: change.to_string(), source });
            }
        },
        Change::Dismiss(admission) => {
            if let Some(admissions) = &mut kernel.admissions {
                admissions.remove(admission);
            }
        }
        Change::CreateBridge { name, mac, mtu } => {
            must_be_free(kernel, change, name)?;
            let made =
                BridgeSeen { mac: *mac, mtu: *mtu, up: false, alias: None, addresses: BTreeSet::new() };
            kernel.bridges.entry(name.clone()).or_insert(made);
        }
        Change::CreatePort { name, container_end, .. } => {
            must_be_free(kernel, change, name)?;
            must_be_free(kernel, change, container_end)?;
            let container_end = Some(container_end.clone());
            let made = PortSeen { bridge: None, up: false, alias: None, container_end };
            kernel.ports.entry(name.clone()).or_insert(made);
        }
        Change::DeleteBridge { name } => {
            kernel.bridges.remove(name);
            for port in kernel.ports.values_mut().filter(|port| port.bridge.as_ref() == Some(name)) {
                port.bridge = None;
            }
            forget(kernel, name);
        }
        Change::DeletePort { name } => drop(kernel.ports.remove(name)),
        Change::Attach { port, bridge } => {
            if !kernel.bridges.contains_key(bridge) && !kernel.interfaces.contains_key(bridge) {
                return Err(no_link(change, bridge));
            }
            kernel.ports.get_mut(port).ok_or_else(|| no_link(change, port))?.bridge = Some(bridge.clone());
        }
        Change::Label { link, alias } => match kernel.ports.get_mut(link) {
            Some(port) => port.alias = Some(alias.clone()),
            None => bridge(kernel, change, link)?.alias = Some(alias.clone()),
        },
        Change::SetMac { bridge: link, mac } => bridge(kernel, change, link)?.mac = *mac,
        Change::SetMtu { bridge: link, mtu } => bridge(kernel, change, link)?.mtu = *mtu,
        Change::AddAddress { bridge: link, address } => {
            bridge(kernel, change, link)?.addresses.insert(*address);
        }
        Change::RemoveAddress { bridge: link, address } => {
            if let Some(seen) = kernel.bridges.get_mut(link) {
                seen.addresses.remove(address);
            }
        }
        Change::SetUp { link } => match kernel.ports.get_mut(link) {
            Some(port) => port.up = true,
            None => bridge(kernel, change, link)?.up = true,
        },
        Change::SetSysctl { sysctl, value } => {
            if let Some(link) = &sysctl.link {
                must_be_there(kernel, change, link)?;
            }
            kernel.sysctls.insert(sysctl.clone(), *value);
        }
        Change::AddRoute(route) => {
            must_be_there(kernel, change, &route.through)?;
            let taken = kernel
                .routes
                .iter()
                .any(|other| (other.table, other.to) == (route.table, route.to) && other != route);
            if taken {
                return Err(in_the_way(change, format!("a route to {}", route.to)));
            }
            kernel.routes.insert(route.clone());
        }
        Change::RemoveRoute(route) => drop(kernel.routes.remove(route)),
        Change::AddRule(rule) => drop(kernel.rules.insert(rule.clone())),
        Change::RemoveRule(rule) => drop(kernel.rules.remove(rule)),
        Change::AddProxy(proxy) => {
            must_be_there(kernel, change, &proxy.on)?;
            kernel.proxies.insert(proxy.clone());
        }
        Change::RemoveProxy(proxy) => drop(kernel.proxies.remove(proxy)),
    }
    Ok(())
}

/// What hangs on a link goes with it.
fn forget(kernel: &mut Observed, link: &IfName) {
    kernel.routes.retain(|route| route.through != *link);
    kernel.proxies.retain(|proxy| proxy.on != *link);
    kernel.sysctls.retain(|sysctl, _| sysctl.link.as_ref() != Some(link));
}

fn bridge<'a>(
    kernel: &'a mut Observed,
    change: &Change,
    name: &IfName,
) -> Result<&'a mut BridgeSeen, ApplyError> {
    kernel.bridges.get_mut(name).ok_or_else(|| no_link(change, name))
}

fn must_be_there(kernel: &Observed, change: &Change, link: &IfName) -> Result<(), ApplyError> {
    let there = kernel.bridges.contains_key(link)
        || kernel.ports.contains_key(link)
        || kernel.interfaces.contains_key(link);
    if there { Ok(()) } else { Err(no_link(change, link)) }
}

fn must_be_free(kernel: &Observed, change: &Change, link: &IfName) -> Result<(), ApplyError> {
    let taken = kernel.interfaces.contains_key(link) || kernel.strangers.contains(link);
    if taken { Err(in_the_way(change, format!("the link {link}"))) } else { Ok(()) }
}

fn no_link(change: &Change, link: &IfName) -> ApplyError {
    ApplyError::NoLink { change: change.to_string(), link: link.clone() }
}

fn in_the_way(change: &Change, what: String) -> ApplyError {
    ApplyError::InTheWay { change: change.to_string(), what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HostNet, Mac, bring_to, testing};

    fn host() -> FakeKernel {
        let seen = InterfaceSeen {
            mac: Some(Mac([2, 0, 0, 0, 0, 1])),
            mtu: 1500,
            address: Some("10.40.0.11".parse().unwrap()),
        };
        FakeKernel::with(BTreeMap::from([(IfName::parse("eth0").unwrap(), seen)]))
    }

    #[tokio::test]
    async fn the_fake_kernel_keeps_the_traits_promises() {
        testing::conformance(&host(), &IfName::parse("eth0").unwrap(), "10.40.0.11".parse().unwrap()).await;
    }

    #[tokio::test]
    async fn a_failed_change_is_told_and_made_by_the_next_plan() {
        let kernel = host();
        let mut wanted = HostNet::default();
        let bridge = crate::Bridge {
            mac: Mac::derived("blue"),
            interface: IfName::parse("eth0").unwrap(),
            mtu: None,
            reach: crate::Reach::Internal,
            maker: crate::Maker::Berth,
        };
        wanted.bridges.insert(IfName::bridge("blue"), bridge);
        kernel.fail_after(1);
        let first = bring_to(&kernel, &wanted).await.unwrap();
        assert_eq!(first.failed.len(), 5, "the bridge and the four changes that need it");
        let second = bring_to(&kernel, &wanted).await.unwrap();
        assert!(second.is_complete(), "{second:?}");
    }
}
