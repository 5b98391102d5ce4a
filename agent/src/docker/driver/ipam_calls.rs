//! The calls of Docker's IpamDriver.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hostnet::IfName;
use ipam::{Family, PoolName, Released, Wish};
use ipnetwork::IpNetwork;
use serde_json::Value;

use super::{CallError, Driver, POOL_DEFAULT, with_prefix};
use crate::docker::addresses::Addresses;
use crate::docker::pool_id::{self, PoolId};
use crate::docker::record::{Endpoint, Lent, Record, Stage};
use crate::docker::wire::{
    AddressAnswer, PoolAnswer, ReleaseAddress, ReleasePool, RequestAddress, RequestPool, answer, fixed,
};
use crate::journal::{Durability, JournalError};

/// The options of `--ipam-opt` that we know.
const OPTIONS: &str = "pool=NAME, and bridge=NAME for a network of Docker's own bridge driver";

impl<A: Addresses> Driver<A> {
    /// Answers with a subnet of the pool: the one named, or the pool's first.
    pub(in super::super) async fn request_pool(&self, call: RequestPool) -> Result<Value, CallError> {
        if let Some(range) = call.sub_pool {
            return Err(CallError::IpRange(range));
        }
        let asked = Asked::from(&call.options)?;
        let subnet = match call.pool {
            Some(cidr) => self.subnet(asked.pool.as_ref(), cidr).await?,
            None => {
                let pool = asked.pool.unwrap_or_else(|| POOL_DEFAULT.into());
                let subnets = self.addresses.subnets().await?;
                let fits = |subnet: &&ipam::Subnet| subnet.pool == pool && subnet.cidr.is_ipv6() == call.v6;
                let mut cidrs: Vec<IpNetwork> =
                    subnets.iter().filter(fits).map(|subnet| subnet.cidr).collect();
                cidrs.sort();
                let family = if call.v6 { "IPv6" } else { "IPv4" };
                let offer = self.offers.next(&pool, &cidrs).ok_or(CallError::NoSubnet { pool, family })?;
                self.subnet(None, offer.map_err(CallError::Overlaps)?).await?
            }
        };
        let pool_id = PoolId { pool: subnet.pool, subnet: subnet.cidr, bridge: asked.bridge }.to_string();
        Ok(answer(&PoolAnswer { pool_id, pool: subnet.cidr, data: BTreeMap::new() }))
    }

    /// Nothing: a pool outlives Docker's networks.
    pub(in super::super) async fn release_pool(&self, _: ReleasePool) -> Result<Value, CallError> {
        Ok(fixed::done())
    }

    /// Answers with an address of the pool, or with the gateway that the cloud has set aside.
    pub(in super::super) async fn request_address(&self, call: RequestAddress) -> Result<Value, CallError> {
        let from: PoolId = call.pool_id.parse()?;
        if call.is_for_the_gateway() {
            self.offers.taken();
            let address = self.gateway(&from, call.address).await?;
            return Ok(answer(&AddressAnswer { address, data: BTreeMap::new() }));
        }
        let asked = match call.address {
            Some(asked) => Some(asked),
            None => self.reserved(&call, &from).await?,
        };
        let address = if let Some(borrower) = self.borrower(&from) {
            self.lend(&from, borrower, asked).await?
        } else {
            let any = Wish::Any(if from.subnet.is_ipv6() { Family::V6 } else { Family::V4 });
            let wish = asked.map_or(any, Wish::Exact);
            with_prefix(&self.addresses.assign(&from.pool, wish).await.map_err(|error| self.named(error))?)
        };
        Ok(answer(&AddressAnswer { address, data: BTreeMap::new() }))
    }

    /// The address that is kept under the container's name, where Docker tells the name. Docker takes none of another
    /// subnet than the network's.
    async fn reserved(&self, call: &RequestAddress, from: &PoolId) -> Result<Option<IpAddr>, CallError> {
        let Some(name) = call.endpoint_name() else { return Ok(None) };
        let kept = self.addresses.reserved_as(name).await?;
        Ok(kept.filter(|address| from.subnet.contains(*address)))
    }

    /// Takes every release. Docker ignores an error here and never asks again.
    pub(in super::super) async fn release_address(&self, call: ReleaseAddress) -> Result<Value, CallError> {
        let address = call.address;
        let (endpoint, lent) =
            self.book.read(|pages| (pages.endpoint_at(address).cloned(), pages.lent.get(&address).cloned()));
        match (endpoint, lent) {
            (Some(endpoint), _) => self.release_endpoint(endpoint).await?,
            // Neither Docker nor the kernel may show it any more; the reconciler looks.
            (None, Some(lent)) => self.write(Record::Lent(Lent { released: true, ..lent }))?,
            (None, None) => match self.addresses.release(address).await {
                Ok(Released::Closed(_) | Released::Nothing) => {}
                Ok(Released::Hint(epoch)) => {
                    tracing::warn!(%address, %epoch, "Docker released an address that an endpoint still uses");
                }
                // Nobody is bound to it: the reconciler finds it by its two witnesses.
                Err(error) => tracing::warn!(%address, %error, "a release waits for the reconciler"),
            },
        }
        self.reconciler.nudge();
        Ok(fixed::done())
    }

    async fn release_endpoint(&self, endpoint: Endpoint) -> Result<(), CallError> {
        match endpoint.stage {
            // An auxiliary address lives as long as its network, whose end comes next.
            Stage::Aside | Stage::Released => Ok(()),
            Stage::Deleted => {
                let released = Endpoint { stage: Stage::Released, ..endpoint };
                self.write(Record::Endpoint(released.clone()))?;
                self.pay(&released).await;
                Ok(())
            }
            Stage::Created | Stage::Joined | Stage::Left => {
                tracing::warn!(address = %endpoint.address, endpoint = %endpoint.id,
                    "Docker released the address of an endpoint it did not delete: taken as a hint");
                Ok(())
            }
        }
    }

    async fn gateway(&self, from: &PoolId, asked: Option<IpAddr>) -> Result<IpNetwork, CallError> {
        let subnet = self.subnet(Some(&from.pool), from.subnet).await?;
        let gateway = subnet.gateway.ok_or(CallError::NoGateway { subnet: from.subnet })?;
        match asked {
            Some(asked) if asked != gateway => {
                Err(CallError::Gateway { subnet: from.subnet, gateway, asked })
            }
            _ => Ok(IpNetwork::new(gateway, from.subnet.prefix()).unwrap_or_else(|_| gateway.into())),
        }
    }

    /// Writes one record down.
    pub(super) fn write(&self, record: Record) -> Result<(), JournalError> {
        self.book.change(Durability::Written, |_| Ok(vec![record]))
    }

    /// Pays a debt now, or leaves it to the reconciler.
    pub(super) async fn pay(&self, endpoint: &Endpoint) {
        if let Err(error) = crate::docker::debts::pay(&self.addresses, &self.book, endpoint).await {
            tracing::warn!(endpoint = %endpoint.id, address = %endpoint.address, %error,
                "a release is kept, and tried again");
        }
    }
}

/// What `--ipam-opt` said.
struct Asked {
    pool: Option<PoolName>,
    bridge: Option<IfName>,
}

impl Asked {
    fn from(options: &BTreeMap<String, String>) -> Result<Asked, CallError> {
        let mut asked = Asked { pool: None, bridge: None };
        for (option, value) in options {
            match option.as_str() {
                "pool" | "berth.pool" if pool_id::is_name(value) => asked.pool = Some(value.as_str().into()),
                "pool" | "berth.pool" => return Err(CallError::PoolName(value.clone())),
                "bridge" | "berth.bridge" => {
                    let name = IfName::parse(value).map_err(|_| CallError::BridgeName(value.clone()))?;
                    asked.bridge = Some(name);
                }
                _ => return Err(CallError::UnknownOption { option: option.clone(), known: OPTIONS }),
            }
        }
        Ok(asked)
    }
}
