//! Which of this host's interfaces is attached to which zone: the provider's word bound to what is here.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use provider::{Attachment, Identity, MacAddress, Nic, Provider, ProviderError};

/// Where the kernel shows its interfaces.
pub const INTERFACES: &str = "/sys/class/net";

/// This host, as its provider knows it, and the interface of each attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Whoami {
    /// The provider's word.
    pub identity: Identity,
    /// Its attachments, each with the interface that is here. Never empty.
    pub attached: Vec<Attached>,
}

/// An attachment and its interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// The zone.
    pub attachment: Attachment,
    /// The interface's name: `eth0`, `bond0`.
    pub interface: String,
}

/// Why this host does not know who it is.
#[derive(Debug, thiserror::Error)]
pub enum WhoamiError {
    /// The kernel's interfaces cannot be listed.
    #[error("cannot list the network interfaces in {}", path.display())]
    Interfaces {
        /// Where they are shown.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The provider could not be asked.
    #[error("cannot learn from the provider who this host is")]
    Provider(#[from] ProviderError),
    /// The provider knows the machine, but none of its interfaces is here.
    #[error(
        "{instance} has no interface that the provider knows; here are {here}: check that the private interface is up \
         and has the MAC address that the provider shows"
    )]
    Unattached {
        /// The machine.
        instance: String,
        /// The interfaces that are here.
        here: String,
    },
}

/// Asks the provider who this host is, and finds the interfaces it speaks of under `interfaces`.
///
/// # Errors
/// When the provider cannot be asked, or knows none of the interfaces.
pub async fn whoami(provider: &impl Provider, interfaces: &Path) -> Result<Whoami, WhoamiError> {
    let here =
        list(interfaces).map_err(|source| WhoamiError::Interfaces { path: interfaces.to_owned(), source })?;
    let nics: Vec<Nic> = here.iter().map(|interface| interface.nic.clone()).collect();
    let identity = provider.whoami(&nics).await?;
    let attached: Vec<Attached> =
        identity.attachments.iter().filter_map(|known| bind(known, &here)).collect();
    if attached.is_empty() {
        let instance = identity.instance.to_string();
        let here = nics.iter().map(|nic| format!("{} {}", nic.name, nic.mac)).collect::<Vec<_>>().join(", ");
        return Err(WhoamiError::Unattached { instance, here });
    }
    Ok(Whoami { identity, attached })
}

/// The attachments of a machine whose interfaces are here, under `interfaces`.
///
/// # Errors
/// The kernel's interfaces cannot be listed.
pub fn attached(identity: &Identity, interfaces: &Path) -> Result<Vec<Attached>, WhoamiError> {
    let here =
        list(interfaces).map_err(|source| WhoamiError::Interfaces { path: interfaces.to_owned(), source })?;
    Ok(identity.attachments.iter().filter_map(|known| bind(known, &here)).collect())
}

/// An interface as the kernel shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Interface {
    nic: Nic,
    /// A port of a bond or bridge: packets come and go through its master.
    enslaved: bool,
    /// Made in software on top of another, whose MAC address it may share: a VLAN, a bridge, macvlan.
    stacked: bool,
}

/// The interface of an attachment.
///
/// A bond has the MAC address of one of its ports, a VLAN interface that of its parent: of those that share the
/// address, the one is meant that carries the untagged packets.
fn bind(attachment: &Attachment, here: &[Interface]) -> Option<Attached> {
    let same = here.iter().filter(|interface| interface.nic.mac == attachment.mac);
    let carrier =
        same.min_by_key(|interface| (interface.enslaved, interface.stacked, &interface.nic.name))?;
    Some(Attached { attachment: attachment.clone(), interface: carrier.nic.name.clone() })
}

fn list(interfaces: &Path) -> io::Result<Vec<Interface>> {
    let mut here = Vec::new();
    for entry in fs::read_dir(interfaces)? {
        let entry = entry?;
        let path = entry.path();
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        // An interface can go away between listing and reading.
        let Ok(mac) = fs::read_to_string(path.join("address")) else { continue };
        // Loopback has no MAC address, a tunnel has another form.
        let Ok(mac) = mac.trim().parse::<MacAddress>() else { continue };
        if mac.octets() == [0; 6] {
            continue;
        }
        let enslaved = path.join("master").exists();
        let stacked = is_stacked(&path);
        here.push(Interface { nic: Nic { name, mac }, enslaved, stacked });
    }
    here.sort_by(|one, other| one.nic.name.cmp(&other.nic.name));
    Ok(here)
}

/// Whether an interface lies on top of another: it shows a `lower_…` link to each, and a bond too, which carries the
/// packets of its ports.
fn is_stacked(path: &Path) -> bool {
    let lower = fs::read_dir(path).into_iter().flatten().flatten();
    let mut names = lower.map(|entry| entry.file_name());
    names.any(|name| name.to_string_lossy().starts_with("lower_")) && !path.join("bonding").exists()
}

#[cfg(test)]
mod tests {
    use provider::{Network, StaticSubnets, StaticZone, ZoneId};
    use tempfile::TempDir;

    use super::*;

    const MAC: &str = "06:00:5e:00:53:01";

    /// A folder such as the kernel's, with these interfaces and the files in each.
    fn shown(interfaces: &[(&str, &str, &[&str])]) -> TempDir {
        let folder = TempDir::new().unwrap();
        for (name, mac, marks) in interfaces {
            let path = folder.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("address"), format!("{mac}\n")).unwrap();
            for mark in *marks {
                fs::write(path.join(mark), "").unwrap();
            }
        }
        folder
    }

    fn bound(interfaces: &[(&str, &str, &[&str])]) -> Option<String> {
        let here = list(shown(interfaces).path()).unwrap();
        let attachment = Attachment {
            zone: ZoneId::new("7"),
            zone_name: "dal10.bcr01.777".into(),
            mac: MAC.parse().unwrap(),
            vlan_number: Some(777),
            router: None,
            network: Network::Private,
        };
        bind(&attachment, &here).map(|attached| attached.interface)
    }

    #[test]
    fn an_attachment_is_bound_to_the_interface_with_its_mac() {
        let eth1 = ("eth1", "06:00:5e:00:53:02", &[][..]);
        assert_eq!(bound(&[("lo", "00:00:00:00:00:00", &[]), eth1, ("eth0", MAC, &[])]), Some("eth0".into()));
        assert_eq!(bound(&[eth1]), None);
    }

    #[test]
    fn of_a_bond_and_its_ports_the_bond_is_meant() {
        let ports = [("eth0", MAC, &["master"][..]), ("eth2", MAC, &["master"][..])];
        let bond = ("bond0", MAC, &["bonding", "lower_eth0", "lower_eth2"][..]);
        assert_eq!(bound(&[ports[0], bond, ports[1]]), Some("bond0".into()));
    }

    #[test]
    fn of_an_interface_and_a_vlan_on_it_the_interface_is_meant() {
        assert_eq!(bound(&[("aaa.100", MAC, &["lower_eth0"]), ("eth0", MAC, &[])]), Some("eth0".into()));
    }

    #[tokio::test]
    async fn a_host_that_is_attached_to_nothing_says_which_interfaces_it_has() {
        let state = TempDir::new().unwrap();
        let zone = StaticZone {
            zone: ZoneId::new("lab"),
            interface: "eth7".into(),
            datacenter: "home".into(),
            network: Network::Private,
            subnets: vec![],
        };
        let provider = StaticSubnets::open("4f0c", "host1", vec![zone], state.path().join("tags")).unwrap();
        let here = shown(&[("eth0", MAC, &[])]);
        let error = whoami(&provider, here.path()).await.unwrap_err().to_string();
        assert!(error.contains("eth0 06:00:5e:00:53:01"), "{error}");
    }

    #[test]
    fn this_machines_own_interfaces_can_be_listed() {
        assert!(list(Path::new(INTERFACES)).is_ok());
    }
}
