//! Keeps the names of this host's containers: for itself as Docker shows them, and in the store for the other hosts.
//!
//! Level-triggered: each look says what should stand in the store, and what stands otherwise is written. Nobody waits
//! for it; a write that fails is made again. Addresses are not published for this: one that no service uses is used
//! again by its time alone, also while the store is away. Who reads an entry therefore asks that its host gives signs
//! of life.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipam::{Epoch, HostId};
use store::layout::{self, Item, Under};
use store::{Commit, Revision, Store, Transaction};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::entry::Entry;
use super::local::Local;
use crate::allocator::Allocator;
use crate::docker::Hostnames;
use crate::docker::events::{Sight, Watched};
use crate::services::{ServicesError, Stands, follow, in_time};
use crate::troubles::with_causes;

/// Docker's events and the allocator's changes come in bursts: one look serves them all.
const BURST: Duration = Duration::from_millis(50);

/// How soon what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Addresses that one transaction is about: each is at most a compare, three puts and two removals, of the 128 that a
/// transaction may have.
const BATCH: usize = 20;

/// What a herald is made of.
pub(super) struct Parts {
    pub(super) store: Arc<dyn Store>,
    pub(super) allocator: Allocator,
    pub(super) docker: watch::Receiver<Watched>,
    pub(super) docker_socket: PathBuf,
    pub(super) host: HostId,
}

/// What stands in the store at an address, and since when.
type Written = BTreeMap<IpAddr, (Entry, Revision)>;

/// The task that does it.
pub(super) struct Herald {
    parts: Parts,
    hostnames: Hostnames,
    local: watch::Sender<Arc<Local>>,
    /// What this host has in the store, and what of others is in its way; nothing before it was read.
    written: Option<Written>,
    failing: bool,
}

impl Herald {
    pub(super) fn new(parts: Parts, local: watch::Sender<Arc<Local>>) -> Self {
        let hostnames = Hostnames::of(parts.docker_socket.clone());
        Self { parts, hostnames, local, written: None, failing: false }
    }

    /// Goes on until `stop`. What is cut off is looked for again at the next start.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        // A store that was made anew has another record of the cluster, and no names.
        let (cluster_told, mut cluster) = watch::channel(None);
        let store = Arc::clone(&self.parts.store);
        let following = follow(store, Under::Cluster.prefix(), Stands::clone, cluster_told);
        let mut changes = self.parts.allocator.changes();
        let mut docker = self.parts.docker.clone();
        let telling = async {
            let mut life = None;
            loop {
                let sight = docker.borrow_and_update().sight.clone();
                changes.borrow_and_update();
                let now = cluster.borrow_and_update().clone();
                if life != now {
                    (life, self.written) = (now, None);
                }
                let pause = match sight {
                    Some(sight) => self.look(&sight).await,
                    None => None,
                };
                tokio::select! {
                    Ok(()) = docker.changed() => {}
                    Ok(()) = changes.changed() => {}
                    Ok(()) = cluster.changed() => {}
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
            () = telling => {}
        }
    }

    /// Brings memory and store in line; when to try again, if something failed.
    async fn look(&mut self, sight: &Sight) -> Option<Duration> {
        let Ok(assigned) = self.parts.allocator.assigned().await else { return Some(RETRY) };
        let (entries, all_known) = self.entries(sight, &assigned).await;
        let local = Local::of(entries.clone());
        self.local.send_if_modified(|known| {
            let changed = **known != local;
            if changed {
                *known = Arc::new(local);
            }
            changed
        });
        let told = self.tell(&entries).await;
        if let Err(error) = &told {
            self.written = None;
            if !std::mem::replace(&mut self.failing, true) {
                tracing::warn!(error = with_causes(error), "trying again to tell the names of containers");
            }
        } else {
            self.failing = false;
        }
        (told.is_err() || !all_known).then_some(RETRY)
    }

    /// What the containers that run are called, by their addresses of ours; and whether Docker has told it of all.
    async fn entries(
        &mut self,
        sight: &Sight,
        assigned: &BTreeMap<IpAddr, Epoch>,
    ) -> (BTreeMap<IpAddr, Entry>, bool) {
        let (mut entries, mut all_known) = (BTreeMap::new(), true);
        self.hostnames.keep(sight);
        for container in sight.containers.iter().filter(|container| container.running) {
            let attached = container.attachments.iter().filter_map(|at| at.address);
            let ours: Vec<_> =
                attached.filter_map(|at| assigned.get(&at).map(|epoch| (at, *epoch))).collect();
            if ours.is_empty() {
                continue;
            }
            let hostname = self.hostnames.of_container(&container.id).await;
            all_known &= hostname.is_some();
            let hostname = hostname.unwrap_or_default();
            entries.extend(ours.into_iter().map(|(address, epoch)| {
                let (host, container) = (self.parts.host.clone(), container.name.clone());
                (address, Entry { host, epoch, container, hostname: hostname.clone() })
            }));
        }
        (entries, all_known)
    }

    /// Writes what stands otherwise, in batches.
    async fn tell(&mut self, entries: &BTreeMap<IpAddr, Entry>) -> Result<(), ServicesError> {
        let host = self.parts.host.clone();
        let written = self.written().await?.clone();
        let stands = |address: &IpAddr| written.get(address).map(|(entry, _)| entry);
        let gone = written.iter().filter(|(at, (entry, _))| entry.host == host && !entries.contains_key(at));
        let due: Vec<IpAddr> = gone
            .map(|(at, _)| *at)
            .chain(entries.iter().filter(|(at, entry)| stands(at) != Some(entry)).map(|(at, _)| *at))
            .collect();
        for batch in due.chunks(BATCH) {
            self.write(batch, entries).await?;
        }
        Ok(())
    }

    async fn write(
        &mut self,
        batch: &[IpAddr],
        entries: &BTreeMap<IpAddr, Entry>,
    ) -> Result<(), ServicesError> {
        // Where another host's entry stands it is known after the first conflict, and replaced with all its keys.
        for _ in 0..2 {
            let known = self.written().await?.clone();
            let mut transaction = Transaction::new();
            for address in batch {
                transaction = change(transaction, *address, known.get(address), entries.get(address))?;
            }
            match in_time(self.parts.store.commit(transaction)).await? {
                Commit::Done { revision } => {
                    let written = self.written().await?;
                    for address in batch {
                        match entries.get(address) {
                            Some(entry) => written.insert(*address, (entry.clone(), revision)),
                            None => written.remove(address),
                        };
                    }
                    return Ok(());
                }
                Commit::Conflict { now } => {
                    let written = self.written().await?;
                    for address in batch {
                        match now.find(&Item::Name(*address).key()) {
                            None => drop(written.remove(address)),
                            Some(found) => {
                                let entry = layout::decode(&found.key, &found.value)?;
                                written.insert(*address, (entry, found.revision));
                            }
                        }
                    }
                }
            }
        }
        // Somebody writes at the same time: the next look begins anew.
        Err(ServicesError::Late)
    }

    /// What this host has in the store: read once, and known from then on, because nobody else writes it.
    async fn written(&mut self) -> Result<&mut Written, ServicesError> {
        if self.written.is_none() {
            let mut own = Written::new();
            for entry in in_time(self.parts.store.range(&Under::Names.prefix())).await?.entries {
                let Some(Item::Name(address)) = Item::of(&entry.key) else { continue };
                // One that cannot be understood is another version's, and is left to it.
                let Ok(name) = layout::decode::<Entry>(&entry.key, &entry.value) else { continue };
                if name.host == self.parts.host {
                    own.insert(address, (name, entry.revision));
                }
            }
            self.written = Some(own);
        }
        Ok(self.written.get_or_insert_default())
    }
}

/// Puts an entry with its keys in place of what stands there, all or nothing.
fn change(
    transaction: Transaction,
    address: IpAddr,
    stands: Option<&(Entry, Revision)>,
    wanted: Option<&Entry>,
) -> Result<Transaction, ServicesError> {
    let key = Item::Name(address).key();
    let mut transaction = match stands {
        Some((_, revision)) => transaction.unchanged(key.clone(), *revision),
        None => transaction.absent(key.clone()),
    };
    let keys = wanted.map(|entry| entry.keys(address)).unwrap_or_default();
    let before = stands.map(|(entry, _)| entry.keys(address)).unwrap_or_default();
    for gone in before.difference(&keys) {
        transaction = transaction.delete(gone.clone());
    }
    let Some(entry) = wanted else { return Ok(transaction.delete(key)) };
    for called in keys {
        let value = layout::encode(&called, &entry.called_so())?;
        transaction = transaction.put(called, value);
    }
    let value = layout::encode(&key, entry)?;
    Ok(transaction.put(key, value))
}
