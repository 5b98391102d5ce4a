//! Where things are on this host: `[host]`, `[docker]` and `[api]`.

use super::reader::Section;
use super::values;
use std::path::PathBuf;

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

impl Rim {
    pub(super) fn read(root: &mut Section<'_>) -> Self {
        Self {
            host: HostConfig::read(root.section("host")),
            docker: DockerConfig::read(root.section("docker")),
            api: ApiConfig::read(root.section("api")),
        }
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
