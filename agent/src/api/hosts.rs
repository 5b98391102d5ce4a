//! The hosts of the cluster, and what the agent would change on this one.

use super::Refusal;
use super::desk::{Desk, silence, unavailable};
use crate::described::Description;
use crate::identity::Known;
use crate::troubles::with_causes;
use ::api::{Answer, Attachment, Eviction, Host, HostLife, HostPlan, MachineKind, Silence, Source};
use axum::Json;
use axum::extract::State;
use hostnet::Kernel;
use ipam::{Block, HostId, HostRecord, Incarnation};
use provider::InstanceKind;
use std::collections::{BTreeMap, BTreeSet};
use store::layout::{self, Item, Under, ValueError};

/// `GET /v1/hosts`
pub(crate) async fn hosts(State(desk): State<Desk>) -> Json<Answer<Vec<Host>>> {
    let (mut hosts, silent) = match read(&desk).await {
        Ok(hosts) => (hosts, Vec::new()),
        Err(silence) => (Vec::new(), vec![silence]),
    };
    if let Some(known) = &*desk.known.borrow() {
        let this = this(known);
        if !hosts.iter().any(|host| host.id == this) {
            let mut host = Host { id: this, ..unknown_host() };
            describe(&mut host, known);
            hosts.push(host);
        }
    }
    Json(Answer::new([Source::Store, Source::Cloud], hosts).without(silent))
}

/// The hosts of the cluster, as the store shows them, and this one as it knows itself.
pub(super) async fn read(desk: &Desk) -> Result<Vec<Host>, Silence> {
    let mut register = Register::read(desk).await?;
    register.read_holdings(desk).await?;
    Ok(register.tell(desk))
}

/// The same where what they hold matters only if one of them is silent or was evicted: if none is, no block of the
/// cluster is read.
pub(super) async fn read_at_a_glance(desk: &Desk) -> Result<Vec<Host>, Silence> {
    let mut register = Register::read(desk).await?;
    let first = Incarnation(1);
    let well =
        |(id, record): (&HostId, &HostRecord)| register.sessions.contains(id) && record.incarnation == first;
    if !register.hosts.iter().all(well) {
        register.read_holdings(desk).await?;
    }
    Ok(register.tell(desk))
}

fn this(known: &Known) -> String {
    known.identity.instance.to_string()
}

/// What the store knows of hosts.
struct Register {
    hosts: BTreeMap<HostId, HostRecord>,
    sessions: BTreeSet<HostId>,
    evictions: BTreeMap<HostId, ipam::Eviction>,
    descriptions: BTreeMap<HostId, Description>,
    /// How many addresses each holds, by incarnation.
    holdings: BTreeMap<HostId, BTreeMap<Incarnation, u32>>,
}

impl Register {
    fn tell(&self, desk: &Desk) -> Vec<Host> {
        let mut hosts: Vec<Host> = self.hosts.iter().map(|(id, record)| host(id, record)).collect();
        for host in &mut hosts {
            self.tell_life(host);
            self.tell_name(host);
            tell_suspicion(desk, host);
        }
        if let Some(known) = &*desk.known.borrow() {
            let this = this(known);
            hosts.iter_mut().filter(|host| host.id == this).for_each(|host| describe(host, known));
        }
        hosts
    }

    async fn read(desk: &Desk) -> Result<Self, Silence> {
        let mut register = Self {
            hosts: BTreeMap::new(),
            sessions: BTreeSet::new(),
            evictions: BTreeMap::new(),
            descriptions: BTreeMap::new(),
            holdings: BTreeMap::new(),
        };
        for under in [Under::Hosts, Under::Sessions, Under::Evictions, Under::Descriptions] {
            register.read_all(desk, &under).await?;
        }
        Ok(register)
    }

    /// Counts what every host holds. Reads every block of the cluster.
    async fn read_holdings(&mut self, desk: &Desk) -> Result<(), Silence> {
        self.read_all(desk, &Under::Blocks).await
    }

    async fn read_all(&mut self, desk: &Desk, under: &Under) -> Result<(), Silence> {
        for entry in entries(desk, under).await? {
            self.note(&entry).map_err(|error| silence(Source::Store, with_causes(&error)))?;
        }
        Ok(())
    }

    fn note(&mut self, entry: &store::Entry) -> Result<(), ValueError> {
        match Item::of(&entry.key) {
            Some(Item::Host(id)) => {
                self.hosts.insert(HostId(id), layout::decode(&entry.key, &entry.value)?);
            }
            Some(Item::Session(id)) => {
                self.sessions.insert(HostId(id));
            }
            Some(Item::Eviction(id)) => {
                self.evictions.insert(HostId(id), layout::decode(&entry.key, &entry.value)?);
            }
            Some(Item::Description(id)) => {
                self.descriptions.insert(HostId(id), layout::decode(&entry.key, &entry.value)?);
            }
            Some(Item::Block { .. }) => self.count(&layout::decode(&entry.key, &entry.value)?),
            _ => (),
        }
        Ok(())
    }

    fn count(&mut self, block: &Block) {
        for held in block.held().values() {
            // Names are compared once for each address of the fleet, and copied once for each host.
            if !self.holdings.contains_key(&held.by.host) {
                self.holdings.insert(held.by.host.clone(), BTreeMap::new());
            }
            if let Some(holdings) = self.holdings.get_mut(&held.by.host) {
                *holdings.entry(held.by.incarnation).or_default() += 1;
            }
        }
    }

    fn tell_name(&self, host: &mut Host) {
        if let Some(described) = self.descriptions.get(&HostId(host.id.clone())) {
            describe_as(host, described.clone());
        }
    }

    fn tell_life(&self, host: &mut Host) {
        let id = HostId(host.id.clone());
        let now = Incarnation(host.incarnation);
        let holdings = self.holdings.get(&id);
        host.holds = holdings.and_then(|holdings| holdings.get(&now)).copied().unwrap_or(0);
        host.unswept = holdings.map_or(0, |holdings| holdings.range(..now).map(|(_, count)| count).sum());
        let eviction = self.evictions.get(&id);
        host.eviction = eviction.map(|it| Eviction {
            at: it.at.clone(),
            by: it.by.to_string(),
            why: it.word.to_string(),
        });
        let evicted = eviction.is_some_and(|it| it.incarnation == now) && host.holds == 0;
        host.life = match () {
            () if self.sessions.contains(&id) => HostLife::Alive,
            () if evicted => HostLife::Evicted,
            () => HostLife::Silent { since: None, said: None, next: None },
        };
    }
}

/// Adds what the role knows, where this host has it.
fn tell_suspicion(desk: &Desk, host: &mut Host) {
    let HostLife::Silent { since, said, next } = &mut host.life else { return };
    for role in desk.capacity.borrow().iter() {
        let status = role.status();
        let status = status.borrow();
        if let Some(silent) = status.silent_hosts.get(&HostId(host.id.clone())) {
            (*since, *next) = (Some(silent.since), Some(silent.next));
            said.clone_from(&silent.said);
        }
    }
}

async fn entries(desk: &Desk, under: &Under) -> Result<Vec<store::Entry>, Silence> {
    let store = desk.store.as_ref().ok_or_else(|| silence(Source::Store, "it is not open"))?;
    let found = store.range(&under.prefix()).await;
    Ok(found.map_err(|error| silence(Source::Store, with_causes(&error)))?.entries)
}

fn host(id: &HostId, record: &HostRecord) -> Host {
    let attachment = |zone: &ipam::Zone| Attachment {
        zone: zone.to_string(),
        network: "-".into(),
        interface: None,
        vlan: None,
    };
    Host {
        id: id.to_string(),
        instance: Some(record.instance.to_string()),
        incarnation: record.incarnation.0,
        boot_id: Some(record.boot.to_string()),
        attachments: record.zones.iter().map(attachment).collect(),
        ..unknown_host()
    }
}

fn unknown_host() -> Host {
    Host {
        id: String::new(),
        this: false,
        hostname: None,
        instance: None,
        kind: None,
        datacenter: None,
        incarnation: 0,
        boot_id: None,
        attachments: Vec::new(),
        identity_from: Source::Store,
        life: HostLife::Unknown,
        holds: 0,
        unswept: 0,
        eviction: None,
    }
}

/// Adds what only this host knows of itself.
fn describe(host: &mut Host, known: &Known) {
    let identity = &known.identity;
    let attachment = |it: &provider::Attachment| Attachment {
        zone: it.zone.to_string(),
        network: it.network.to_string(),
        interface: known.interfaces.get(&ipam::Zone(it.zone.to_string())).map(ToString::to_string),
        vlan: it.vlan_number.map(u32::from),
    };
    host.this = true;
    host.instance = Some(identity.instance.to_string());
    describe_as(host, Description::of(identity));
    host.attachments = identity.attachments.iter().map(attachment).collect();
    host.identity_from = known.from;
}

/// Adds what people call it.
fn describe_as(host: &mut Host, described: Description) {
    let Description { hostname, kind, datacenter } = described;
    host.hostname = Some(hostname);
    host.kind = match kind {
        InstanceKind::Virtual => Some(MachineKind::Virtual),
        InstanceKind::BareMetal => Some(MachineKind::BareMetal),
        InstanceKind::Unmanaged => None,
    };
    host.datacenter = Some(datacenter);
}

/// `GET /v1/host/plan`
pub(crate) async fn plan(State(desk): State<Desk>) -> Result<Json<Answer<HostPlan>>, Refusal> {
    let no = |error: String| Refusal(unavailable(error, "`berth status` and `berth doctor` say more"));
    let Some(kernel) = &desk.kernel else { return Err(no("the kernel cannot be asked".into())) };
    let report = desk.reconciler.report().borrow().clone();
    if !report.looked {
        return Err(no("the host's network has not been looked at since berthd started".into()));
    }
    let observed = kernel.observe().await.map_err(|error| no(with_causes(&error)))?;
    let changes = hostnet::plan(&report.wanted, &observed).iter().map(ToString::to_string).collect();
    Ok(Json(Answer::new([Source::Journal, Source::Kernel], HostPlan { changes })))
}

#[cfg(test)]
mod tests;
