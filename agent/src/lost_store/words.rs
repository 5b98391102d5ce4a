//! People's words on who may still use addresses of a store that was lost.

use futures::future::BoxFuture;
use ipam::role::HostsSeen;
use ipam::{HostId, Rebuild};
use store::layout::{self, Item};
use store::{Commit, Store, Transaction};

use super::LostStoreError;
use crate::capacity::hosts_seen;
use crate::migrate::steadily;

/// What an operator says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plea {
    /// Who says it.
    pub who: String,
    /// No host but those that are awaited uses addresses since before.
    pub no_others: bool,
    /// These are powered off, and their memory is lost.
    pub gone: Vec<HostId>,
}

/// The provider's word on a machine, as far as it witnesses something.
pub trait Witness: Sync {
    /// What it says became of a host: Ok and the words if that is a witness that it is gone, or that nobody knows;
    /// an error if it may still run.
    fn word<'a>(&'a self, host: &'a HostId) -> BoxFuture<'a, Word>;
}

/// What the provider says of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// It is off, or there is no such machine any more: in words.
    Gone(String),
    /// It runs, or may go on.
    MayRun(String),
    /// It cannot say.
    Silent(String),
}

/// Takes an operator's words, and the provider's on every host that is still awaited. Answers how it stands.
///
/// # Errors
/// A host that is said to be gone is not, or is nobody that is waited for. Then nothing is taken.
pub async fn take_words(
    store: &dyn Store,
    plea: &Plea,
    witness: &dyn Witness,
) -> Result<(Rebuild, HostsSeen), LostStoreError> {
    let key = Item::Rebuild.key();
    loop {
        let hosts = hosts_seen(store).await.map_err(LostStoreError::Hosts)?;
        let Some(found) = steadily(|| store.get(&key)).await?.entry else {
            return Err(LostStoreError::NotAnew);
        };
        let before: Rebuild = layout::decode(&key, &found.value)?;
        let mut after = before.clone();
        for host in &plea.gone {
            if !before.awaited.contains_key(host) {
                return Err(LostStoreError::NotAwaited(host.clone()));
            }
            if hosts.get(host).is_some_and(|seen| seen.alive) {
                return Err(LostStoreError::NotGone(host.clone(), "its session stands in the store".into()));
            }
        }
        let silent: Vec<HostId> = before.silent(&hosts).cloned().collect();
        for host in silent.iter().filter(|host| !hosts.get(*host).is_some_and(|seen| seen.alive)) {
            let word = match (witness.word(host).await, plea.gone.contains(host)) {
                (Word::Gone(said), _) => format!("the provider says {said}"),
                (Word::MayRun(said), true) => {
                    return Err(LostStoreError::NotGone(host.clone(), format!("the provider says {said}")));
                }
                (Word::Silent(said), true) => {
                    format!("{} says that it is powered off (the provider's word: {said})", plea.who)
                }
                (Word::MayRun(_) | Word::Silent(_), false) => continue,
            };
            after.awaited.insert(host.clone(), Some(word));
        }
        if plea.no_others && after.no_others.is_none() {
            after.no_others = Some(plea.who.clone());
        }
        if after == before {
            return Ok((after, hosts));
        }
        let say = Transaction::new()
            .unchanged(key.clone(), found.revision)
            .put(key.clone(), layout::encode(&key, &after)?);
        // Whatever became of it, the next look tells.
        if let Commit::Done { .. } = steadily(|| store.commit(say.clone())).await? {
            tracing::warn!(
                silent = silent.len(),
                who = plea.who,
                "took words on who is gone since the store was lost"
            );
        }
    }
}
