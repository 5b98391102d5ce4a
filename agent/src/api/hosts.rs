//! The hosts of the cluster, and what the agent would change on this one.

use super::Refusal;
use super::desk::{Desk, silence, unavailable};
use crate::identity::Known;
use crate::troubles::with_causes;
use ::api::{Answer, Attachment, Host, HostPlan, MachineKind, Silence, Source};
use axum::Json;
use axum::extract::State;
use hostnet::Kernel;
use ipam::{HostId, HostRecord};
use provider::InstanceKind;
use store::layout::{self, Item, Under};

/// `GET /v1/hosts`
pub(crate) async fn hosts(State(desk): State<Desk>) -> Json<Answer<Vec<Host>>> {
    let (records, silent) = match records(&desk).await {
        Ok(records) => (records, Vec::new()),
        Err(silence) => (Vec::new(), vec![silence]),
    };
    let known = desk.known.borrow().clone();
    let this = known.as_ref().map(|known| HostId(known.identity.instance.to_string()));
    let mut hosts: Vec<Host> = records.iter().map(|(id, record)| host(id, record)).collect();
    if let (Some(known), Some(this)) = (&known, &this) {
        if !hosts.iter().any(|host| host.id == this.0) {
            hosts.push(Host { id: this.0.clone(), ..unknown_host() });
        }
        for host in hosts.iter_mut().filter(|host| host.id == this.0) {
            describe(host, known);
        }
    }
    Json(Answer::new([Source::Store, Source::Cloud], hosts).without(silent))
}

async fn records(desk: &Desk) -> Result<Vec<(HostId, HostRecord)>, Silence> {
    let store = desk.store.as_ref().ok_or_else(|| silence(Source::Store, "it is not open"))?;
    let hosts = store.range(&Under::Hosts.prefix()).await;
    let hosts = hosts.map_err(|error| silence(Source::Store, with_causes(&error)))?;
    let mut records = Vec::new();
    for entry in hosts.entries {
        let Some(Item::Host(id)) = Item::of(&entry.key) else { continue };
        let record = layout::decode(&entry.key, &entry.value);
        records.push((HostId(id), record.map_err(|error| silence(Source::Store, with_causes(&error)))?));
    }
    Ok(records)
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
    host.hostname = Some(identity.hostname.clone());
    host.instance = Some(identity.instance.to_string());
    host.kind = match identity.kind {
        InstanceKind::Virtual => Some(MachineKind::Virtual),
        InstanceKind::BareMetal => Some(MachineKind::BareMetal),
        InstanceKind::Unmanaged => None,
    };
    host.datacenter = Some(identity.datacenter.clone());
    host.attachments = identity.attachments.iter().map(attachment).collect();
    host.identity_from = known.from;
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
