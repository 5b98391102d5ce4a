//! The services that are asked for: each is followed from its first question until nobody has asked for a while.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipam::Zone;
use names::Facts;
use services::{Member, Vigil};
use store::Store;
use store::layout::{self, Item, Under};
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::asked::{Asked, Unsure};
use super::budget::Budget;
use crate::clock::Clock;
use crate::services::{Declared, Stands, follow, in_time};

/// How many services are followed at once: bounds what the store shows an agent.
const FOLLOWED_MAX: usize = 512;

/// How long a service is followed after it was asked for, in milliseconds.
const IDLE_MILLIS: u64 = 15 * 60 * 1_000;

/// How long a client waits for what a service is first shown as.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is declared, by name and by label.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Labels {
    declared: Declared,
    by_label: HashMap<String, String>,
}

impl Labels {
    pub(super) fn of(declared: Declared) -> Self {
        let label = |(name, service): (&String, &api::Service)| (service.label().to_owned(), name.clone());
        Self { by_label: declared.iter().map(label).collect(), declared }
    }

    /// The service that is called so: a declared one, or one that is there by its members' labels.
    fn service<'a>(&'a self, label: &'a str) -> Option<&'a str> {
        match self.by_label.get(label) {
            Some(name) => Some(name),
            // A declared service is called by its label alone.
            None => (!self.declared.contains_key(label)).then_some(label),
        }
    }
}

/// What a directory is made of.
pub(super) struct Parts {
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) vigil: watch::Receiver<Vigil>,
    /// Those of this host: their members come first.
    pub(super) zones: BTreeSet<Zone>,
    pub(super) labels: watch::Receiver<Option<Arc<Labels>>>,
    pub(super) budget: Arc<Mutex<Budget>>,
    pub(super) tasks: TaskTracker,
}

/// The services that are asked for.
pub(super) struct Directory {
    parts: Parts,
    by_labels: Asked<bool>,
    followed: Mutex<HashMap<String, Followed>>,
}

struct Followed {
    facts: watch::Receiver<Option<Arc<Facts>>>,
    asked: AtomicU64,
    _end: DropGuard,
}

impl Directory {
    pub(super) fn new(parts: Parts) -> Self {
        let by_labels = Asked::new(Arc::clone(&parts.clock), Arc::clone(&parts.budget));
        Self { parts, by_labels, followed: Mutex::default() }
    }

    /// What is known of a service, if it is followed.
    pub(super) fn known(&self, label: &str) -> Option<Arc<Facts>> {
        let labels = self.parts.labels.borrow();
        let followed = self.followed();
        let followed = followed.get(labels.as_ref()?.service(label)?)?;
        followed.asked.store(self.parts.clock.now().0, Ordering::Relaxed);
        let facts = followed.facts.borrow();
        facts.clone()
    }

    /// What is to be known of a service; none if there is none. Follows it from now on.
    pub(super) async fn find(&self, label: &str, from: IpAddr) -> Result<Option<Arc<Facts>>, Unsure> {
        let labels = self.parts.labels.borrow().clone();
        let labels =
            labels.ok_or_else(|| Unsure("the store has not shown yet what is declared".to_owned()))?;
        let Some(name) = labels.service(label) else { return Ok(None) };
        let followed = self.followed().contains_key(name);
        if !followed && !labels.declared.contains_key(name) && !self.has_members(name, from).await? {
            return Ok(None);
        }
        let mut facts = self.follow(name);
        let shown = tokio::time::timeout(PATIENCE, facts.wait_for(Option::is_some)).await;
        match shown {
            Ok(Ok(facts)) => Ok(facts.clone()),
            _ => Err(Unsure(format!("the store has not shown yet who is in service {name}"))),
        }
    }

    /// Forgets those for which nobody has asked for long.
    pub(super) fn forget_idle(&self) {
        let now = self.parts.clock.now().0;
        self.followed().retain(|_, it| now.saturating_sub(it.asked.load(Ordering::Relaxed)) < IDLE_MILLIS);
    }

    /// Whether a service that nobody declared has a member.
    async fn has_members(&self, name: &str, from: IpAddr) -> Result<bool, Unsure> {
        let prefix = Under::MembersOf { service: name.to_owned() }.prefix();
        let store = Arc::clone(&self.parts.store);
        let members = async move { Ok(!in_time(store.range(&prefix)).await?.entries.is_empty()) };
        self.by_labels.ask(name, from, members).await
    }

    fn follow(&self, name: &str) -> watch::Receiver<Option<Arc<Facts>>> {
        let now = self.parts.clock.now().0;
        let mut followed = self.followed();
        if let Some(known) = followed.get(name) {
            known.asked.store(now, Ordering::Relaxed);
            return known.facts.clone();
        }
        if followed.len() >= FOLLOWED_MAX {
            let oldest = followed.iter().min_by_key(|(_, it)| it.asked.load(Ordering::Relaxed));
            if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
                followed.remove(&oldest);
            }
        }
        let (told, facts) = watch::channel(None);
        let end = CancellationToken::new();
        self.parts.tasks.spawn(self.keep(name.to_owned(), told, end.clone()));
        let kept = Followed { facts: facts.clone(), asked: AtomicU64::new(now), _end: end.drop_guard() };
        followed.insert(name.to_owned(), kept);
        facts
    }

    /// Tells what is known of a service whenever it changes, until `end`.
    fn keep(
        &self,
        name: String,
        told: watch::Sender<Option<Arc<Facts>>>,
        end: CancellationToken,
    ) -> impl Future<Output = ()> + use<> {
        let Parts { store, vigil, zones, labels, .. } = &self.parts;
        let (store, zones) = (Arc::clone(store), zones.clone());
        let (mut vigil, mut labels) = (vigil.clone(), labels.clone());
        async move {
            let (members_told, mut members) = watch::channel(None);
            let prefix = Under::MembersOf { service: name.clone() }.prefix();
            let following = follow(store, prefix, members_in, members_told);
            let telling = async {
                loop {
                    let listed = members.borrow_and_update().clone();
                    let (vigil_now, labels_now) =
                        (vigil.borrow_and_update().clone(), labels.borrow_and_update().clone());
                    if let Some(listed) = listed {
                        let declared = labels_now.as_ref().and_then(|labels| labels.declared.get(&name));
                        let facts = Some(Arc::new(Facts::of(declared, &listed, &vigil_now, &zones)));
                        told.send_if_modified(|known| std::mem::replace(known, facts.clone()) != facts);
                    }
                    tokio::select! {
                        Ok(()) = members.changed() => {}
                        Ok(()) = vigil.changed() => {}
                        Ok(()) = labels.changed() => {}
                        else => return,
                    }
                }
            };
            tokio::select! {
                () = end.cancelled() => {}
                () = following => {}
                () = telling => {}
            }
        }
    }

    fn followed(&self) -> MutexGuard<'_, HashMap<String, Followed>> {
        // Every change is one insertion or removal, so a panic leaves the map whole.
        self.followed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The members that stand there. One that cannot be understood is another version's, and is left out.
fn members_in(stands: &Stands) -> Vec<Member> {
    let members = stands.iter().filter(|(key, _)| matches!(Item::of(key), Some(Item::Member { .. })));
    members.filter_map(|(key, value)| layout::decode(key, value).ok()).collect()
}
