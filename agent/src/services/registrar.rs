//! Writes which containers of this host are in which service, and keeps that in line with what Docker shows.
//!
//! Level-triggered: each look says what should stand in the store, and what stands otherwise is written. Nobody waits
//! for it; a write that fails is made again.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ipam::{AddressState, Dependent, Epoch, Generation, HostId, View, Zone};
use services::{Candidate, Draining, LabelFault, Member, Selected, select};
use store::layout::{self, Item, Under};
use store::{Commit, Revision, Store, Transaction};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::declared::Declared;
use super::drains::{self, Drains};
use super::followed::follow;
use super::policing::Here;
use super::{ServicesError, dependent, in_time};
use crate::allocator::{AllocateError, Allocator};
use crate::docker::events::{Sight, Watched};
use crate::troubles::with_causes;

/// Docker's events and the allocator's changes come in bursts: one look serves them all.
const BURST: Duration = Duration::from_millis(50);

/// How soon what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// What a registrar is made of.
pub struct Parts {
    /// Where members are written.
    pub store: Arc<dyn Store>,
    /// Who has which address, and who publishes them.
    pub allocator: Allocator,
    /// What Docker shows.
    pub docker: watch::Receiver<Watched>,
    /// What is declared.
    pub declared: watch::Receiver<Option<Declared>>,
    /// This host.
    pub host: HostId,
}

/// What came of the last look, for `berth status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Labels that cannot be followed.
    pub faults: BTreeSet<LabelFault>,
    /// Why members are not in the store yet, if they are not.
    pub trouble: Option<String>,
}

/// The task that does it.
pub struct Registrar {
    parts: Parts,
    report: watch::Sender<Report>,
    /// Whom it tells what it knows of this host.
    here: watch::Sender<Option<Here>>,
    /// What the last look that left nothing to do went by.
    seen: Option<Seen>,
    /// What this host has in the store, and when it was written; nothing before it was read.
    written: Option<BTreeMap<(String, IpAddr), (Member, Revision)>>,
}

/// What a look goes by.
struct Seen {
    sight: Arc<Sight>,
    declared: Declared,
    drains: Drains,
    assigned: BTreeMap<IpAddr, Epoch>,
    /// The life of the cluster: a store that was made anew has no members.
    life: Option<Generation>,
}

impl Seen {
    /// Whether the same follows from both.
    fn is_like(&self, other: &Seen) -> bool {
        self.sight.containers == other.sight.containers
            && self.declared == other.declared
            && self.drains == other.drains
            && self.assigned == other.assigned
            && self.life == other.life
    }
}

/// A write could not be made now.
#[derive(Debug, thiserror::Error)]
enum RegisterError {
    #[error(transparent)]
    Services(#[from] ServicesError),
    #[error("cannot publish an address that a service uses")]
    Publish(#[source] AllocateError),
}

impl Registrar {
    /// Over these parts, and whom it tells what came of each look, and what it saw here.
    pub fn new(parts: Parts, report: watch::Sender<Report>, here: watch::Sender<Option<Here>>) -> Self {
        Self { parts, report, here, seen: None, written: None }
    }

    /// Registers until `stop`. What is cut off is looked for again at the next start.
    pub async fn run(mut self, stop: CancellationToken) {
        let (drains_told, mut drains) = watch::channel(None);
        let (store, host) = (Arc::clone(&self.parts.store), self.parts.host.to_string());
        let following = follow(store, Under::DrainsOf { host }.prefix(), drains::understood, drains_told);
        let mut changes = self.parts.allocator.changes();
        let mut docker = self.parts.docker.clone();
        let mut declared = self.parts.declared.clone();
        let registering = async {
            loop {
                // The newest of each, so that nothing that comes while it is written is missed.
                let sight = docker.borrow_and_update().sight.clone();
                let known = (declared.borrow_and_update().clone(), drains.borrow_and_update().clone());
                changes.borrow_and_update();
                let pause = match (sight, known) {
                    (Some(sight), (Some(declared), Some(drains))) => self.look(sight, declared, drains).await,
                    _ => None,
                };
                tokio::select! {
                    Ok(()) = docker.changed() => {}
                    Ok(()) = changes.changed() => {}
                    Ok(()) = declared.changed() => {}
                    Ok(()) = drains.changed() => {}
                    () = tokio::time::sleep(pause.unwrap_or_default()), if pause.is_some() => {}
                    // Everybody whom it would hear of is gone.
                    else => return,
                }
                tokio::time::sleep(BURST).await;
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = following => {}
            () = registering => {}
        }
    }

    /// Brings the store in line; when to try again, if something failed.
    async fn look(&mut self, sight: Arc<Sight>, declared: Declared, drains: Drains) -> Option<Duration> {
        // The allocator changes with each take of any host. What containers have here seldom does, and is cheap to ask.
        let Ok(assigned) = self.parts.allocator.assigned().await else { return Some(RETRY) };
        let last = self.seen.as_ref();
        let same = |last: &Seen| {
            Arc::ptr_eq(&last.sight, &sight)
                && last.declared == declared
                && last.drains == drains
                && last.assigned == assigned
        };
        if last.is_some_and(same) {
            return None;
        }
        let Ok(view) = self.parts.allocator.view().await else { return Some(RETRY) };
        let life = view.cluster.map(|(life, _)| life);
        let seen = Seen { sight, declared, drains, assigned, life };
        if last.is_some_and(|last| last.is_like(&seen)) {
            return None;
        }
        if last.is_none_or(|last| last.life != life) {
            self.written = None;
        }
        let selected = select(candidates(&seen.sight, &seen.drains, &view), &seen.declared, &self.parts.host);
        // Before it is written: who may reach a container waits for no store.
        let here = Some(Here { declared: seen.declared.clone(), members: selected.members.clone() });
        self.here.send_if_modified(|last| std::mem::replace(last, here.clone()) != here);
        for fault in selected.faults.difference(&self.report.borrow().faults) {
            tracing::warn!("{fault}");
        }
        let outcome = self.register(&selected).await.and(self.forget_drains(&seen).await);
        let trouble = outcome.as_ref().err().map(|error| with_causes(error));
        if let Some(trouble) = &trouble
            && self.report.borrow().trouble.is_none()
        {
            tracing::warn!(error = trouble, "trying again to register the members of services");
        }
        let pause = trouble.is_some().then_some(RETRY);
        self.seen = pause.is_none().then_some(seen);
        let report = Report { faults: selected.faults, trouble };
        self.report.send_if_modified(|last| std::mem::replace(last, report.clone()) != report);
        pause
    }

    async fn register(&mut self, selected: &Selected) -> Result<(), RegisterError> {
        let written = self.written().await?.clone();
        let stays =
            |at, written: &Member| selected.members.get(at).is_some_and(|it| it.epoch == written.epoch);
        for (at, (member, revision)) in written.iter().filter(|(at, (member, _))| !stays(*at, member)) {
            self.remove(at, member, *revision).await?;
        }
        for (at, member) in &selected.members {
            if written.get(at).is_some_and(|(known, _)| known == member) {
                continue;
            }
            if !self.put(at, member).await? {
                self.publish(member).await?;
                self.put(at, member).await?;
            }
        }
        Ok(())
    }

    async fn forget_drains(&self, seen: &Seen) -> Result<(), RegisterError> {
        let there = seen.sight.containers.iter().map(|container| container.id.as_str()).collect();
        Ok(drains::forget(&*self.parts.store, &self.parts.host, &seen.drains, &there).await?)
    }

    /// Opens the address to services: from now on its release waits for whoever knows of it.
    async fn publish(&self, member: &Member) -> Result<(), RegisterError> {
        match self.parts.allocator.publish(member.address, member.epoch).await {
            // Its container went, or is only just being attached: the next look shows it.
            Ok(()) | Err(AllocateError::Refused(ipam::Refusal::Superseded { .. })) => Ok(()),
            Err(error) => Err(RegisterError::Publish(error)),
        }
    }

    /// What this host has in the store: read once, and known from then on, because nobody else writes it.
    async fn written(
        &mut self,
    ) -> Result<&mut BTreeMap<(String, IpAddr), (Member, Revision)>, ServicesError> {
        if self.written.is_none() {
            let mut own = BTreeMap::new();
            for entry in in_time(self.parts.store.range(&Under::Members.prefix())).await?.entries {
                let Some(Item::Member { service, address }) = Item::of(&entry.key) else { continue };
                // One that cannot be understood is another version's, and is left to it.
                let Ok(member) = layout::decode::<Member>(&entry.key, &entry.value) else { continue };
                if member.host == self.parts.host {
                    own.insert((service, address), (member, entry.revision));
                }
            }
            self.written = Some(own);
        }
        Ok(self.written.get_or_insert_default())
    }

    /// Writes a member while its address is open under its epoch, and not after; whether it is. It depends on its
    /// address: until it is removed, nobody uses that again.
    async fn put(&mut self, at: &(String, IpAddr), member: &Member) -> Result<bool, ServicesError> {
        let endpoint = Item::Endpoint(member.address).key();
        let read = in_time(self.parts.store.get(&endpoint)).await?;
        let open = read.entry.as_ref().map(|entry| {
            let record: ipam::EndpointRecord = layout::decode(&entry.key, &entry.value)?;
            Ok::<_, ServicesError>((
                record.epoch == member.epoch && record.host == member.host,
                entry.revision,
            ))
        });
        let Some((true, revision)) = open.transpose()? else { return Ok(false) };
        let (key, dependent) = (key_of(at), dependent_of(at, member));
        let writers = Dependent { writers: BTreeSet::from([self.parts.host.clone()]) };
        let (value, writers) = (layout::encode(&key, member)?, layout::encode(&dependent, &writers)?);
        let transaction =
            Transaction::new().unchanged(endpoint, revision).put(key, value).put(dependent, writers);
        match in_time(self.parts.store.commit(transaction)).await {
            Ok(Commit::Done { revision }) => {
                self.written().await?.insert(at.clone(), (member.clone(), revision));
                Ok(true)
            }
            // It was closed just now: the next look shows why.
            Ok(Commit::Conflict { .. }) => Ok(true),
            // It may have landed: what stands there is read again.
            Err(error) => {
                self.written = None;
                Err(error)
            }
        }
    }

    /// Takes back what this host wrote, if it still stands so: the address may be another host's by now.
    async fn remove(
        &mut self,
        at: &(String, IpAddr),
        member: &Member,
        revision: Revision,
    ) -> Result<(), ServicesError> {
        let key = key_of(at);
        let transaction = Transaction::new().unchanged(key.clone(), revision).delete(key);
        let transaction = transaction.delete(dependent_of(at, member));
        let done = in_time(self.parts.store.commit(transaction)).await;
        if done.is_err() {
            self.written = None;
        } else {
            self.written().await?.remove(at);
        }
        done.map(drop)
    }
}

fn key_of((service, address): &(String, IpAddr)) -> store::Key {
    Item::Member { service: service.clone(), address: *address }.key()
}

/// Where it is said that a member depends on its address.
fn dependent_of((service, address): &(String, IpAddr), member: &Member) -> store::Key {
    dependent(*address, member.epoch, Member::object(service))
}

/// The containers that run and have an address of ours, as often as they have one.
fn candidates(sight: &Sight, drains: &Drains, view: &View) -> Vec<Candidate> {
    let assigned = assigned(view);
    let running = sight.containers.iter().filter(|container| container.running);
    running
        .flat_map(|container| container.attachments.iter().map(move |at| (container, at)))
        .filter_map(|(container, at)| {
            let address = at.address?;
            let (epoch, zone) = assigned.get(&address)?;
            Some(Candidate {
                container: container.name.clone(),
                labels: container.labels.clone(),
                address,
                epoch: *epoch,
                zone: (*zone).clone(),
                readiness: container.readiness,
                draining: match () {
                    () if drains.ask(&container.id) => Some(Draining::Asked),
                    () if container.ending => Some(Draining::Ending),
                    () => None,
                },
            })
        })
        .collect()
}

/// What is in use here by a container, under which epoch and in which zone.
fn assigned(view: &View) -> BTreeMap<IpAddr, (Epoch, &Zone)> {
    let all = view.subnets.iter().flat_map(|subnet| {
        let addresses = subnet.blocks.iter().flat_map(|block| &block.addresses);
        addresses.map(move |address| (address, &subnet.subnet.zone))
    });
    let used = all.filter_map(|(address, zone)| match address.state {
        AddressState::Assigned { epoch, .. } => Some((address.address, (epoch, zone))),
        _ => None,
    });
    used.collect()
}
