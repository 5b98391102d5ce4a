//! A small allocator for tests of Docker's side: it keeps Docker's rules and can be told to fail.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use ipam::{
    AddressState, Assignment, EndpointId, Epoch, Family, Generation, NotReady, PoolName, Refusal, Released,
    Subnet, Usage, Wish,
};
use ipnetwork::IpNetwork;

use super::{AddressError, Addresses, Assigned, InUse};
use crate::allocator::AllocateError;

/// Addresses out of a few subnets. Released ones are free at once: nothing here cools.
#[derive(Clone, Default)]
pub(crate) struct FakeAddresses(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    subnets: Vec<Subnet>,
    assigned: BTreeMap<IpAddr, (Epoch, Usage)>,
    revoked: BTreeSet<IpAddr>,
    reserved: BTreeMap<String, IpAddr>,
    counter: u64,
    away: bool,
    slow: Option<Duration>,
    blind: bool,
}

impl FakeAddresses {
    /// A pool `default` with these subnets, whose gateways are their first addresses, all in zone `vlan`.
    pub(crate) fn with(subnets: &[&str]) -> Self {
        let fake = Self::default();
        subnets.iter().for_each(|cidr| fake.add("default", cidr));
        fake
    }

    /// One more subnet.
    pub(crate) fn add(&self, pool: &str, cidr: &str) {
        let cidr: IpNetwork = cidr.parse().unwrap();
        let subnet = Subnet { cidr, pool: pool.into(), zone: "vlan".into(), gateway: cidr.iter().nth(1) };
        self.state().subnets.push(subnet);
    }

    /// The name keeps this address.
    pub(crate) fn reserve(&self, name: &str, address: &str) {
        self.state().reserved.insert(name.to_owned(), address.parse().unwrap());
    }

    /// From now on every request is refused, or served again.
    pub(crate) fn set_away(&self, away: bool) {
        self.state().away = away;
    }

    /// This host was evicted: the address is not its any more.
    pub(crate) fn revoke(&self, address: &str) {
        let address = address.parse().unwrap();
        let mut state = self.state();
        state.assigned.remove(&address);
        state.revoked.insert(address);
    }

    /// The revoked addresses that nobody said are silent.
    pub(crate) fn to_be_silenced(&self) -> Vec<String> {
        self.state().revoked.iter().map(ToString::to_string).collect()
    }

    /// From now on an assignment takes this long.
    pub(crate) fn set_slow(&self, slow: Duration) {
        self.state().slow = Some(slow);
    }

    /// From now on nothing is known of any address, as before the store was read; or everything again.
    pub(crate) fn set_blind(&self, blind: bool) {
        self.state().blind = blind;
    }

    /// Who uses this address.
    pub(crate) fn usage(&self, address: &str) -> Option<Usage> {
        self.state().assigned.get(&address.parse().unwrap()).map(|(_, usage)| usage.clone())
    }

    /// All addresses in use.
    pub(crate) fn used(&self) -> Vec<String> {
        self.state().assigned.keys().map(ToString::to_string).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn open(&self) -> Result<MutexGuard<'_, State>, AddressError> {
        let state = self.state();
        if state.away { Err(refused(Refusal::NotReady(NotReady::StoreNotRead))) } else { Ok(state) }
    }
}

fn refused(refusal: Refusal) -> AddressError {
    AddressError::Allocator(AllocateError::Refused(refusal))
}

impl State {
    fn subnet_of(&self, address: IpAddr) -> Option<Subnet> {
        self.subnets.iter().find(|subnet| subnet.cidr.contains(address)).cloned()
    }

    fn assignment(&self, address: IpAddr) -> Option<Assignment> {
        let (epoch, _) = *self.assigned.get(&address).map(|(epoch, usage)| (epoch, usage)).as_ref()?;
        let subnet = self.subnet_of(address)?;
        Some(Assignment { address, subnet: subnet.cidr, gateway: subnet.gateway, epoch: *epoch })
    }

    fn is_free(&self, pool: &PoolName, address: IpAddr) -> bool {
        self.subnet_of(address).is_some_and(|subnet| {
            let last = subnet.cidr.iter().last();
            subnet.pool == *pool
                && address != subnet.cidr.network()
                && Some(address) != subnet.gateway
                && Some(address) != last
                && !self.assigned.contains_key(&address)
        })
    }
}

impl Addresses for FakeAddresses {
    async fn assign(&self, pool: &PoolName, wish: Wish) -> Result<Assignment, AddressError> {
        let slow = self.state().slow;
        tokio::time::sleep(slow.unwrap_or_default()).await;
        let mut state = self.open()?;
        let found = match wish {
            Wish::Exact(address) => state.is_free(pool, address).then_some(address),
            Wish::Within(subnet) => subnet.iter().find(|address| state.is_free(pool, *address)),
            Wish::Any(family) => {
                let fits = |it: &&Subnet| it.cidr.is_ipv6() == (family == Family::V6);
                let addresses = state.subnets.iter().filter(fits).flat_map(|subnet| subnet.cidr.iter());
                addresses.into_iter().find(|address| state.is_free(pool, *address))
            }
        };
        let Some(address) = found else {
            let (address, state) = match wish {
                Wish::Exact(address) => match state.assigned.get(&address).cloned() {
                    Some((epoch, usage)) => (address, AddressState::Assigned { epoch, usage }),
                    None => (address, AddressState::Outside),
                },
                _ => (IpAddr::from([0, 0, 0, 0]), AddressState::Outside),
            };
            return Err(refused(Refusal::InTheWay { address, state }));
        };
        state.counter += 1;
        let epoch = Epoch { generation: Generation { number: 1, id: 1 }, take: 1, counter: state.counter };
        state.assigned.insert(address, (epoch, Usage::Unbound));
        Ok(state.assignment(address).unwrap())
    }

    async fn reserved_as(&self, name: &str) -> Result<Option<IpAddr>, AddressError> {
        Ok(self.open()?.reserved.get(name).copied())
    }

    async fn bind(&self, address: IpAddr, endpoint: EndpointId) -> Result<Assignment, AddressError> {
        let mut state = self.open()?;
        let bound = Usage::Bound(endpoint);
        match state.assigned.get_mut(&address) {
            Some((_, usage)) if !matches!(usage, Usage::Bound(_)) || *usage == bound => *usage = bound,
            _ => return Err(refused(Refusal::NotAssigned { address })),
        }
        Ok(state.assignment(address).unwrap())
    }

    async fn endpoint_gone(&self, endpoint: EndpointId) -> Result<(), AddressError> {
        for (_, usage) in self.open()?.assigned.values_mut() {
            if *usage == Usage::Bound(endpoint.clone()) {
                *usage = Usage::Gone(endpoint.clone());
            }
        }
        Ok(())
    }

    async fn release(&self, address: IpAddr) -> Result<Released, AddressError> {
        let mut state = self.open()?;
        Ok(match state.assigned.get(&address).cloned() {
            None => Released::Nothing,
            Some((epoch, Usage::Bound(_))) => Released::Hint(epoch),
            Some((epoch, _)) => {
                state.assigned.remove(&address);
                Released::Closed(epoch)
            }
        })
    }

    async fn reap(&self, address: IpAddr, epoch: Epoch) -> Result<(), AddressError> {
        let mut state = self.open()?;
        if state.assigned.get(&address).is_some_and(|(current, _)| *current == epoch) {
            state.assigned.remove(&address);
        }
        Ok(())
    }

    async fn subnets(&self) -> Result<Vec<Subnet>, AddressError> {
        Ok(self.open()?.subnets.clone())
    }

    async fn in_use(&self) -> Result<InUse, AddressError> {
        let state = self.state();
        if state.blind {
            return Ok(InUse::default());
        }
        let assigned =
            |(address, (epoch, _)): (&IpAddr, &(Epoch, Usage))| Assigned { address: *address, epoch: *epoch };
        let all = state.subnets.iter().flat_map(|subnet| subnet.cidr.iter());
        let unassigned = all.filter(|address| !state.assigned.contains_key(address)).collect();
        Ok(InUse {
            assigned: state.assigned.iter().map(assigned).collect(),
            unassigned,
            revoked: state.revoked.iter().copied().collect(),
        })
    }

    async fn silenced(&self, address: IpAddr) -> Result<(), AddressError> {
        self.state().revoked.remove(&address);
        Ok(())
    }
}
