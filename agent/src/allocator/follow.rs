//! Follows what the store shows: lists a prefix, then watches it, and begins again when it must.

use std::sync::Arc;
use std::time::Duration;

use ipam::{Prefix, Revision, Seen};
use store::layout::ValueError;
use store::{Snapshot, Store, StoreError, Watch, WatchError};
use tokio::sync::{mpsc, oneshot};

use super::newest::Newest;
use super::{merged, words};

/// The first pause after the store did not answer; doubles up to [`PAUSE_MAX`].
const PAUSE_MIN: Duration = Duration::from_millis(50);

/// The longest pause: how late a store that came back is noticed.
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// How long the store may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the store showed.
#[derive(Debug)]
pub(super) enum Shown {
    /// Everything under a prefix.
    Listed {
        prefix: Prefix,
        revision: Revision,
        entries: Vec<Seen>,
        /// Whether the host was told. If not, something newer overtook the listing: list again.
        told: oneshot::Sender<bool>,
    },
    /// What commits changed, the newest of each key.
    Changed(Vec<Seen>),
}

/// A prefix cannot be followed at the moment.
#[derive(Debug, thiserror::Error)]
enum FollowError {
    #[error("cannot read {prefix} from the store")]
    Store {
        prefix: store::Prefix,
        #[source]
        source: StoreError,
    },
    #[error("no answer while reading {prefix} from the store")]
    Late { prefix: store::Prefix },
    #[error("cannot understand what is stored under {prefix}")]
    Value {
        prefix: store::Prefix,
        #[source]
        source: ValueError,
    },
    #[error("the watch of {prefix} ended")]
    Watch {
        prefix: store::Prefix,
        #[source]
        source: WatchError,
    },
}

impl FollowError {
    /// Aloud once for each time that the store goes away, not once for each try.
    fn say(&self, first: bool) {
        let error = self as &dyn std::error::Error;
        match first {
            true => tracing::warn!(error, "trying again until the store can be followed"),
            false => tracing::debug!(error, "trying again"),
        }
    }
}

/// Shows everything that stands under `prefix` and then every change, until the receiver is gone.
pub(super) async fn follow(
    store: Arc<dyn Store>,
    prefix: Prefix,
    newest: Newest,
    shown: mpsc::Sender<Shown>,
) {
    let follower = Follower { spelled: words::under(&prefix).prefix(), store, prefix, newest, shown };
    let mut pause = PAUSE_MIN;
    while !follower.shown.is_closed() {
        match follower.list_and_watch(&mut pause).await {
            Ok(()) => return,
            Err(FollowError::Watch { source: WatchError::Compacted { .. }, prefix }) => {
                tracing::info!(%prefix, "the store forgot changes that were not seen yet; reading all again");
            }
            Err(error) => {
                error.say(pause == PAUSE_MIN);
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
        }
    }
}

struct Follower {
    store: Arc<dyn Store>,
    prefix: Prefix,
    /// The prefix as the store spells it.
    spelled: store::Prefix,
    newest: Newest,
    shown: mpsc::Sender<Shown>,
}

impl Follower {
    /// Returns Ok when nobody listens any more.
    async fn list_and_watch(&self, pause: &mut Duration) -> Result<(), FollowError> {
        let Some(listed) = self.tell_all().await? else { return Ok(()) };
        let mut watch = self.watch(listed).await?;
        *pause = PAUSE_MIN;
        loop {
            let changes = tokio::select! {
                changes = merged::next(&mut watch) => changes,
                () = self.shown.closed() => return Ok(()),
            };
            let prefix = self.spelled.clone();
            let mut seen = Vec::new();
            for change in changes.map_err(|source| FollowError::Watch { prefix, source })? {
                seen.extend(words::change(&change).map_err(self.value())?);
            }
            if !seen.is_empty() && self.shown.send(Shown::Changed(seen)).await.is_err() {
                return Ok(());
            }
        }
    }

    /// Shows everything there is, and answers its revision. None when nobody listens any more.
    async fn tell_all(&self) -> Result<Option<store::Revision>, FollowError> {
        loop {
            self.newest.ask(&self.prefix);
            let snapshot = self.list().await?;
            // A value that cannot be read must not look like one that is gone: then nothing is told at all.
            let entries = words::entries(&snapshot).map_err(self.value())?;
            let (prefix, revision) = (self.prefix.clone(), Revision(snapshot.revision.0));
            let (told, was_told) = oneshot::channel();
            let listed = Shown::Listed { prefix, revision, entries, told };
            if self.shown.send(listed).await.is_err() {
                return Ok(None);
            }
            match was_told.await {
                Ok(true) => return Ok(Some(snapshot.revision)),
                Ok(false) => continue,
                Err(_) => return Ok(None),
            }
        }
    }

    async fn list(&self) -> Result<Snapshot, FollowError> {
        self.in_time(self.store.range(&self.spelled)).await
    }

    async fn watch(&self, after: store::Revision) -> Result<Watch, FollowError> {
        self.in_time(self.store.watch(&self.spelled, after)).await
    }

    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, FollowError> {
        let prefix = self.spelled.clone();
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(answered) => answered.map_err(|source| FollowError::Store { prefix, source }),
            Err(_) => Err(FollowError::Late { prefix }),
        }
    }

    fn value(&self) -> impl FnOnce(ValueError) -> FollowError + use<> {
        let prefix = self.spelled.clone();
        move |source| FollowError::Value { prefix, source }
    }
}
