//! Docker's lists as values.

use std::collections::HashMap;

use ::api::Readiness;
use bollard::models::{
    ContainerSummary, ContainerSummaryStateEnum, EndpointSettings, Ipam, Network as ListedNetwork,
};
use hostnet::IfName;
use ipam::EndpointId;

use super::{Attachment, Container, SeenNetwork};
use crate::docker::MTU_OPTION;
use crate::docker::record::NetworkId;

/// Docker's built-in bridge driver.
const BRIDGE_DRIVER: &str = "bridge";

/// The option that names its bridge. Source: libnetwork, `drivers/bridge/labels.go`.
const BRIDGE_NAME: &str = "com.docker.network.bridge.name";

/// How much of a network's id its bridge is named after where no option names it. Source: libnetwork,
/// `drivers/bridge/bridge.go`.
const BRIDGE_ID_CHARS: usize = 12;

pub(super) fn container(listed: ContainerSummary) -> Container {
    let name = listed.names.unwrap_or_default().into_iter().next().unwrap_or_default();
    let networks = listed.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let gone = matches!(
        listed.state,
        Some(
            ContainerSummaryStateEnum::CREATED
                | ContainerSummaryStateEnum::EXITED
                | ContainerSummaryStateEnum::DEAD
        )
    );
    Container {
        id: listed.id.unwrap_or_default(),
        name: name.trim_start_matches('/').to_owned(),
        labels: listed.labels.unwrap_or_default().into_iter().collect(),
        running: !gone,
        readiness: readiness(listed.state, listed.status.as_deref().unwrap_or_default()),
        // Only events tell.
        ending: false,
        attachments: networks.into_iter().map(|(name, settings)| attachment(name, settings)).collect(),
    }
}

/// A container that runs serves, unless its HEALTHCHECK says otherwise. A list has that in the words of its status
/// alone, such as `Up 5 minutes (healthy)`. Source: moby, `container/state.go` and `container/health.go`.
fn readiness(state: Option<ContainerSummaryStateEnum>, status: &str) -> Readiness {
    match state {
        Some(ContainerSummaryStateEnum::PAUSED | ContainerSummaryStateEnum::RESTARTING) => Readiness::Paused,
        _ if status.ends_with("(health: starting)") => Readiness::Starting,
        _ if status.ends_with("(unhealthy)") => Readiness::Unhealthy,
        _ => Readiness::Ready,
    }
}

fn attachment(network_name: String, settings: EndpointSettings) -> Attachment {
    let address = |text: Option<String>| text.and_then(|text| text.parse().ok());
    Attachment {
        network: NetworkId(settings.network_id.unwrap_or_default()),
        network_name,
        endpoint: settings.endpoint_id.filter(|id| !id.is_empty()).map(EndpointId),
        address: address(settings.ip_address).or_else(|| address(settings.global_ipv6_address)),
        mac: settings.mac_address.and_then(|text| text.parse().ok()),
    }
}

/// The networks that containers can be on. A config-only one is none: it lends its settings to others.
pub(super) fn networks(listed: Vec<ListedNetwork>) -> Vec<SeenNetwork> {
    let (configs, networks): (Vec<_>, Vec<_>) =
        listed.into_iter().partition(|network| network.config_only == Some(true));
    let configs = configs.into_iter().filter_map(|config| Some((config.name.clone()?, config))).collect();
    networks.into_iter().filter_map(|network| seen(network, &configs)).collect()
}

fn seen(listed: ListedNetwork, configs: &HashMap<String, ListedNetwork>) -> Option<SeenNetwork> {
    // A manager of a swarm lists the swarm's view of a network, which lacks what its config says.
    let lender = listed.config_from.as_ref().and_then(|from| configs.get(from.network.as_ref()?));
    let own = listed.ipam.unwrap_or_default();
    let says = |ipam: &&Ipam| ipam.driver.as_ref().is_some_and(|driver| !driver.is_empty());
    let lent = lender.and_then(|config| config.ipam.as_ref());
    let ipam = Some(&own).filter(says).or(lent).unwrap_or(&own);
    let configs = ipam.config.as_deref().unwrap_or_default();
    let auxiliary = configs.iter().flat_map(|config| config.auxiliary_addresses.clone().unwrap_or_default());
    let id = listed.id?;
    let options = [listed.options.as_ref(), lender.and_then(|config| config.options.as_ref())];
    let is_bridge = listed.driver.as_deref() == Some(BRIDGE_DRIVER);
    let option = |name: &str| options.iter().flatten().find_map(|options| options.get(name));
    let named = option(BRIDGE_NAME);
    let bridge = || {
        let short = id.get(..BRIDGE_ID_CHARS).unwrap_or(&id);
        IfName::parse(&named.cloned().unwrap_or_else(|| format!("br-{short}"))).ok()
    };
    Some(SeenNetwork {
        bridge: if is_bridge { bridge() } else { None },
        mtu: option(MTU_OPTION).and_then(|bytes| bytes.parse().ok()),
        name: listed.name.unwrap_or_default(),
        driver: listed.driver.unwrap_or_default(),
        ipam_driver: ipam.driver.clone().unwrap_or_default(),
        subnets: configs.iter().filter_map(|config| config.subnet.as_ref()?.parse().ok()).collect(),
        auxiliary: auxiliary.filter_map(|(name, address)| Some((name, address.parse().ok()?))).collect(),
        internal: listed.internal.unwrap_or(false),
        id: NetworkId(id),
    })
}

#[cfg(test)]
mod tests;
