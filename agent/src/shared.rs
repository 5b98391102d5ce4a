//! The store that the configuration names, and how it is doing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ::api::Source;
use store::{
    BoxFuture, Commit, EmbeddedStore, EtcdStore, Key, Prefix, Read, Revision, Session, Snapshot, Store,
    StoreError, Transaction, Watch,
};

use crate::config::{Config, StoreKind};
use crate::troubles::{Trouble, Troubles, with_causes};

/// Opens the store. One on etcd need not be there yet: it is asked for with every call.
pub(crate) async fn open(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    Ok(match &config.store {
        StoreKind::Embedded => Arc::new(EmbeddedStore::open(config.rim.host.store_file()).await?),
        StoreKind::Etcd(options) => Arc::new(EtcdStore::new(options.clone())),
    })
}

/// The same store; how its last call went is on the status page.
pub(crate) fn noted(store: Arc<dyn Store>, troubles: Troubles) -> Arc<dyn Store> {
    Arc::new(Noted { store, troubles, good: AtomicBool::new(false), unwritten: Mutex::new(None) })
}

struct Noted {
    store: Arc<dyn Store>,
    troubles: Troubles,
    /// Whether it was said to be good last. Said once: who misses something in a store that answers has
    /// the word then.
    good: AtomicBool,
    /// When a write was refused last, if none has succeeded since: a store without room, or without rights, still
    /// answers whoever reads.
    unwritten: Mutex<Option<Instant>>,
}

/// How long a refused write counts although everything is read. Whoever has something to write tries again sooner.
const UNWRITTEN: Duration = Duration::from_secs(60);

/// Whether a call would change something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Call {
    Read,
    Write,
}

impl Noted {
    fn note<T>(&self, call: Call, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        let mut unwritten = self.unwritten.lock().unwrap_or_else(PoisonError::into_inner);
        match &answer {
            Ok(_) if call == Call::Read && unwritten.is_some_and(|at| at.elapsed() < UNWRITTEN) => {}
            Ok(_) => {
                *unwritten = None;
                if !self.good.swap(true, Ordering::Relaxed) {
                    self.troubles.over(Source::Store);
                }
            }
            // The store answered, and is well.
            Err(
                StoreError::SessionLapsed { .. }
                | StoreError::TooLarge { .. }
                | StoreError::TooManyOperations { .. }
                | StoreError::TransactionTooLarge { .. }
                | StoreError::WrittenTwice { .. },
            ) => {}
            Err(error) => {
                let refuses = error.is_out_of_room() || matches!(error, StoreError::Denied(_));
                if call == Call::Write && refuses {
                    *unwritten = Some(Instant::now());
                }
                self.good.store(false, Ordering::Relaxed);
                let trouble =
                    Trouble { problem: with_causes(error), hint: Some(cure(error).into()), after: None };
                self.troubles.note(Source::Store, trouble);
            }
        }
        answer
    }
}

/// What an operator can do about a store that does not do what it is asked.
pub(crate) fn cure(error: &StoreError) -> &'static str {
    match error {
        error if error.is_out_of_room() => {
            "compact and defragment etcd, then `etcdctl alarm disarm` (docs/operating.md, \"etcd is full\"); hosts go \
             on by themselves"
        }
        StoreError::Denied(_) => {
            "give the user of [store] its rights back: `etcdctl user get`, `etcdctl role get`, and the password in \
             password_file; hosts go on by themselves"
        }
        StoreError::Certificate(_) => {
            "renew what has expired: `openssl x509 -noout -dates -ext subjectAltName -in FILE` on both sides, and look \
             at the clock; a new file is read by itself"
        }
        StoreError::Credentials { .. } => "put the file that is named right; it is read again by itself",
        StoreError::AnotherEtcd { .. } => {
            "name the members of one etcd in `endpoints`; after a restore on purpose restart berthd"
        }
        StoreError::SetBack { .. } => {
            "bring its memory back before anything else (docs/operating.md, \"A frozen cluster\")"
        }
        StoreError::Full { .. } => "make room on the disk of state_dir; nothing is lost",
        StoreError::Refused(_) => {
            "set etcd's `--max-request-bytes` and `--max-txn-ops` to their defaults at least"
        }
        StoreError::Unavailable(_) | StoreError::UnknownOutcome(_) | StoreError::NoRoom(_) => {
            "`etcdctl endpoint status --cluster -w table` says who is missing; containers run on, and hosts go on by \
             themselves"
        }
        StoreError::Corrupt { .. }
        | StoreError::Format { .. }
        | StoreError::InUse { .. }
        | StoreError::Open { .. }
        | StoreError::TooLarge { .. }
        | StoreError::TooManyOperations { .. }
        | StoreError::WrittenTwice { .. }
        | StoreError::SessionLapsed { .. }
        | StoreError::TransactionTooLarge { .. }
        | StoreError::Closed => "see `journalctl -u berthd -e`",
    }
}

impl Store for Noted {
    fn get<'a>(&'a self, key: &'a Key) -> BoxFuture<'a, Result<Read, StoreError>> {
        Box::pin(async move { self.note(Call::Read, self.store.get(key).await) })
    }

    fn range<'a>(&'a self, prefix: &'a Prefix) -> BoxFuture<'a, Result<Snapshot, StoreError>> {
        Box::pin(async move { self.note(Call::Read, self.store.range(prefix).await) })
    }

    fn commit(&self, transaction: Transaction) -> BoxFuture<'_, Result<Commit, StoreError>> {
        Box::pin(async move {
            let call = if transaction.writes.is_empty() { Call::Read } else { Call::Write };
            self.note(call, self.store.commit(transaction).await)
        })
    }

    fn watch<'a>(&'a self, prefix: &'a Prefix, after: Revision) -> BoxFuture<'a, Result<Watch, StoreError>> {
        Box::pin(async move { self.note(Call::Read, self.store.watch(prefix, after).await) })
    }

    fn begin_session<'a>(
        &'a self,
        key: &'a Key,
        value: Vec<u8>,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Session, StoreError>> {
        Box::pin(async move { self.note(Call::Write, self.store.begin_session(key, value, ttl).await) })
    }

    fn keep_alive<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.note(Call::Read, self.store.keep_alive(session).await) })
    }

    fn end_session<'a>(&'a self, session: &'a Session) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.note(Call::Read, self.store.end_session(session).await) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;
    use ::api::Condition;
    use store::MemoryStore;

    fn full() -> StoreError {
        StoreError::NoRoom("etcdserver: mvcc: database space exceeded".into())
    }

    fn noted(troubles: &Troubles) -> Noted {
        let (store, good) = (Arc::new(MemoryStore::new()), AtomicBool::new(false));
        Noted { store, troubles: troubles.clone(), good, unwritten: Mutex::new(None) }
    }

    #[test]
    fn a_store_without_room_is_not_well_because_it_can_be_read() {
        let troubles = Troubles::new(Arc::new(ManualClock::new()));
        let noted = noted(&troubles);
        let _ = noted.note::<()>(Call::Write, Err(full()));
        let _ = noted.note(Call::Read, Ok(()));
        let Condition::Failing { problem, hint, .. } = troubles.of(Source::Store) else {
            panic!("it is full")
        };
        assert!(problem.contains("no room left"), "{problem}");
        assert!(hint.is_some_and(|hint| hint.contains("alarm disarm")));
        let _ = noted.note(Call::Write, Ok(()));
        assert_eq!(troubles.of(Source::Store), Condition::Good);
    }

    #[test]
    fn a_store_without_room_is_called_so_also_where_it_may_have_executed_what_it_refused() {
        let troubles = Troubles::new(Arc::new(ManualClock::new()));
        let noted = noted(&troubles);
        let cause = Box::new(store::OutOfRoom("etcdserver: mvcc: database space exceeded".into()));
        let _ = noted.note::<()>(Call::Write, Err(StoreError::UnknownOutcome(cause)));
        let _ = noted.note(Call::Read, Ok(()));
        let Condition::Failing { problem, hint, .. } = troubles.of(Source::Store) else {
            panic!("it is full")
        };
        assert!(problem.contains("no room left"), "{problem}");
        assert!(hint.is_some_and(|hint| hint.contains("alarm disarm")));
    }

    #[test]
    fn a_store_that_was_away_is_well_as_soon_as_it_answers() {
        let troubles = Troubles::new(Arc::new(ManualClock::new()));
        let noted = noted(&troubles);
        let _ = noted.note::<()>(Call::Write, Err(StoreError::Unavailable("no route to host".into())));
        assert!(matches!(troubles.of(Source::Store), Condition::Failing { .. }));
        let _ = noted.note(Call::Read, Ok(()));
        assert_eq!(troubles.of(Source::Store), Condition::Good);
    }
}
