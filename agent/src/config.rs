//! What the operator decides, as written in `/etc/berth/berth.toml`.
//!
//! Every option is documented here and stands in `deploy/berth.toml` with its default; a test holds
//! the two together. Reading collects all mistakes before it gives up, each with its line and what to
//! write instead.

mod ledger;
mod mistake;
mod reader;
mod store;
#[cfg(test)]
mod tests;
mod values;

pub use ledger::LedgerConfig;
pub use mistake::{Mistake, Mistakes};
pub use store::StoreKind;

use crate::capacity::{QUARANTINE_DEFAULT, STALENESS_DEFAULT};
use ipnetwork::IpNetwork;
use reader::{Document, Section};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
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

/// Where things are on this host. This much is known even if the rest of the file is wrong, so that
/// the agent can still answer on its sockets and take releases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rim {
    /// `[host]`.
    pub host: HostConfig,
    /// `[docker]`.
    pub docker: DockerConfig,
    /// `[api]`.
    pub api: ApiConfig,
}

/// `[host]`: this host's own directories and files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostConfig {
    /// `state_dir`: journals, the embedded store and the last known identity. It must survive a
    /// reboot.
    pub state_dir: PathBuf,
    /// `run_dir`: what need not survive a reboot.
    pub run_dir: PathBuf,
    /// `boot_id_file`: a file whose text is another one after each boot.
    pub boot_id_file: PathBuf,
}

impl HostConfig {
    /// What Docker told us and will not tell again.
    pub fn docker_journal(&self) -> PathBuf {
        self.state_dir.join("docker.journal")
    }

    /// What this host knows of its addresses.
    pub fn allocator_journal(&self) -> PathBuf {
        self.state_dir.join("allocator.journal")
    }

    /// Who had which address, as far as it has left the store.
    pub fn ledger_dir(&self) -> PathBuf {
        self.state_dir.join("ledger")
    }

    /// The embedded store.
    pub fn store_file(&self) -> PathBuf {
        self.state_dir.join("store.redb")
    }
}

/// `[docker]`: how dockerd and the agent find each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DockerConfig {
    /// `plugin_socket`: where dockerd calls us. The file's name is the driver's name.
    pub plugin_socket: PathBuf,
    /// `api_socket`: where we ask dockerd.
    pub api_socket: PathBuf,
}

/// `[api]`: the local API that `berth` asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiConfig {
    /// `socket`: where it listens.
    pub socket: PathBuf,
    /// `group`: members of this group may read; only root may write. A group that does not exist
    /// leaves reading to root.
    pub group: String,
}

/// `[metrics]`: figures for Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// `listen`: address and port of `/metrics`; absent: no endpoint.
    pub listen: Option<SocketAddr>,
}

/// `[provider]`: whose subnets are handed out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProviderConfig {
    /// `kind = "softlayer"`: SoftLayer portable subnets.
    SoftLayer {
        /// `endpoint`: the REST API; ends with `/`.
        endpoint: String,
        /// `credentials`: a TOML file with `username` and `api_key`, owned by root, mode 0600.
        credentials: PathBuf,
    },
    /// `kind = "static"`: the subnets named under `[provider.static]`, with no cloud API.
    Static(StaticConfig),
}

/// `[provider.static]`: subnets that the operator names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticConfig {
    /// `zone`, required: a name for the L2 domain; hosts with the same name must share it.
    pub zone: String,
    /// `interface`, required: the local interface on that L2 domain.
    pub interface: String,
    /// `[[provider.static.subnet]]`, at least one.
    pub subnets: Vec<StaticSubnet>,
}

/// `[[provider.static.subnet]]`: one subnet that the operator names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaticSubnet {
    /// `cidr`, required.
    pub cidr: IpNetwork,
    /// `gateway`, required: the router's address in it.
    pub gateway: IpAddr,
    /// `exclude`: addresses and ranges in it that others use.
    pub exclude: Vec<IpNetwork>,
}

/// `[[pool]]`: what users ask addresses from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolConfig {
    /// `name`, required, one of its kind: letters, digits, `-`, `_` and `.`. Networks that name no
    /// pool use the one named `default`.
    pub name: String,
    /// `network`: the provider's network the subnets are on.
    pub network: Network,
    /// `prefix`: size of the subnets that are ordered, from /24 to /30.
    pub prefix: u8,
    /// `subnets_max`, required: the spending limit. At most so many subnets in a zone, ordered and
    /// adopted ones together; 0 orders none.
    pub subnets_max: u32,
    /// `free_min`: a subnet is ordered when fewer addresses than this are free.
    pub free_min: u32,
    /// `cooling_secs`: how long an address rests after its release, 0 to 86400. Neighbours may keep
    /// an old entry for that long.
    pub cooling: Duration,
    /// `exclude`: addresses and ranges that are never handed out.
    pub exclude: Vec<IpNetwork>,
}

/// `network` of a pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// `"private"`: the provider's private network.
    #[default]
    Private,
    /// `"public"`: reachable from the internet.
    Public,
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
        let rim = Rim {
            host: HostConfig::read(root.section("host")),
            docker: DockerConfig::read(root.section("docker")),
            api: ApiConfig::read(root.section("api")),
        };
        let metrics = Metrics::read(root.section("metrics"));
        let store = StoreKind::read(root.section("store"), cluster.as_deref());
        let ledger = LedgerConfig::read(root.section("ledger"));
        let provider = ProviderConfig::read(root.section("provider"));
        let pools = PoolConfig::read_all(&mut root);
        root.finish();

        match (document.mistakes(), cluster, provider) {
            (None, Some(cluster), Some(provider)) => {
                Ok(Self { cluster, rim, metrics, store, ledger, provider, quarantine, staleness, pools })
            }
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

impl HostConfig {
    fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let host = Self {
            state_dir: section.read("state_dir", values::absolute_path).unwrap_or(defaults.state_dir),
            run_dir: section.read("run_dir", values::absolute_path).unwrap_or(defaults.run_dir),
            boot_id_file: section
                .read("boot_id_file", values::absolute_path)
                .unwrap_or(defaults.boot_id_file),
        };
        section.finish();
        host
    }
}

impl Default for HostConfig {
    fn default() -> Self {
        Self {
            state_dir: "/var/lib/berth".into(),
            run_dir: "/run/berth".into(),
            boot_id_file: "/proc/sys/kernel/random/boot_id".into(),
        }
    }
}

impl DockerConfig {
    fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let docker = Self {
            plugin_socket: section
                .read("plugin_socket", values::socket_path)
                .unwrap_or(defaults.plugin_socket),
            api_socket: section.read("api_socket", values::socket_path).unwrap_or(defaults.api_socket),
        };
        section.finish();
        docker
    }
}

impl Default for DockerConfig {
    fn default() -> Self {
        Self {
            plugin_socket: "/run/docker/plugins/berth.sock".into(),
            api_socket: "/var/run/docker.sock".into(),
        }
    }
}

impl ApiConfig {
    fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let api = Self {
            socket: section.read("socket", values::socket_path).unwrap_or(defaults.socket),
            group: section.read("group", values::name).unwrap_or(defaults.group),
        };
        section.finish();
        api
    }
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self { socket: "/run/berth/berth.sock".into(), group: "berth".into() }
    }
}

impl Metrics {
    fn read(mut section: Section<'_>) -> Self {
        let listen = section.read("listen", values::socket_address);
        section.finish();
        Self { listen }
    }
}

/// SoftLayer's REST API, reachable from the provider's private network only.
const SOFTLAYER_ENDPOINT: &str = "https://api.service.softlayer.com/rest/v3.1/";

/// Where the provider's user and key are.
const CREDENTIALS: &str = "/etc/berth/softlayer.toml";

#[derive(Clone, Copy)]
enum ProviderKind {
    SoftLayer,
    Static,
}

impl ProviderConfig {
    fn read(mut section: Section<'_>) -> Option<Self> {
        let kinds = [("softlayer", ProviderKind::SoftLayer), ("static", ProviderKind::Static)];
        let kind = section.required("kind", "`kind = \"softlayer\"`", |value| values::one_of(value, &kinds));
        let endpoint = section.read("endpoint", values::endpoint);
        let credentials = section.read("credentials", values::absolute_path);
        let provider = match kind {
            Some(ProviderKind::SoftLayer) => {
                section.refuse("static", "goes with `kind = \"static\"` only", "remove it, or change `kind`");
                Some(Self::SoftLayer {
                    endpoint: endpoint.unwrap_or_else(|| SOFTLAYER_ENDPOINT.into()),
                    credentials: credentials.unwrap_or_else(|| CREDENTIALS.into()),
                })
            }
            Some(ProviderKind::Static) => StaticConfig::read(section.section("static")).map(Self::Static),
            None => {
                section.section("static").ignore();
                None
            }
        };
        section.finish();
        provider
    }
}

impl StaticConfig {
    fn read(mut section: Section<'_>) -> Option<Self> {
        let zone = section.required("zone", "`zone = \"rack1\"`", values::name);
        let interface = section.required("interface", "`interface = \"eth0\"`", values::interface_name);
        let example = "[[provider.static.subnet]] with `cidr` and `gateway`";
        let subnets =
            section.sections("subnet", example).into_iter().filter_map(StaticSubnet::read).collect();
        section.finish();
        Some(Self { zone: zone?, interface: interface?, subnets })
    }
}

impl StaticSubnet {
    fn read(mut section: Section<'_>) -> Option<Self> {
        let cidr = section.required("cidr", "`cidr = \"10.11.4.0/26\"`", values::subnet);
        let gateway =
            section.required("gateway", "`gateway = \"10.11.4.1\"`", |value| values::gateway_in(value, cidr));
        let exclude = section.read("exclude", values::ranges).unwrap_or_default();
        section.finish();
        Some(Self { cidr: cidr?, gateway: gateway?, exclude })
    }
}

impl PoolConfig {
    fn read_all(root: &mut Section<'_>) -> Vec<Self> {
        let mut names = Vec::new();
        let example = "[[pool]] with `name = \"default\"` and `subnets_max = 2`";
        let sections = root.sections("pool", example);
        sections.into_iter().filter_map(|section| Self::read(section, &mut names)).collect()
    }

    fn read(mut section: Section<'_>, names: &mut Vec<String>) -> Option<Self> {
        let name = section.required("name", "`name = \"default\"`", |value| values::new_name(value, names));
        let networks = [("private", Network::Private), ("public", Network::Public)];
        let network = section.read("network", |value| values::one_of(value, &networks)).unwrap_or_default();
        let prefix = section.read("prefix", |value| values::integer(value, 24..=30)).unwrap_or(26);
        let subnets_max = section.required(
            "subnets_max",
            "`subnets_max = 2`, the spending limit: at most so many subnets in a zone",
            |value| values::integer(value, 0..=1024),
        );
        // A pool that always wants more than a fresh subnet has would order up to its limit at once.
        let fresh = 2u32.pow(32 - u32::from(prefix)) - 3;
        let free_min =
            section.read("free_min", |value| values::integer(value, 0..=fresh)).unwrap_or(8.min(fresh));
        let cooling_secs =
            section.read("cooling_secs", |value| values::integer(value, 0..=86_400)).unwrap_or(30);
        let exclude = section.read("exclude", values::ranges).unwrap_or_default();
        section.finish();
        Some(Self {
            name: name?,
            network,
            prefix,
            subnets_max: subnets_max?,
            free_min,
            cooling: Duration::from_secs(cooling_secs),
            exclude,
        })
    }
}
