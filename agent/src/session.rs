//! This host's sign of life in the store: the key `sessions/<id>`, which lapses by itself when the host
//! does not say any more that it lives.
//!
//! Nothing here depends on it: it is for the others, who take nothing from a host whose session stands. It is given
//! only by the machine and boot that the host's record names: a copy of its disk on another machine must not speak for
//! it.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ipam::{HostRecord, Identity, InstanceId, SignOfLife};
use store::layout::{self, Item, ValueError};
use store::{Session, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::described::{DescribeError, Description};
use crate::troubles::with_causes;

/// How long the sign stays after the last word. A lost host is out of its services within this and the moment that is
/// waited for others ([`services::TOGETHER_MILLIS`]): fifteen seconds in all. A new leader of etcd begins every time anew.
const TTL: Duration = Duration::from_secs(8);

/// How often the host says that it lives: shorter than that moment, and two words may get lost.
const WORD_EVERY: Duration = Duration::from_secs(2);

/// How soon a word is said again that was not heard.
const SAY_AGAIN: Duration = Duration::from_secs(1);

/// How soon it is looked again whether this boot is registered.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How long the store may take to answer a word.
const PATIENCE: Duration = Duration::from_secs(2);

/// Why the sign could not be given.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("cannot give the store this host's sign of life")]
    Store(#[from] StoreError),
    #[error("cannot write this host's sign of life")]
    Value(#[from] ValueError),
    #[error(transparent)]
    Description(#[from] DescribeError),
    #[error("the store does not answer to this host's sign of life")]
    Late,
    #[error("this boot is not registered yet")]
    Unregistered,
    #[error(
        "the record of this host names the machine {recorded}, and this is {here}: a copied disk gives no sign of life \
         in its place"
    )]
    Copied { recorded: InstanceId, here: InstanceId },
}

/// Gives the sign until `stop`, and then takes it back: this host goes in order.
pub async fn keep(store: Arc<dyn Store>, me: Identity, description: Description, stop: CancellationToken) {
    let mut keeper = Keeper { store, me, description, session: None };
    tokio::select! {
        () = stop.cancelled() => {}
        never = keeper.live() => match never {},
    }
    keeper.end().await;
}

struct Keeper {
    store: Arc<dyn Store>,
    me: Identity,
    /// Told with each sign that is begun: a store that was made anew knows nobody.
    description: Description,
    session: Option<Session>,
}

impl Keeper {
    async fn live(&mut self) -> Infallible {
        let mut silent = false;
        loop {
            let pause = match self.say().await {
                Ok(()) => {
                    silent = false;
                    WORD_EVERY
                }
                Err(SessionError::Unregistered) => LOOK_AGAIN,
                // Said once for each time that the store goes away.
                Err(error) => {
                    if !silent {
                        tracing::warn!(error = with_causes(&error), "trying again");
                    }
                    silent = true;
                    SAY_AGAIN
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// One word; a session that lapsed is begun anew.
    async fn say(&mut self) -> Result<(), SessionError> {
        if let Some(session) = &self.session {
            match in_time(self.store.keep_alive(session)).await {
                Err(SessionError::Store(StoreError::SessionLapsed { .. })) => self.session = None,
                said => return said,
            }
        }
        self.is_registered().await?;
        self.describe().await?;
        let key = Item::Session(self.me.host.to_string()).key();
        let value = layout::encode(&key, &SignOfLife { boot: self.me.boot.clone() })?;
        self.session = Some(in_time(self.store.begin_session(&key, value, TTL)).await?);
        Ok(())
    }

    /// Whether the host's record names this machine and this boot of it.
    async fn is_registered(&self) -> Result<(), SessionError> {
        let key = Item::Host(self.me.host.to_string()).key();
        let Some(entry) = in_time(self.store.get(&key)).await?.entry else {
            return Err(SessionError::Unregistered);
        };
        let record: HostRecord = layout::decode(&key, &entry.value)?;
        if record.instance != self.me.instance {
            let here = self.me.instance.clone();
            return Err(SessionError::Copied { recorded: record.instance, here });
        }
        if record.boot != self.me.boot {
            return Err(SessionError::Unregistered);
        }
        Ok(())
    }

    async fn describe(&self) -> Result<(), SessionError> {
        let told = self.description.tell(&*self.store, &self.me.host.0);
        tokio::time::timeout(PATIENCE, told)
            .await
            .map_err(|_| SessionError::Late)?
            .map_err(SessionError::from)
    }

    async fn end(self) {
        let Some(session) = self.session else { return };
        if let Err(error) = in_time(self.store.end_session(&session)).await {
            // It lapses by itself.
            tracing::debug!(error = with_causes(&error), "could not end the session");
        }
    }
}

async fn in_time<T>(answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, SessionError> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answered) => Ok(answered?),
        Err(_) => Err(SessionError::Late),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use ipam::Incarnation;
    use store::{MemoryStore, Transaction};
    use tokio::task::JoinHandle;

    use super::*;

    fn live(store: &MemoryStore) -> (JoinHandle<()>, CancellationToken) {
        live_as(store, "i-1")
    }

    fn live_as(store: &MemoryStore, instance: &str) -> (JoinHandle<()>, CancellationToken) {
        let stop = CancellationToken::new();
        let (host, boot) = ("h1".into(), "boot-1".into());
        let me = Identity { host, instance: instance.into(), boot, zones: BTreeSet::new() };
        let kept = keep(Arc::new(store.clone()), me, called("web-1"), stop.clone());
        (tokio::spawn(kept), stop)
    }

    fn called(hostname: &str) -> Description {
        let kind = provider::InstanceKind::Virtual;
        Description { hostname: hostname.into(), kind, datacenter: "dal10".into() }
    }

    async fn register(store: &MemoryStore, boot: &str) {
        let record = HostRecord {
            instance: "i-1".into(),
            incarnation: Incarnation(1),
            boot: boot.into(),
            zones: BTreeSet::new(),
            left: BTreeSet::new(),
            answered: None,
        };
        let key = Item::Host("h1".into()).key();
        let value = layout::encode(&key, &record).unwrap();
        store.commit(Transaction::new().put(key, value)).await.unwrap();
    }

    async fn told(store: &MemoryStore) -> Option<Description> {
        let key = Item::Description("h1".into()).key();
        let entry = store.get(&key).await.unwrap().entry?;
        Some(layout::decode(&key, &entry.value).unwrap())
    }

    async fn sign(store: &MemoryStore) -> Option<SignOfLife> {
        let key = Item::Session("h1".into()).key();
        let entry = store.get(&key).await.unwrap().entry?;
        Some(layout::decode(&key, &entry.value).unwrap())
    }

    async fn until_signed(store: &MemoryStore, expected: bool) {
        let signed = async {
            while sign(store).await.is_some() != expected {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(2 * TTL, signed).await.expect("it comes in time");
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_that_lives_is_seen_and_one_that_stops_in_order_is_not() {
        let store = MemoryStore::new();
        register(&store, "boot-1").await;
        let (kept, stop) = live(&store);
        until_signed(&store, true).await;
        tokio::time::sleep(3 * TTL).await;
        assert_eq!(sign(&store).await, Some(SignOfLife { boot: "boot-1".into() }));
        stop.cancel();
        kept.await.unwrap();
        assert_eq!(sign(&store).await, None);
        assert_eq!(told(&store).await, Some(called("web-1")), "its name is asked for when it is gone");
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_lapsed_while_the_store_was_away_is_begun_anew() {
        let store = MemoryStore::new();
        register(&store, "boot-1").await;
        let (kept, stop) = live(&store);
        until_signed(&store, true).await;
        store.go_away();
        tokio::time::sleep(3 * TTL).await;
        store.come_back();
        until_signed(&store, true).await;
        tokio::time::sleep(2 * TTL).await;
        until_signed(&store, true).await;
        stop.cancel();
        kept.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_copy_of_the_disk_on_another_machine_gives_no_sign_and_takes_none_away() {
        let store = MemoryStore::new();
        register(&store, "boot-1").await;
        let (copied, stop_copied) = live_as(&store, "i-2");
        tokio::time::sleep(2 * TTL).await;
        assert_eq!(sign(&store).await, None);
        let (kept, stop) = live(&store);
        until_signed(&store, true).await;
        stop_copied.cancel();
        copied.await.unwrap();
        tokio::time::sleep(2 * TTL).await;
        assert_eq!(sign(&store).await, Some(SignOfLife { boot: "boot-1".into() }));
        stop.cancel();
        kept.await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_boot_that_is_not_registered_gives_no_sign_before_it_is() {
        let store = MemoryStore::new();
        register(&store, "boot-0").await;
        let (kept, stop) = live(&store);
        tokio::time::sleep(2 * TTL).await;
        assert_eq!(sign(&store).await, None);
        register(&store, "boot-1").await;
        until_signed(&store, true).await;
        stop.cancel();
        kept.await.unwrap();
    }
}
