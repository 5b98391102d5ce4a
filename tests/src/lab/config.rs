//! berthd's configuration as the lab writes it.

use std::fmt::Write;
use std::net::IpAddr;
use std::path::PathBuf;

use ipnetwork::IpNetwork;

/// The part of berthd's configuration that tests vary.
#[derive(Debug, Clone)]
pub struct BerthConfig {
    /// The cluster's name; ordered subnets are tagged with it.
    pub cluster: String,
    /// Where the cluster's state lives.
    pub store: StoreChoice,
    /// Where subnets come from.
    pub provider: ProviderChoice,
    /// The pools; the first is usually `default`.
    pub pools: Vec<Pool>,
    /// How long addresses rest in quarantine, if not as long as by default.
    pub quarantine_secs: Option<u32>,
    /// R, if it is not the default.
    pub staleness_secs: Option<u32>,
    /// Further TOML, appended as it is.
    pub extra: String,
}

/// Where the cluster's state lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreChoice {
    /// A file of the host's own.
    Embedded,
    /// The lab's etcd, which all hosts share.
    Etcd,
}

/// Where subnets come from.
#[derive(Debug, Clone)]
pub enum ProviderChoice {
    /// The lab's simulated cloud, through its SoftLayer API.
    SoftLayer,
    /// Subnets named here, no cloud API.
    Static {
        /// The zone's name.
        zone: String,
        /// The interface on the VLAN.
        interface: String,
        /// The subnets.
        subnets: Vec<StaticSubnet>,
    },
}

/// A subnet that the operator names.
#[derive(Debug, Clone)]
pub struct StaticSubnet {
    /// Its prefix.
    pub cidr: IpNetwork,
    /// The router's address in it.
    pub gateway: IpAddr,
    /// Addresses never handed out.
    pub exclude: Vec<IpAddr>,
}

/// One `[[pool]]`.
#[derive(Debug, Clone)]
pub struct Pool {
    /// Its name.
    pub name: String,
    /// Whether its subnets are on the public network.
    pub public: bool,
    /// Size of an ordered subnet, as a prefix length.
    pub prefix: u8,
    /// Spending limit, in subnets.
    pub subnets_max: u32,
    /// Order when fewer addresses are free.
    pub free_min: u32,
    /// How long a released address rests.
    pub cooling_secs: u32,
}

impl Default for BerthConfig {
    fn default() -> BerthConfig {
        BerthConfig {
            cluster: "lab".to_owned(),
            store: StoreChoice::Embedded,
            provider: ProviderChoice::SoftLayer,
            pools: vec![Pool::default()],
            quarantine_secs: None,
            staleness_secs: None,
            extra: String::new(),
        }
    }
}

impl Default for Pool {
    fn default() -> Pool {
        Pool {
            name: "default".to_owned(),
            public: false,
            prefix: 26,
            subnets_max: 2,
            free_min: 8,
            cooling_secs: 5,
        }
    }
}

/// What a host finds round itself, and its configuration names.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    /// Where it keeps its state.
    pub(super) dir: PathBuf,
    /// The cloud's API.
    pub(super) cloud: String,
    /// The members of etcd.
    pub(super) etcd: Vec<String>,
}

impl BerthConfig {
    /// The text of `berth.toml` for a host with these surroundings.
    pub(super) fn render(&self, around: &Surroundings) -> String {
        let dir = around.dir.display();
        let mut text = format!(
            r#"cluster = "{cluster}"
{times}
[host]
state_dir = "{dir}/state"
run_dir = "/run/berth"
boot_id_file = "{dir}/boot-id"

[docker]
plugin_socket = "/run/docker/plugins/berth.sock"
api_socket = "/run/docker.sock"

[api]
socket = "/run/berth/berth.sock"

[metrics]
listen = "127.0.0.1:9717"

"#,
            cluster = self.cluster,
            times = self.times(),
        );
        self.render_store(&mut text, &around.etcd);
        self.render_provider(&mut text, &around.cloud);
        for pool in &self.pools {
            pool.render(&mut text);
        }
        text + &self.extra
    }

    fn times(&self) -> String {
        let times = [("quarantine_secs", self.quarantine_secs), ("staleness_secs", self.staleness_secs)];
        times.iter().filter_map(|(name, secs)| Some(format!("{name} = {}\n", (*secs)?))).collect()
    }

    fn render_store(&self, text: &mut String, etcd: &[String]) {
        // Writing to a String cannot fail.
        let _ = match self.store {
            StoreChoice::Embedded => write!(text, "[store]\nkind = \"embedded\"\n\n"),
            StoreChoice::Etcd => write!(text, "[store]\nkind = \"etcd\"\nendpoints = {etcd:?}\n\n"),
        };
    }

    fn render_provider(&self, text: &mut String, endpoint: &str) {
        // Writing to a String cannot fail.
        let _ = match &self.provider {
            ProviderChoice::SoftLayer => write!(
                text,
                "[provider]\nkind = \"softlayer\"\nendpoint = \"{endpoint}\"\n\
                 credentials = \"/etc/berth/softlayer.toml\"\n"
            ),
            ProviderChoice::Static { zone, interface, subnets } => {
                let head = format!(
                    "[provider]\nkind = \"static\"\n\n\
                     [provider.static]\nzone = \"{zone}\"\ninterface = \"{interface}\"\n"
                );
                write!(text, "{head}{}", subnets.iter().map(StaticSubnet::render).collect::<String>())
            }
        };
    }
}

impl StaticSubnet {
    fn render(&self) -> String {
        let exclude: Vec<String> = self.exclude.iter().map(|address| format!("\"{address}\"")).collect();
        format!(
            "\n[[provider.static.subnet]]\ncidr = \"{}\"\ngateway = \"{}\"\nexclude = [{}]\n",
            self.cidr,
            self.gateway,
            exclude.join(", ")
        )
    }
}

impl Pool {
    fn render(&self, text: &mut String) {
        let network = if self.public { "public" } else { "private" };
        let _ = write!(
            text,
            "\n[[pool]]\nname = \"{}\"\nnetwork = \"{network}\"\nprefix = {}\nsubnets_max = {}\n\
             free_min = {}\ncooling_secs = {}\n",
            self.name, self.prefix, self.subnets_max, self.free_min, self.cooling_secs
        );
    }
}
