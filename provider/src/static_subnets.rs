//! Subnets that the operator names: no cloud, no orders.
//!
//! For VLANs of one's own. The operator's word stands for the provider's: the subnets are routed to the interface
//! they are named for. Tags are kept in a file, so that a subnet once opened is known as such when the store is lost.

use std::{
    collections::BTreeMap,
    fs, io,
    net::IpAddr,
    path::PathBuf,
    sync::{Mutex, MutexGuard, PoisonError},
};

use ipnetwork::IpNetwork;

use crate::{
    Attachment, CloudAddress, CloudSubnet, FoundOrder, HostState, Identity, InstanceId, InstanceKind,
    Network, Nic, OrderId, OrderIntent, OrderPlaced, OrderRequest, OrderStatus, Provider, ProviderError,
    Quote, SetAside, SubnetId, Tag, TagEdit, ZoneId,
};

const NAME: &str = "static";
/// Addresses of a subnet that exclusions are looked for in: an IPv4 /16, and the beginning of an IPv6 subnet.
const ADDRESSES_MAX: usize = 1 << 16;

/// Subnets named by the operator.
#[derive(Debug)]
pub struct StaticSubnets {
    machine: String,
    hostname: String,
    zones: Vec<StaticZone>,
    tags_file: PathBuf,
    tags: Mutex<BTreeMap<SubnetId, Vec<Tag>>>,
}

/// An interface of this machine and the subnets that are routed to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticZone {
    /// The zone's name; the same on every machine of the L2 domain.
    pub zone: ZoneId,
    /// The interface that is attached to it: `eth0`, `eth0.100`.
    pub interface: String,
    /// The datacenter it lies in.
    pub datacenter: String,
    /// Whether its addresses are private or public.
    pub network: Network,
    /// Its subnets.
    pub subnets: Vec<StaticSubnet>,
}

/// One subnet, in the operator's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StaticSubnet {
    /// Its addresses.
    pub cidr: IpNetwork,
    /// The router in it.
    pub gateway: Option<IpAddr>,
    /// Addresses and ranges that are used by others.
    pub exclude: Vec<IpNetwork>,
    /// The tags it begins with: `berth:<cluster>`.
    pub tags: Vec<Tag>,
}

impl StaticSubnets {
    /// Subnets for this machine.
    ///
    /// `machine` is the content of `/etc/machine-id`. `tags_file` is read now and written at each edit; it need not
    /// exist.
    ///
    /// # Errors
    /// When the tags file is there and cannot be read.
    pub fn open(
        machine: impl Into<String>,
        hostname: impl Into<String>,
        zones: Vec<StaticZone>,
        tags_file: impl Into<PathBuf>,
    ) -> Result<Self, StaticTagsError> {
        let tags_file = tags_file.into();
        let tags = read_tags(&tags_file)?;
        let (machine, hostname) = (machine.into().trim().to_owned(), hostname.into());
        Ok(Self { machine, hostname, zones, tags_file, tags: Mutex::new(tags) })
    }
}

impl Provider for StaticSubnets {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn whoami(&self, nics: &[Nic]) -> Result<Identity, ProviderError> {
        let attached = |zone: &StaticZone| {
            let nic = nics.iter().find(|nic| nic.name == zone.interface)?;
            Some(Attachment {
                zone: zone.zone.clone(),
                zone_name: zone.zone.to_string(),
                mac: nic.mac,
                vlan_number: None,
                router: None,
                network: zone.network,
            })
        };
        let attachments: Vec<Attachment> = self.zones.iter().filter_map(attached).collect();
        // A cloned disk has the same machine id, but hardly the same MAC as well.
        let mac = attachments.first().map(|attachment| attachment.mac).or(nics.first().map(|nic| nic.mac));
        let mac = mac.map(|mac| mac.to_string().replace(':', "")).unwrap_or_default();
        Ok(Identity {
            instance: InstanceId::new(format!("machine-{}-{mac}", self.machine)),
            kind: InstanceKind::Unmanaged,
            hostname: self.hostname.clone(),
            datacenter: self.zones.first().map(|zone| zone.datacenter.clone()).unwrap_or_default(),
            attachments,
        })
    }

    async fn subnets(&self, zone: &ZoneId) -> Result<Vec<CloudSubnet>, ProviderError> {
        let tags = self.tags();
        let shown = |zone: &StaticZone, subnet: &StaticSubnet| {
            let id = subnet.id();
            CloudSubnet {
                cidr: subnet.cidr,
                gateway: subnet.gateway,
                zone: zone.zone.clone(),
                tags: tags.get(&id).unwrap_or(&subnet.tags).clone(),
                note: None,
                id,
            }
        };
        let zones = self.zones.iter().filter(|known| known.zone == *zone);
        Ok(zones.flat_map(|zone| zone.subnets.iter().map(move |subnet| shown(zone, subnet))).collect())
    }

    async fn set_aside(&self, subnet: &SubnetId) -> Result<Vec<CloudAddress>, ProviderError> {
        let subnet = self.find(subnet, "reading which addresses are set aside")?;
        let excluded = |address: &IpAddr| subnet.exclude.iter().any(|range| range.contains(*address));
        let excluded = subnet.cidr.iter().take(ADDRESSES_MAX).filter(excluded);
        let mut kept: BTreeMap<IpAddr, SetAside> =
            excluded.map(|address| (address, SetAside::Excluded)).collect();
        if let IpNetwork::V4(cidr) = subnet.cidr {
            kept.insert(cidr.network().into(), SetAside::Network);
            kept.insert(cidr.broadcast().into(), SetAside::Broadcast);
        }
        kept.extend(subnet.gateway.map(|gateway| (gateway, SetAside::Gateway)));
        Ok(kept.into_iter().map(|(address, set_aside)| CloudAddress { address, set_aside }).collect())
    }

    async fn verify_order(&self, request: &OrderRequest) -> Result<Quote, ProviderError> {
        Err(not_offered(format!("ordering {request}")))
    }

    async fn place_order(&self, intent: &OrderIntent) -> Result<OrderPlaced, ProviderError> {
        Err(not_offered(format!("ordering {}", intent.request)))
    }

    async fn order_status(&self, order: &OrderId) -> Result<OrderStatus, ProviderError> {
        Err(not_offered(format!("an order such as {order}")))
    }

    async fn find_orders(&self, _intent: &OrderIntent) -> Result<Vec<FoundOrder>, ProviderError> {
        Ok(vec![])
    }

    async fn edit_tags(&self, subnet: &SubnetId, edit: &TagEdit) -> Result<(), ProviderError> {
        let doing = "changing tags";
        let before = self.find(subnet, doing)?.tags.clone();
        let mut tags = self.tags();
        let edited = edit.applied_to(tags.get(subnet).unwrap_or(&before));
        let mut all = tags.clone();
        all.insert(subnet.clone(), edited);
        write_tags(&self.tags_file, &all).map_err(|source| ProviderError::Unavailable {
            provider: NAME,
            doing: format!("{doing} of {subnet} in {}", self.tags_file.display()),
            source: source.into(),
        })?;
        *tags = all;
        Ok(())
    }

    async fn return_subnet(&self, subnet: &SubnetId) -> Result<(), ProviderError> {
        match self.find(subnet, "returning a subnet") {
            // The operator has taken it out of the configuration: it is back with whom it came from.
            Err(ProviderError::Gone { .. }) => Ok(()),
            Err(error) => Err(error),
            Ok(subnet) => Err(not_offered(format!("the return of {}", subnet.cidr))),
        }
    }

    async fn host_state(&self, _instance: &InstanceId) -> Result<HostState, ProviderError> {
        // Nobody watches these machines: eviction needs the operator's word.
        Ok(HostState::Unknown)
    }
}

impl StaticSubnets {
    fn find(&self, wanted: &SubnetId, doing: &str) -> Result<&StaticSubnet, ProviderError> {
        let mut subnets = self.zones.iter().flat_map(|zone| &zone.subnets);
        subnets.find(|subnet| subnet.id() == *wanted).ok_or_else(|| ProviderError::Gone {
            provider: NAME,
            doing: doing.to_owned(),
            what: format!("subnet {wanted}"),
        })
    }

    fn tags(&self) -> MutexGuard<'_, BTreeMap<SubnetId, Vec<Tag>>> {
        // The map is replaced whole, so it is right even if a holder of the lock panicked.
        self.tags.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StaticSubnet {
    fn id(&self) -> SubnetId {
        SubnetId::new(self.cidr.to_string())
    }
}

fn not_offered(doing: String) -> ProviderError {
    ProviderError::NotOffered { provider: NAME, doing }
}

/// The file that remembers the tags of operator-named subnets could not be read.
#[derive(Debug, thiserror::Error)]
pub enum StaticTagsError {
    /// It is there and cannot be opened.
    #[error("cannot read {}, which remembers which subnets were opened", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Its content is not what we write.
    #[error(
        "{} does not hold the tags of subnets; if its content is lost, remove it once no container of this cluster runs",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

fn read_tags(path: &PathBuf) -> Result<BTreeMap<SubnetId, Vec<Tag>>, StaticTagsError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(source) => return Err(StaticTagsError::Unreadable { path: path.clone(), source }),
    };
    serde_json::from_slice(&text).map_err(|source| StaticTagsError::Damaged { path: path.clone(), source })
}

/// Replaces the file at once: a crash leaves the old content or the new.
fn write_tags(path: &PathBuf, tags: &BTreeMap<SubnetId, Vec<Tag>>) -> io::Result<()> {
    let beside = path.with_extension("new");
    let file = fs::File::create(&beside)?;
    serde_json::to_writer_pretty(&file, tags)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests;
