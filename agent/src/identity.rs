//! Who this machine is, on the provider's word; or on the word it gave last, if it is silent.
//!
//! What the provider said is kept in the state directory, so that an agent that starts while the
//! provider is away serves what it holds.

use crate::whoami::{Attached, INTERFACES, Whoami, WhoamiError, attached, whoami};
use ::api::Source;
use hostnet::IfName;
use ipam::{BootId, HostId, Zone};
use provider::{Identity, InstanceId, Network, Provider};
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
    /// This machine's interface in each zone.
    pub interfaces: BTreeMap<Zone, IfName>,
    /// Its interface in zones that it was in before: what still runs there is left as it is.
    pub former: BTreeMap<Zone, IfName>,
    /// [`Source::Cloud`], or [`Source::Journal`] for what it said last.
    pub from: Source,
}

/// Why it is not known who this machine is, or cannot go on as who it is.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// The provider did not say.
    #[error(transparent)]
    Whoami(#[from] WhoamiError),
    /// What this state directory tells is another machine's.
    #[error(
        "the state in {} is that of host {of}, and this machine is {here}: its disk is a copy of that host's; \
         remove the copied containers and Docker networks, empty the directory, and start berthd again",
        state_dir.display()
    )]
    Copied {
        /// Where the state is.
        state_dir: PathBuf,
        /// Whose it is.
        of: InstanceId,
        /// Who this machine is.
        here: InstanceId,
    },
    /// The provider is silent, and nothing shows that this machine is the one it last spoke of.
    #[error(
        "the provider is silent, and none of the MAC addresses of host {of}, whose state is in {}, is here: \
         without the provider's word this may be a copy of its disk",
        state_dir.display()
    )]
    Unproven {
        /// Where the state is.
        state_dir: PathBuf,
        /// Whose it is.
        of: InstanceId,
    },
}

/// The boot's id cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the boot id from {}; hint: name another file as boot_id_file in [host]", path.display())]
pub struct BootError {
    /// The file.
    path: PathBuf,
    /// Why not.
    #[source]
    source: io::Error,
}

/// The file's form.
#[derive(Serialize, Deserialize)]
struct Remembered {
    version: u32,
    identity: Identity,
    interfaces: BTreeMap<Zone, IfName>,
    #[serde(default)]
    former: BTreeMap<Zone, IfName>,
}

/// Asks the provider who this machine is, and remembers the answer.
///
/// # Errors
/// [`IdentityError::Copied`] where the state directory is another machine's: two hosts with one journal would
/// both believe that they hold what it tells of.
pub async fn ask(cloud: &impl Provider, state_dir: &Path) -> Result<Known, IdentityError> {
    let Whoami { identity, attached } = whoami(cloud, Path::new(INTERFACES)).await?;
    let before = remembered(state_dir);
    if let Some(before) = &before
        && before.identity.instance != identity.instance
    {
        let (of, here) = (before.identity.instance.clone(), identity.instance);
        return Err(IdentityError::Copied { state_dir: state_dir.to_owned(), of, here });
    }
    let interface = |at: &Attached| Some((zone(&at.attachment.zone), IfName::parse(&at.interface).ok()?));
    let interfaces: BTreeMap<Zone, IfName> = attached.iter().filter_map(interface).collect();
    let is_here = |name: &IfName| Path::new(INTERFACES).join(name.as_str()).exists();
    let former = before.map(|before| left(before, &interfaces, is_here)).unwrap_or_default();
    let known = Known { identity, interfaces, former, from: Source::Cloud };
    if let Err(error) = remember(&known, state_dir) {
        tracing::warn!(%error, "cannot remember who this machine is; a start without the provider will not know");
    }
    Ok(known)
}

/// The zones that a machine was in before and is not in now, each with its interface, if that is still here.
fn left(
    before: Known,
    now: &BTreeMap<Zone, IfName>,
    is_here: impl Fn(&IfName) -> bool,
) -> BTreeMap<Zone, IfName> {
    let zones = before.former.into_iter().chain(before.interfaces);
    zones.filter(|(zone, name)| !now.contains_key(zone) && is_here(name)).collect()
}

/// What the provider said last, if anything, and if this machine has an interface of that host's.
///
/// # Errors
/// [`IdentityError::Unproven`] where it has none.
pub fn remembered_here(state_dir: &Path) -> Result<Option<Known>, IdentityError> {
    let Some(known) = remembered(state_dir) else { return Ok(None) };
    if attached(&known.identity, Path::new(INTERFACES))?.is_empty() {
        let of = known.identity.instance;
        return Err(IdentityError::Unproven { state_dir: state_dir.to_owned(), of });
    }
    Ok(Some(known))
}

/// What the provider said last, if anything.
pub fn remembered(state_dir: &Path) -> Option<Known> {
    let path = state_dir.join(FILE);
    let text = fs::read(&path).ok()?;
    match serde_json::from_slice::<Remembered>(&text) {
        Ok(Remembered { version: VERSION, identity, interfaces, former }) => {
            Some(Known { identity, interfaces, former, from: Source::Journal })
        }
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
fn remember(known: &Known, state_dir: &Path) -> io::Result<()> {
    let path = state_dir.join(FILE);
    let beside = path.with_extension("new");
    let Known { identity, interfaces, former, .. } = known.clone();
    let remembered = Remembered { version: VERSION, identity, interfaces, former };
    let file = fs::File::create(&beside)?;
    serde_json::to_writer_pretty(&file, &remembered)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

impl Known {
    /// This machine's interfaces on private networks.
    pub fn private_interfaces(&self) -> Vec<IfName> {
        let private = self.identity.attachments.iter().filter(|it| it.network == Network::Private);
        private.filter_map(|it| self.interfaces.get(&zone(&it.zone)).cloned()).collect()
    }

    /// The interface of each zone that this machine is in, or was.
    pub fn all_interfaces(&self) -> BTreeMap<Zone, IfName> {
        let former = self.former.iter().chain(&self.interfaces);
        former.map(|(zone, name)| (zone.clone(), name.clone())).collect()
    }

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
}

fn zone(zone: &provider::ZoneId) -> Zone {
    Zone(zone.to_string())
}

/// This boot's id.
pub fn boot(path: &Path) -> Result<BootId, BootError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(BootId(text.trim().to_owned())),
        Err(source) => Err(BootError { path: path.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use provider::InstanceKind;

    fn interfaces(of: &[(&str, &str)]) -> BTreeMap<Zone, IfName> {
        of.iter().map(|(zone, name)| (Zone::from(*zone), IfName::parse(name).unwrap())).collect()
    }

    fn known(now: &[(&str, &str)], former: &[(&str, &str)]) -> Known {
        let identity = Identity {
            instance: InstanceId::new("virtual-1"),
            kind: InstanceKind::Virtual,
            hostname: "h1".into(),
            datacenter: "dal10".into(),
            attachments: vec![],
        };
        Known { identity, interfaces: interfaces(now), former: interfaces(former), from: Source::Cloud }
    }

    #[test]
    fn a_machine_in_another_zone_keeps_the_interface_of_the_one_that_it_left_until_it_is_back() {
        let now = interfaces(&[("b", "eth0")]);
        let moved = left(known(&[("a", "eth0")], &[]), &now, |_| true);
        assert_eq!(moved, interfaces(&[("a", "eth0")]));
        let again = left(known(&[("b", "eth0")], &[("a", "eth0")]), &now, |_| true);
        assert_eq!(again, moved, "a restart forgets nothing");
        let all = Known { former: moved.clone(), ..known(&[("b", "eth0")], &[]) }.all_interfaces();
        assert_eq!(all, interfaces(&[("a", "eth0"), ("b", "eth0")]));
        let back = left(known(&[("b", "eth0")], &[("a", "eth0")]), &interfaces(&[("a", "eth0")]), |_| true);
        assert_eq!(back, interfaces(&[("b", "eth0")]));
        let unplugged = left(known(&[("a", "eth1")], &[]), &now, |name| name.as_str() != "eth1");
        assert_eq!(unplugged, BTreeMap::new());
    }

    #[test]
    fn what_was_remembered_before_zones_could_be_left_is_still_understood() {
        let state = tempfile::TempDir::new().unwrap();
        remember(&known(&[("a", "eth0")], &[]), state.path()).unwrap();
        let path = state.path().join(FILE);
        let mut value: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        value.as_object_mut().unwrap().remove("former");
        fs::write(&path, value.to_string()).unwrap();
        assert_eq!(remembered(state.path()).unwrap().interfaces, interfaces(&[("a", "eth0")]));
    }
}
