//! The provider that the configuration names, and how it is doing: the one file that knows which
//! providers there are.

use crate::capacity::WAIT_FOR_PERSON;
use crate::config::{ProviderConfig, StaticConfig};
use crate::metrics::Metrics;
use crate::troubles::{Trouble, Troubles, with_causes};
use ::api::Source;
use provider::{
    BalancerChange, BalancerSeen, Balancers, CloudAddress, CloudSubnet, ClusterTags, Firewall,
    FirewallChange, FirewallSeen, Firewalls, FoundOrder, HostState, Identity, InstanceId, Interface,
    MalformedClusterName, MemberId, Nic, OrderId, OrderIntent, OrderPlaced, OrderRequest, OrderStatus,
    Provider, ProviderError, Quote, Recourse, StaticSubnet, StaticSubnets, StaticTagsError, StaticZone,
    SubnetId, TagEdit, ZoneId,
};
use provider_softlayer::{Credentials, CredentialsError, EndpointError, SoftLayer};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

/// D: the longest call of any provider.
pub const CALL_TIME_MAX: Duration = provider_softlayer::CALL_TIME_MAX;

/// The file below the state directory that remembers tags for subnets without a cloud.
const STATIC_TAGS: &str = "static-tags.json";

/// Names this machine where no cloud does. Source: machine-id(5).
const MACHINE_ID: &str = "/etc/machine-id";

/// The configured provider. Every call is counted, and how the last one went is on the status page.
pub struct Cloud {
    kind: Kind,
    metrics: Metrics,
    troubles: Troubles,
}

enum Kind {
    SoftLayer(SoftLayerUser),
    Static(Box<StaticSubnets>),
}

/// Why the provider cannot even be asked.
#[derive(Debug, thiserror::Error)]
pub enum CloudError {
    /// The credentials file.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The remembered tags of operator-named subnets.
    #[error(transparent)]
    Tags(#[from] StaticTagsError),
    /// The cluster's name cannot stand in a tag.
    #[error(transparent)]
    Cluster(#[from] MalformedClusterName),
}

impl Cloud {
    /// The provider that `config` names. Asks nobody yet.
    pub fn open(
        config: &ProviderConfig,
        cluster: &str,
        state_dir: &Path,
        metrics: Metrics,
        troubles: Troubles,
    ) -> Result<Self, CloudError> {
        let kind = match config {
            ProviderConfig::SoftLayer { endpoint, credentials } => {
                Kind::SoftLayer(SoftLayerUser::open(endpoint, credentials)?)
            }
            ProviderConfig::Static(config) => {
                Kind::Static(Box::new(static_subnets(config, cluster, state_dir)?))
            }
        };
        Ok(Self { kind, metrics, troubles })
    }

    /// Takes note of how a call went, and looks for new credentials when the old ones were refused.
    fn note<T>(&self, call: &'static str, answer: Result<T, ProviderError>) -> Result<T, ProviderError> {
        self.metrics.provider_called(self.name(), call, answer.is_ok());
        match &answer {
            Ok(_) => self.troubles.over(Source::Cloud),
            // The provider answered, and the world is as it says: no trouble of its own.
            Err(ProviderError::Gone { .. } | ProviderError::NotOffered { .. }) => {}
            Err(error) => self.troubles.note(Source::Cloud, trouble(error)),
        }
        if let (Err(ProviderError::Unauthorized { .. }), Kind::SoftLayer(user)) = (&answer, &self.kind) {
            user.read_again();
        }
        answer
    }
}

/// What the status page says of a failed call.
pub fn trouble(error: &ProviderError) -> Trouble {
    let (hint, after) = match error.recourse() {
        Recourse::RetryAfter(after) => (None, Some(after)),
        Recourse::LookAgain => (None, Some(Duration::ZERO)),
        Recourse::AskOperator(hint) => (Some(hint), Some(WAIT_FOR_PERSON)),
    };
    Trouble { problem: with_causes(error), hint, after }
}

/// SoftLayer as one API user. The key may be exchanged while the agent runs.
#[derive(Debug)]
struct SoftLayerUser {
    endpoint: String,
    credentials: PathBuf,
    client: RwLock<Arc<SoftLayer>>,
}

impl SoftLayerUser {
    fn open(endpoint: &str, credentials: &Path) -> Result<Self, CloudError> {
        let client = SoftLayer::new(endpoint, Credentials::read(credentials)?)?;
        let client = RwLock::new(Arc::new(client));
        Ok(Self { endpoint: endpoint.into(), credentials: credentials.into(), client })
    }

    fn client(&self) -> Arc<SoftLayer> {
        Arc::clone(&self.client.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn read_again(&self) {
        match Self::open(&self.endpoint, &self.credentials) {
            Ok(user) => *self.client.write().unwrap_or_else(PoisonError::into_inner) = user.client(),
            Err(error) => tracing::warn!(error = with_causes(&error), "cannot read the credentials again"),
        }
    }
}

fn static_subnets(
    config: &StaticConfig,
    cluster: &str,
    state_dir: &Path,
) -> Result<StaticSubnets, CloudError> {
    let claimed = ClusterTags::of(cluster)?.claiming().add;
    let subnet = |subnet: &crate::config::StaticSubnet| StaticSubnet {
        cidr: subnet.cidr,
        gateway: Some(subnet.gateway),
        exclude: subnet.exclude.clone(),
        tags: claimed.clone(),
    };
    let zone = StaticZone {
        zone: ZoneId::new(config.zone.clone()),
        interface: config.interface.clone(),
        datacenter: config.zone.clone(),
        network: provider::Network::Private,
        subnets: config.subnets.iter().map(subnet).collect(),
    };
    let machine = std::fs::read_to_string(MACHINE_ID).unwrap_or_default();
    let hostname = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
    Ok(StaticSubnets::open(machine, hostname, vec![zone], state_dir.join(STATIC_TAGS))?)
}

/// Asks whichever provider it is, and takes note of the answer.
macro_rules! ask {
    ($cloud:ident . $call:ident ( $($argument:expr),* )) => {{
        let answer = match &$cloud.kind {
            Kind::SoftLayer(user) => user.client().$call($($argument),*).await,
            Kind::Static(subnets) => subnets.$call($($argument),*).await,
        };
        $cloud.note(stringify!($call), answer)
    }};
}

impl Provider for Cloud {
    fn name(&self) -> &'static str {
        match &self.kind {
            Kind::SoftLayer(user) => user.client().name(),
            Kind::Static(subnets) => subnets.name(),
        }
    }

    fn user(&self) -> Option<String> {
        match &self.kind {
            Kind::SoftLayer(user) => user.client().user(),
            Kind::Static(subnets) => subnets.user(),
        }
    }

    fn clock_ahead(&self) -> Option<jiff::SignedDuration> {
        match &self.kind {
            Kind::SoftLayer(user) => user.client().clock_ahead(),
            Kind::Static(subnets) => subnets.clock_ahead(),
        }
    }

    async fn whoami(&self, nics: &[Nic]) -> Result<Identity, ProviderError> {
        ask!(self.whoami(nics))
    }

    async fn subnets(&self, zone: &ZoneId) -> Result<Vec<CloudSubnet>, ProviderError> {
        ask!(self.subnets(zone))
    }

    async fn set_aside(&self, subnet: &SubnetId) -> Result<Vec<CloudAddress>, ProviderError> {
        ask!(self.set_aside(subnet))
    }

    async fn verify_order(&self, request: &OrderRequest) -> Result<Quote, ProviderError> {
        ask!(self.verify_order(request))
    }

    async fn place_order(&self, intent: &OrderIntent) -> Result<OrderPlaced, ProviderError> {
        ask!(self.place_order(intent))
    }

    async fn order_status(&self, order: &OrderId) -> Result<OrderStatus, ProviderError> {
        ask!(self.order_status(order))
    }

    async fn find_orders(&self, intent: &OrderIntent) -> Result<Vec<FoundOrder>, ProviderError> {
        ask!(self.find_orders(intent))
    }

    async fn edit_tags(&self, subnet: &SubnetId, edit: &TagEdit) -> Result<(), ProviderError> {
        ask!(self.edit_tags(subnet, edit))
    }

    async fn return_subnet(&self, subnet: &SubnetId) -> Result<(), ProviderError> {
        ask!(self.return_subnet(subnet))
    }

    async fn host_state(&self, instance: &InstanceId) -> Result<HostState, ProviderError> {
        ask!(self.host_state(instance))
    }
}

/// Asks for what stands before containers of whichever provider it is, and takes note of the answer.
macro_rules! ask_outside {
    ($cloud:ident . $call:ident ( $which:expr $(, $argument:expr)* ), $what:expr) => {{
        let answer = match &$cloud.kind {
            Kind::SoftLayer(user) => user.client().$call($which $(, $argument)*).await,
            Kind::Static(subnets) => {
                Err(ProviderError::NotOffered { provider: subnets.name(), doing: $what })
            }
        };
        $cloud.note(stringify!($call), answer)
    }};
}

impl Balancers for Cloud {
    async fn balancer(&self, name: &str) -> Result<Option<BalancerSeen>, ProviderError> {
        ask_outside!(self.balancer(name), format!("load balancer {name}"))
    }

    async fn balancer_health(&self, name: &str) -> Result<BTreeMap<MemberId, bool>, ProviderError> {
        ask_outside!(self.balancer_health(name), format!("load balancer {name}"))
    }

    fn says_when_in_force(&self, name: &str) -> bool {
        match &self.kind {
            Kind::SoftLayer(user) => user.client().says_when_in_force(name),
            Kind::Static(_) => true,
        }
    }

    async fn change_balancer(&self, name: &str, change: &BalancerChange) -> Result<(), ProviderError> {
        ask_outside!(self.change_balancer(name, change), format!("load balancer {name}"))
    }
}

impl Firewalls for Cloud {
    async fn firewall(
        &self,
        firewall: &Firewall,
        cluster: &str,
        interfaces: &BTreeSet<Interface>,
    ) -> Result<Option<FirewallSeen>, ProviderError> {
        ask_outside!(self.firewall(firewall, cluster, interfaces), firewall.to_string())
    }

    async fn change_firewall(
        &self,
        firewall: &Firewall,
        cluster: &str,
        change: &FirewallChange,
    ) -> Result<(), ProviderError> {
        ask_outside!(self.change_firewall(firewall, cluster, change), firewall.to_string())
    }
}
