//! Can the store be read, and written? One that is full, or lets its user only look, is read as ever.

use super::{bad, good, unknown};
use crate::api::Desk;
use crate::shared::cure;
use crate::troubles::with_causes;
use ::api::Examination;
use std::time::{Duration, Instant};
use store::layout::Item;
use store::{Commit, Store, StoreError, Transaction};

const NAME: &str = "store";

/// How long the store may take.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) async fn examine(desk: &Desk) -> Examination {
    let Some(store) = &desk.store else { return unknown(NAME, "it is not open") };
    let Some(host) = desk.known.borrow().as_ref().map(|known| known.identity.instance.to_string()) else {
        return unknown(NAME, "it is not known yet who this host is");
    };
    let begun = Instant::now();
    match tokio::time::timeout(PATIENCE, try_out(&**store, host)).await {
        Ok(Ok(())) => good(NAME, format!("read and written in {} ms", begun.elapsed().as_millis())),
        Ok(Err(error)) => bad(NAME, with_causes(&error), cure(&error)),
        Err(_) => {
            let late = StoreError::Unavailable("no answer".into());
            bad(NAME, format!("does not answer within {} s", PATIENCE.as_secs()), cure(&late))
        }
    }
}

/// Writes a key of this host's own.
async fn try_out(store: &dyn Store, host: String) -> Result<(), StoreError> {
    let key = Item::Trial(host).key();
    let trial = Transaction::new();
    let trial = match store.get(&key).await?.entry {
        Some(entry) => trial.unchanged(key.clone(), entry.revision),
        None => trial.absent(key.clone()),
    };
    match store.commit(trial.put(key, b"{}".to_vec())).await? {
        // Somebody else asked the doctor at the same time: it can be written.
        Commit::Done { .. } | Commit::Conflict { .. } => Ok(()),
    }
}
