//! This host's sign of life in the store: the key `sessions/<id>`, which lapses by itself when the host
//! does not say any more that it lives.
//!
//! Nothing here depends on it: it is for the others, who take nothing from a host whose session stands.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ipam::{BootId, HostId, SignOfLife};
use store::layout::{self, Item, ValueError};
use store::{Session, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::troubles::with_causes;

/// How long the sign stays after the last word: a restart of the agent or of the store is no death.
const TTL: Duration = Duration::from_secs(30);

/// How often the host says that it lives: two words may get lost.
const WORD_EVERY: Duration = Duration::from_secs(10);

/// How long the store may take to answer a word.
const PATIENCE: Duration = Duration::from_secs(5);

/// Why the sign could not be given.
#[derive(Debug, thiserror::Error)]
enum SessionError {
    #[error("cannot give the store this host's sign of life")]
    Store(#[from] StoreError),
    #[error("cannot write this host's sign of life")]
    Value(#[from] ValueError),
    #[error("the store does not answer to this host's sign of life")]
    Late,
}

/// Gives the sign until `stop`, and then takes it back: this host goes in order.
pub async fn keep(store: Arc<dyn Store>, host: HostId, boot: BootId, stop: CancellationToken) {
    let mut keeper = Keeper { store, host, sign: SignOfLife { boot }, session: None };
    tokio::select! {
        () = stop.cancelled() => {}
        never = keeper.live() => match never {},
    }
    keeper.end().await;
}

struct Keeper {
    store: Arc<dyn Store>,
    host: HostId,
    sign: SignOfLife,
    session: Option<Session>,
}

impl Keeper {
    async fn live(&mut self) -> Infallible {
        let mut word = tokio::time::interval(WORD_EVERY);
        word.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut silent = false;
        loop {
            word.tick().await;
            match self.say().await {
                Ok(()) => silent = false,
                // Said once for each time that the store goes away.
                Err(error) if !silent => {
                    silent = true;
                    tracing::warn!(error = with_causes(&error), "trying again");
                }
                Err(_) => {}
            }
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
        let key = Item::Session(self.host.to_string()).key();
        let value = layout::encode(&key, &self.sign)?;
        self.session = Some(in_time(self.store.begin_session(&key, value, TTL)).await?);
        Ok(())
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
    use store::MemoryStore;
    use tokio::task::JoinHandle;

    use super::*;

    fn live(store: &MemoryStore) -> (JoinHandle<()>, CancellationToken) {
        let stop = CancellationToken::new();
        let kept = keep(Arc::new(store.clone()), "h1".into(), "boot-1".into(), stop.clone());
        (tokio::spawn(kept), stop)
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
        let (kept, stop) = live(&store);
        until_signed(&store, true).await;
        tokio::time::sleep(3 * TTL).await;
        assert_eq!(sign(&store).await, Some(SignOfLife { boot: "boot-1".into() }));
        stop.cancel();
        kept.await.unwrap();
        assert_eq!(sign(&store).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_lapsed_while_the_store_was_away_is_begun_anew() {
        let store = MemoryStore::new();
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
}
