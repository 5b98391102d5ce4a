//! What load balancers of each provider can do, as far as a declaration is held against it.

use std::collections::BTreeSet;

use api::Protocol;
use services::{Abilities, Limits};

use crate::config::ProviderConfig;

/// Those of the provider that is configured.
pub(crate) fn of(provider: &ProviderConfig) -> Abilities {
    match provider {
        ProviderConfig::SoftLayer { .. } => softlayer(),
        ProviderConfig::Static(_) => none("static"),
    }
}

/// What they take at the provider that is configured; nothing where it has none.
pub(crate) fn limits(provider: &ProviderConfig) -> Option<Limits> {
    match provider {
        // At most 50 members, and 2 protocols in an order. Source: the same documentation, "FAQs".
        ProviderConfig::SoftLayer { .. } => Some(Limits { members: 50, listeners_ordered: 2, zone: None }),
        ProviderConfig::Static(_) => None,
    }
}

/// IBM Cloud Load Balancer, as the API's documentation has it: protocols, limits and the ports that it keeps
/// (<https://cloud.ibm.com/docs/loadbalancer-service>, "FAQs" and "Setting up health checks"). A member belongs to the
/// whole balancer: the call that adds one names no port. It takes HTTPS too, but only with a certificate, which no
/// declaration names: TLS passes through as TCP.
fn softlayer() -> Abilities {
    Abilities {
        provider: "softlayer",
        protocols: [Protocol::Tcp, Protocol::Http].into(),
        one_service_each: true,
        ports_kept: Some((56_500, 56_520)),
        listeners_max: 10,
        interval_secs: (2, 60),
        orders: true,
        health: true,
        at_address: Some(Box::new(softlayer_local())),
        firewalls: true,
    }
}

/// The local load balancer of 2014, called by its virtual address. It can be ordered no more, and has health checks of
/// a few kinds without numbers. Source: terraform-provider-ibm, `resource_ibm_lb_service.go`.
fn softlayer_local() -> Abilities {
    Abilities {
        provider: "softlayer's local kind",
        protocols: [Protocol::Tcp, Protocol::Http, Protocol::Udp].into(),
        one_service_each: true,
        ports_kept: None,
        listeners_max: 10,
        interval_secs: (1, u16::MAX),
        orders: false,
        health: false,
        at_address: None,
        firewalls: true,
    }
}

fn none(provider: &'static str) -> Abilities {
    Abilities {
        provider,
        protocols: BTreeSet::new(),
        one_service_each: false,
        ports_kept: None,
        listeners_max: 0,
        interval_secs: (1, u16::MAX),
        orders: false,
        health: false,
        at_address: None,
        firewalls: false,
    }
}
