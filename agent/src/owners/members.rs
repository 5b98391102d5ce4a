//! Follows who is in the services behind a load balancer. Only its owner does: what a host is told does not grow with
//! the fleet's services.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use services::Member;
use store::layout::{self, Under};
use store::{Key, Store};
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;

use crate::services::{Stands, follow};

/// A member as it stands in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Written {
    pub(super) member: Member,
    /// What is written, which a transaction that goes by it compares.
    pub(super) entry: (Key, Vec<u8>),
}

pub(super) struct Members {
    store: Arc<dyn Store>,
    followed: BTreeMap<String, Followed>,
    /// Somebody came, went, or is different.
    changed: Arc<Notify>,
}

struct Followed {
    stands: watch::Receiver<Option<Vec<Written>>>,
    task: AbortHandle,
}

impl Drop for Followed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Members {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, followed: BTreeMap::new(), changed: Arc::new(Notify::new()) }
    }

    /// Who is in these services; nothing before all of them were read.
    pub(super) fn of(&mut self, services: &BTreeSet<&str>) -> Option<BTreeMap<String, Vec<Written>>> {
        self.followed.retain(|service, _| services.contains(service.as_str()));
        for service in services {
            if !self.followed.contains_key(*service) {
                self.followed.insert((*service).to_owned(), self.begin(service));
            }
        }
        let written = self.followed.iter().map(|(service, followed)| {
            followed.stands.borrow().clone().map(|members| (service.clone(), members))
        });
        written.collect()
    }

    /// Follows nobody: somebody else is the owner.
    pub(super) fn leave(&mut self) {
        self.followed.clear();
    }

    /// Returns when something is different from what [`Members::of`] answered last, at once if it is already.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    fn begin(&self, service: &str) -> Followed {
        let (told, mut news) = watch::channel(None);
        let stands = news.clone();
        let prefix = Under::MembersOf { service: service.to_owned() }.prefix();
        let (store, changed) = (Arc::clone(&self.store), Arc::clone(&self.changed));
        let task = tokio::spawn(async move {
            let following = follow(store, prefix, written_in, told);
            let telling = async {
                while news.changed().await.is_ok() {
                    changed.notify_one();
                }
            };
            tokio::join!(following, telling);
        });
        Followed { stands, task: task.abort_handle() }
    }
}

/// What these values say. One that cannot be understood is another version's, and is nobody here.
fn written_in(stands: &Stands) -> Vec<Written> {
    let read = |(key, value): (&Key, &Vec<u8>)| {
        let member = layout::decode::<Member>(key, value).ok()?;
        Some(Written { member, entry: (key.clone(), value.clone()) })
    };
    stands.iter().filter_map(read).collect()
}
