//! What the operator decides, as written in `/etc/berth/berth.toml`.
//!
//! Every option is documented here and stands in `deploy/berth.toml` with its default; a test holds
//! the two together. Reading collects all mistakes before it gives up, each with its line and what to
//! write instead.

mod ledger;
mod mistake;
mod names;
mod policy;
mod pool;
mod provider;
mod reader;
mod rim;
mod store;
#[cfg(test)]
mod tests;
mod values;

pub use ledger::LedgerConfig;
pub use mistake::{Mistake, Mistakes};
pub use names::NamesConfig;
pub use policy::Unnamed;
pub use pool::{Network, PoolConfig};
pub use provider::{ProviderConfig, StaticConfig, StaticSubnet};
pub use rim::{ApiConfig, DockerConfig, HostConfig, Rim};
pub use store::StoreKind;

use crate::capacity::{QUARANTINE_DEFAULT, STALENESS_DEFAULT};
use reader::{Document, Section};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

/// Where the configuration is, unless the command line says otherwise.
pub const DEFAULT_PATH: &str = "/etc/berth/berth.toml";

/// The whole configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// `cluster`, required: names this cluster. Its subnets are tagged `berth:<cluster>` at the
    /// provider. Lower-case letters, digits and `-`, at most 32 of them.
    pub cluster: String,
    /// `[host]`, `[docker]`, `[api]`: where things are on this host.
    pub rim: Rim,
    /// `[metrics]`.
    pub metrics: Metrics,
    /// `[store]`.
    pub store: StoreKind,
    /// `[ledger]`.
    pub ledger: LedgerConfig,
    /// `[policy]`.
    pub unnamed: Unnamed,
    /// `[names]`.
    pub names: NamesConfig,
    /// `[provider]`.
    pub provider: ProviderConfig,
    /// `quarantine_secs`: how long the addresses of a host that was evicted, or that lost its journals, rest
    /// before they may be used again, 1 to 604800. Longer than a host may be cut off or stand still in the
    /// everyday course of things and then come back: so it is found in use, and not given away.
    pub quarantine: Duration,
    /// `staleness_secs`: R, how far behind the truth an answer of the provider may be, 1 to 3600. No silent host is
    /// asked about sooner. Less than is true evicts a host on a word from before its last boot.
    pub staleness: Duration,
    /// `[[pool]]`, at least one.
    pub pools: Vec<PoolConfig>,
}

/// `[metrics]`: figures for Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// `listen`: address and port of `/metrics`; absent: no endpoint.
    pub listen: Option<SocketAddr>,
}

/// A configuration with mistakes, and as much of it as the agent needs to refuse politely.
#[derive(Debug)]
pub struct Rejected {
    /// All mistakes, in the order of the file.
    pub mistakes: Mistakes,
    /// Where things are, with defaults in place of mistakes.
    pub rim: Rim,
}

impl Config {
    /// Reads and checks the file at `path`.
    pub fn load(path: &Path) -> Result<Self, Box<Rejected>> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).map_err(|rejected| rejected.of(path)),
            Err(error) => {
                let mistakes = Mistakes::unreadable(path, &error);
                Err(Box::new(Rejected { mistakes, rim: Rim::default() }))
            }
        }
    }

    /// Checks a configuration's text.
    pub fn parse(text: &str) -> Result<Self, Box<Rejected>> {
        Self::read(&Document::parse(text))
    }

    fn read(document: &Document<'_>) -> Result<Self, Box<Rejected>> {
        let mut root = document.root();
        let cluster = root.required("cluster", "`cluster = \"NAME\"`", values::cluster_name);
        let quarantine = root.read("quarantine_secs", |value| values::integer(value, 1..=604_800));
        let quarantine = quarantine.map_or(QUARANTINE_DEFAULT, Duration::from_secs);
        let staleness = root.read("staleness_secs", |value| values::integer(value, 1..=3_600));
        let staleness = staleness.map_or(STALENESS_DEFAULT, Duration::from_secs);
        let rim = Rim::read(&mut root);
        let metrics = Metrics::read(root.section("metrics"));
        let store = StoreKind::read(root.section("store"), cluster.as_deref());
        let ledger = LedgerConfig::read(root.section("ledger"));
        let unnamed = Unnamed::read(root.section("policy"));
        let names = NamesConfig::read(root.section("names"), cluster.as_deref());
        let provider = ProviderConfig::read(root.section("provider"));
        let pools = PoolConfig::read_all(&mut root);
        root.finish();

        match (document.mistakes(), cluster, provider) {
            (None, Some(cluster), Some(provider)) => Ok(Self {
                cluster,
                rim,
                metrics,
                store,
                ledger,
                unnamed,
                names,
                provider,
                quarantine,
                staleness,
                pools,
            }),
            (mistakes, ..) => Err(Box::new(Rejected { mistakes: mistakes.unwrap_or_default(), rim })),
        }
    }
}

impl Rejected {
    fn of(mut self: Box<Self>, path: &Path) -> Box<Self> {
        self.mistakes.path = Some(path.to_owned());
        self
    }
}

impl Metrics {
    fn read(mut section: Section<'_>) -> Self {
        let listen = section.read("listen", values::socket_address);
        section.finish();
        Self { listen }
    }
}
