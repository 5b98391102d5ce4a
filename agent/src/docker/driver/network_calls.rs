//! The calls of Docker's NetworkDriver.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use hostnet::IfName;
use ipam::{EndpointId, PoolName};
use ipnetwork::IpNetwork;
use serde_json::Value;

use super::ports::Taken;
use super::{CallError, Driver, endpoint_id, network_id, ports, with_prefix};
use crate::docker::MTU_OPTION;
use crate::docker::addresses::Addresses;
use crate::docker::book::Pages;
use crate::docker::record::{Endpoint, Network, NetworkId, Record, Stage, aside_id, mac_of};
use crate::docker::wire::{
    CreateEndpoint, CreateNetwork, DeleteNetwork, Discovery, EndpointAnswer, EndpointCall, ExternalCall,
    InterfaceAnswer, InterfaceName, JoinAnswer, NetworkSubnet, answer, fixed,
};
use crate::journal::Durability;
use crate::reconciler::Needed;

/// The options of `-o` that we know.
const OPTIONS: &str = "berth.pool=NAME and com.docker.network.driver.mtu=BYTES";

/// What IPv4 can do with (RFC 791) and a link can have (`ETH_MAX_MTU`, linux/if_ether.h), in bytes.
const MTUS: RangeInclusive<u32> = 68..=65535;

impl<A: Addresses> Driver<A> {
    /// Remembers the network for good: dockerd will never tell of it again.
    pub(in super::super) async fn create_network(&self, call: CreateNetwork) -> Result<Value, CallError> {
        let id = network_id(&call.network_id);
        let data = only_subnet(&call)?;
        let subnet = match self.subnet(None, data.pool).await {
            // The user forgot `--ipam-driver berth`, and Docker's own IPAM made a subnet up.
            Err(CallError::NotASubnet { .. }) => return Err(CallError::NotOurIpam),
            found => found?,
        };
        let mtu = check_options(&call.options.generic, data.pool, &subnet.pool)?;
        if let (Some(asked), Some(gateway)) = (data.gateway.map(|it| it.ip()), subnet.gateway)
            && asked != gateway
        {
            return Err(CallError::Gateway { subnet: subnet.cidr, gateway, asked });
        }
        let network = Network {
            id: id.clone(),
            pool: subnet.pool,
            zone: subnet.zone,
            subnet: subnet.cidr,
            internal: call.options.internal,
            mtu,
        };
        let mut records = vec![Record::Network(network)];
        records.extend(self.set_aside(&id, &data.aux_addresses).await?);
        self.book.change(Durability::Synced, |_| Ok::<_, CallError>(records))?;
        self.reconciler.nudge();
        Ok(fixed::done())
    }

    /// Binds auxiliary addresses, which Docker asked for a moment ago, to the network itself.
    async fn set_aside(
        &self,
        network: &NetworkId,
        aux: &BTreeMap<String, IpNetwork>,
    ) -> Result<Vec<Record>, CallError> {
        let mut records = Vec::new();
        for (name, address) in aux {
            let id = aside_id(network, name);
            let assignment = self.addresses.bind(address.ip(), id.clone()).await?;
            // It was asked for before anybody could know that the network would be ours.
            records.extend(self.lent_to(address.ip()));
            records.push(Record::Endpoint(Endpoint {
                id,
                network: network.clone(),
                address: with_prefix(&assignment),
                gateway: assignment.gateway,
                epoch: assignment.epoch,
                mac: mac_of(assignment.address),
                ports: Vec::new(),
                published: false,
                stage: Stage::Aside,
            }));
        }
        Ok(records)
    }

    /// Forgets the network. Docker says so only when no container is attached, so what is left of its
    /// endpoints is what a crash left.
    pub(in super::super) async fn delete_network(&self, call: DeleteNetwork) -> Result<Value, CallError> {
        let id = network_id(&call.network_id);
        let mut left = Vec::new();
        self.book.change(Durability::Synced, |pages| {
            let of_it = pages.endpoints.values().filter(|endpoint| endpoint.network == id);
            left = of_it.map(|it| Endpoint { stage: Stage::Released, ..it.clone() }).collect();
            let known = pages.networks.contains_key(&id).then(|| Record::NetworkGone(id.clone()));
            Ok::<_, CallError>(left.iter().cloned().map(Record::Endpoint).chain(known).collect())
        })?;
        self.bring_or_leave_it_to_the_reconciler().await;
        for endpoint in &left {
            self.pay(endpoint).await;
        }
        Ok(fixed::done())
    }

    /// Binds the address that Docker got from us to the endpoint it is for.
    pub(in super::super) async fn create_endpoint(&self, call: CreateEndpoint) -> Result<Value, CallError> {
        let (network, id) = (network_id(&call.network_id), endpoint_id(&call.endpoint_id));
        let address =
            call.interface.address.or(call.interface.address_ipv6).ok_or(CallError::NoAddress)?.ip();
        // What cannot be published at all is refused before anything is made; which host ports it will be
        // is known when Docker opens them, on only one of a container's networks.
        ports::choose(&call.options.ports.unwrap_or_default(), Vec::new())?;
        let check = |pages: &Pages| {
            if !pages.networks.contains_key(&network) {
                return Err(CallError::UnknownNetwork(network.clone()));
            }
            if pages
                .endpoints
                .get(&id)
                .is_some_and(|it| it.address.ip() != address || it.stage > Stage::Created)
            {
                return Err(CallError::EndpointExists(id.clone()));
            }
            Ok(())
        };
        // Before the address is bound, so that a refusal leaves nothing to undo.
        self.book.read(check)?;
        let bound = self.addresses.bind(address, id.clone()).await;
        let assignment = bound.map_err(|error| self.named(error))?;
        let lent = self.lent_to(assignment.address);
        let mac = call.interface.mac_address.unwrap_or_else(|| mac_of(assignment.address));
        let kept = self.book.change(Durability::Written, |pages| {
            check(pages)?;
            let endpoint = Record::Endpoint(Endpoint {
                id: id.clone(),
                network: network.clone(),
                address: with_prefix(&assignment),
                gateway: assignment.gateway,
                epoch: assignment.epoch,
                mac,
                ports: Vec::new(),
                published: false,
                stage: Stage::Created,
            });
            Ok(lent.into_iter().chain([endpoint]).collect())
        });
        if let Err(error) = kept {
            // Docker releases the address next, which a bound one would not let it.
            if let Err(also) = self.addresses.endpoint_gone(id).await {
                tracing::warn!(%address, error = %also, "a refused endpoint stays bound until the reconciler looks");
            }
            return Err(error);
        }
        // Docker takes a MAC from us only where it settled none itself.
        let mac_address = call.interface.mac_address.is_none().then_some(mac);
        Ok(answer(&EndpointAnswer { interface: InterfaceAnswer { mac_address } }))
    }

    /// Says what `docker inspect` may show of an endpoint.
    pub(in super::super) async fn endpoint_info(&self, call: EndpointCall) -> Result<Value, CallError> {
        let endpoint = self.endpoint(&call)?;
        let details = BTreeMap::from([
            ("berth.address", endpoint.address.to_string()),
            ("berth.epoch", endpoint.epoch.to_string()),
        ]);
        Ok(serde_json::json!({ "Value": details }))
    }

    /// Makes the veth pair and everything that leads to it, and names the end for the container.
    pub(in super::super) async fn join(&self, call: EndpointCall) -> Result<Value, CallError> {
        let endpoint = self.endpoint(&call)?;
        let internal = self.book.read(|pages| pages.networks.get(&endpoint.network).map(|it| it.internal));
        let internal = internal.ok_or_else(|| CallError::UnknownNetwork(endpoint.network.clone()))?;
        self.advance(&endpoint.id, Stage::Joined)?;
        if let Err(error) = self.reconciler.bring(Some(&needs(&endpoint))).await {
            // Docker deletes the endpoint next; until then it is not to be attached behind its back.
            self.advance(&endpoint.id, Stage::Left)?;
            return Err(error.into());
        }
        Ok(answer(&JoinAnswer {
            interface_name: InterfaceName {
                src_name: IfName::container_end(&endpoint.id.0).to_string(),
                dst_prefix: "eth",
            },
            gateway: endpoint.gateway.filter(|_| !internal),
            disable_gateway_service: internal,
        }))
    }

    /// Opens the ports that `-p` asked for.
    pub(in super::super) async fn open_ports(&self, call: ExternalCall) -> Result<Value, CallError> {
        let (network, id) = (network_id(&call.network_id), endpoint_id(&call.endpoint_id));
        let requests = call.options.ports.unwrap_or_default();
        let listeners = if requests.is_empty() { Vec::new() } else { (self.listeners)() };
        let mut opened = None;
        self.book.change(Durability::Written, |pages| {
            let endpoint = known(pages, &network, &id)?;
            let others = pages.endpoints.values().filter(|it| it.id != id);
            let taken = others.flat_map(|it| self.ports_of(it)).chain(listeners.into_iter().map(Taken::from));
            let ports = ports::choose(&requests, taken.collect())?;
            opened = (!ports.is_empty()).then_some(Endpoint { ports, published: true, ..endpoint });
            Ok::<_, CallError>(opened.clone().map(Record::Endpoint).into_iter().collect())
        })?;
        if let Some(endpoint) = opened {
            self.reconciler.bring(Some(&needs(&endpoint))).await?;
        }
        Ok(fixed::done())
    }

    fn ports_of(&self, endpoint: &Endpoint) -> Vec<Taken> {
        let address = endpoint.address.ip();
        let by = match self.container_of(&endpoint.id) {
            Some(container) => format!("container {container} ({address})"),
            None => address.to_string(),
        };
        endpoint.open_ports().map(|port| Taken { port: *port, by: by.clone() }).collect()
    }

    /// An address that was lent because nobody could know that it was for a network of ours.
    fn lent_to(&self, address: IpAddr) -> Option<Record> {
        self.book.read(|pages| pages.lent.contains_key(&address)).then_some(Record::LentGone(address))
    }

    /// Closes the ports again.
    pub(in super::super) async fn close_ports(&self, call: EndpointCall) -> Result<Value, CallError> {
        let id = endpoint_id(&call.endpoint_id);
        let mut closed = false;
        self.book.change(Durability::Written, |pages| {
            let open = pages.endpoints.get(&id).filter(|endpoint| endpoint.published);
            closed = open.is_some();
            let shut =
                open.map(|endpoint| Record::Endpoint(Endpoint { published: false, ..endpoint.clone() }));
            Ok::<_, CallError>(shut.into_iter().collect())
        })?;
        if closed {
            self.bring_or_leave_it_to_the_reconciler().await;
        }
        Ok(fixed::done())
    }

    /// Detaches at once. A repeated or unknown one is nothing to do.
    pub(in super::super) async fn leave(&self, call: EndpointCall) -> Result<Value, CallError> {
        if self.advance(&endpoint_id(&call.endpoint_id), Stage::Left)? {
            self.bring_or_leave_it_to_the_reconciler().await;
        }
        Ok(fixed::done())
    }

    /// Lets go of the address. It stays assigned until its release, which comes next.
    pub(in super::super) async fn delete_endpoint(&self, call: EndpointCall) -> Result<Value, CallError> {
        let id = endpoint_id(&call.endpoint_id);
        let before = self.book.read(|pages| pages.endpoints.get(&id).map(|endpoint| endpoint.stage));
        if self.advance(&id, Stage::Deleted)? {
            if before == Some(Stage::Joined) {
                self.bring_or_leave_it_to_the_reconciler().await;
            }
            if let Some(deleted) = self.book.read(|pages| pages.endpoints.get(&id).cloned()) {
                self.pay(&deleted).await;
            }
        }
        Ok(fixed::done())
    }

    /// Swarm's news of its nodes: taken, and not needed.
    pub(in super::super) async fn discover(&self, _: Discovery) -> Result<Value, CallError> {
        Ok(fixed::done())
    }

    fn endpoint(&self, call: &EndpointCall) -> Result<Endpoint, CallError> {
        let (network, id) = (network_id(&call.network_id), endpoint_id(&call.endpoint_id));
        self.book.read(|pages| known(pages, &network, &id))
    }

    /// Moves an endpoint on in its life, never back. Says whether it moved.
    fn advance(&self, id: &EndpointId, stage: Stage) -> Result<bool, CallError> {
        let mut moved = false;
        self.book.change(Durability::Written, |pages| {
            let behind = pages.endpoints.get(id).filter(|endpoint| endpoint.stage < stage);
            moved = behind.is_some();
            let on = behind.map(|endpoint| Record::Endpoint(Endpoint { stage, ..endpoint.clone() }));
            Ok::<_, CallError>(on.into_iter().collect())
        })?;
        Ok(moved)
    }

    /// What is left over when something was taken away does no harm for a while, and an error here
    /// would only make Docker give up half-way.
    async fn bring_or_leave_it_to_the_reconciler(&self) {
        if let Err(error) = self.reconciler.bring(None).await {
            tracing::warn!(%error, "the host's network is not yet in line; tried again");
        }
    }
}

fn known(pages: &Pages, network: &NetworkId, id: &EndpointId) -> Result<Endpoint, CallError> {
    let endpoint = pages.endpoints.get(id).filter(|it| it.network == *network && it.stage < Stage::Deleted);
    endpoint.cloned().ok_or_else(|| CallError::UnknownEndpoint(id.clone()))
}

/// What must be there for a container to run with this endpoint.
fn needs(endpoint: &Endpoint) -> Needed {
    let id = &endpoint.id.0;
    let links = vec![IfName::bridge(&endpoint.network.0), IfName::port(id), IfName::container_end(id)];
    Needed { links, address: endpoint.address.ip() }
}

fn only_subnet(call: &CreateNetwork) -> Result<&NetworkSubnet, CallError> {
    match (call.ipv4.as_slice(), call.ipv6.as_slice()) {
        ([], []) => Err(CallError::NotOurIpam),
        ([one], []) | ([], [one]) => Ok(one),
        (v4, v6) => Err(CallError::OneSubnet(v4.len() + v6.len())),
    }
}

/// Checks the options of `-o`. Answers with the MTU asked for, if there is one.
fn check_options(
    generic: &BTreeMap<String, String>,
    subnet: IpNetwork,
    actual: &PoolName,
) -> Result<Option<u32>, CallError> {
    let mut mtu = None;
    for (option, value) in generic {
        match option.as_str() {
            MTU_OPTION => {
                let bytes = value.parse().ok().filter(|bytes| MTUS.contains(bytes));
                mtu = Some(bytes.ok_or_else(|| CallError::Mtu { option: MTU_OPTION, value: value.clone() })?);
            }
            "berth.pool" if *value == actual.0 => {}
            "berth.pool" => {
                let asked = PoolName(value.clone());
                return Err(CallError::OtherPool { subnet, actual: actual.clone(), asked });
            }
            _ => return Err(CallError::UnknownOption { option: option.clone(), known: OPTIONS }),
        }
    }
    Ok(mtu)
}
