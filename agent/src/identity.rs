//! Who this machine is, on the provider's word; or on the word it gave last, if it is silent.
//!
//! What the provider said is kept in the state directory, so that an agent that starts while the
//! provider is away serves what it holds.

use ::api::Source;
use hostnet::IfName;
use ipam::{BootId, HostId, Zone};
use provider::{Identity, MacAddress, Nic, Provider, ProviderError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file below the state directory.
const FILE: &str = "identity.json";

/// The version of the file's form.
const VERSION: u32 = 1;

/// Who this machine is, and on whose word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// What the provider says, or said last.
    pub identity: Identity,
    /// [`Source::Cloud`], or [`Source::Journal`] for what it said last.
    pub from: Source,
}

/// What is wrong with this machine's own files.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The network interfaces cannot be listed.
    #[error("cannot list the network interfaces in {}", path.display())]
    Interfaces {
        /// Where the kernel lists them.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The boot's id cannot be read.
    #[error("cannot read the boot id from {}; hint: name another file as boot_id_file in [host]", path.display())]
    Boot {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

#[derive(Serialize, Deserialize)]
struct Remembered {
    version: u32,
    identity: Identity,
}

/// Asks the provider who this machine is, and remembers the answer.
pub async fn ask(cloud: &impl Provider, nics: &[Nic], state_dir: &Path) -> Result<Known, ProviderError> {
    let identity = cloud.whoami(nics).await?;
    if let Err(error) = remember(&identity, state_dir) {
        tracing::warn!(%error, "cannot remember who this machine is; a start without the provider will not know");
    }
    Ok(Known { identity, from: Source::Cloud })
}

/// What the provider said last, if anything.
pub fn remembered(state_dir: &Path) -> Option<Known> {
    let path = state_dir.join(FILE);
    let text = fs::read(&path).ok()?;
    match serde_json::from_slice::<Remembered>(&text) {
        Ok(Remembered { version: VERSION, identity }) => Some(Known { identity, from: Source::Journal }),
        Ok(Remembered { version, .. }) => {
            tracing::warn!(path = %path.display(), version, "written by another version of berthd; not used");
            None
        }
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "not what berthd wrote; not used");
            None
        }
    }
}

/// Replaces the file at once: a crash leaves the old content or the new.
fn remember(identity: &Identity, state_dir: &Path) -> io::Result<()> {
    let path = state_dir.join(FILE);
    let beside = path.with_extension("new");
    let remembered = Remembered { version: VERSION, identity: identity.clone() };
    let file = fs::File::create(&beside)?;
    serde_json::to_writer_pretty(&file, &remembered)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

impl Known {
    /// Who this host is in its cluster and in this boot.
    pub fn host(&self, boot: BootId) -> ipam::Identity {
        let zones = self.identity.attachments.iter().map(|attachment| zone(&attachment.zone));
        ipam::Identity {
            host: HostId(self.identity.instance.to_string()),
            instance: ipam::InstanceId(self.identity.instance.to_string()),
            boot,
            zones: zones.collect(),
        }
    }

    /// This machine's interface in each zone.
    pub fn interfaces(&self, nics: &[Nic]) -> BTreeMap<Zone, IfName> {
        let interface = |mac: MacAddress| nics.iter().find(|nic| nic.mac == mac)?.name.parse().ok();
        let attachments = self.identity.attachments.iter();
        attachments.filter_map(|it| Some((zone(&it.zone), interface(it.mac)?))).collect()
    }
}

fn zone(zone: &provider::ZoneId) -> Zone {
    Zone(zone.to_string())
}

/// This machine's own interfaces, as the kernel lists them in sysfs. Those without a hardware address,
/// and those that berth or a container runtime made, do not matter: the provider knows none of them.
pub fn nics() -> Result<Vec<Nic>, IdentityError> {
    let path = Path::new("/sys/class/net");
    let unreadable = |source| IdentityError::Interfaces { path: path.to_owned(), source };
    let entries = fs::read_dir(path).map_err(unreadable)?.collect::<io::Result<Vec<_>>>().map_err(unreadable)?;
    let nic = |entry: fs::DirEntry| {
        let mac = fs::read_to_string(entry.path().join("address")).ok()?.trim().parse().ok()?;
        Some(Nic { name: entry.file_name().into_string().ok()?, mac })
    };
    Ok(entries.into_iter().filter_map(nic).collect())
}

/// This boot's id.
pub fn boot(path: &Path) -> Result<BootId, IdentityError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(BootId(text.trim().to_owned())),
        Err(source) => Err(IdentityError::Boot { path: path.to_owned(), source }),
    }
}
