//! What the store answered to a question lately. Asked once for all who want to know the same at the same time.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ipam::Timestamp;
use tokio::sync::OnceCell;

use super::budget::Budget;
use crate::clock::Clock;
use crate::services::ServicesError;
use crate::troubles::with_causes;

/// How long an answer counts, in milliseconds. What the container of another host is called, and that there is none,
/// may be so far behind.
const FRESH_MILLIS: u64 = 5_000;

/// How long an answer counts when the store gives no newer one, in milliseconds: no longer than addresses rest before
/// another container may have them, so that nobody is led to one.
const STALE_MILLIS: u64 = 30_000;

/// How soon the store is asked again that did not answer, in milliseconds.
const AGAIN_MILLIS: u64 = 1_000;

/// How long a client waits for it. Resolvers give up after five seconds, and ask another server.
const PATIENCE: Duration = Duration::from_secs(2);

/// So many answers are kept: bounds what may be asked for.
const KEPT_MAX: usize = 8_192;

/// It cannot be told now; why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unsure(pub(super) String);

/// Answers of the store, by what was asked for.
pub(super) struct Asked<V> {
    clock: Arc<dyn Clock>,
    budget: Arc<Mutex<Budget>>,
    slots: Mutex<HashMap<String, Slot<V>>>,
}

struct Slot<V> {
    at: Timestamp,
    answer: Arc<OnceCell<Result<V, Unsure>>>,
    /// The last answer that was one.
    last: Option<(Timestamp, V)>,
}

impl<V: Clone> Asked<V> {
    pub(super) fn new(clock: Arc<dyn Clock>, budget: Arc<Mutex<Budget>>) -> Self {
        Self { clock, budget, slots: Mutex::default() }
    }

    /// What the store says of it, asked in the name of `from` if that is not known.
    pub(super) async fn ask(
        &self,
        what: &str,
        from: IpAddr,
        store: impl Future<Output = Result<V, ServicesError>>,
    ) -> Result<V, Unsure> {
        let now = self.clock.now();
        let (answer, last) = self.slot(what, from, now)?;
        let asked = async {
            let told = tokio::time::timeout(PATIENCE, store).await;
            told.map_err(|_| Unsure("the store does not answer".to_owned()))?
                .map_err(|error| Unsure(with_causes(&error)))
        };
        let answer = answer.get_or_init(|| asked).await.clone();
        match (answer, last) {
            (Ok(answer), _) => Ok(answer),
            (Err(_), Some((at, last))) if at.after(STALE_MILLIS) > now => Ok(last),
            (Err(unsure), _) => Err(unsure),
        }
    }

    /// The place of the answer, and the one before it.
    #[expect(clippy::type_complexity, reason = "two parts of one slot")]
    fn slot(
        &self,
        what: &str,
        from: IpAddr,
        now: Timestamp,
    ) -> Result<(Arc<OnceCell<Result<V, Unsure>>>, Option<(Timestamp, V)>), Unsure> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.get(what) {
            let counts = match slot.answer.get() {
                Some(Err(_)) => AGAIN_MILLIS,
                Some(Ok(_)) | None => FRESH_MILLIS,
            };
            if slot.at.after(counts) > now {
                return Ok((Arc::clone(&slot.answer), slot.last.clone()));
            }
        }
        if !self.budget.lock().unwrap_or_else(PoisonError::into_inner).spend(from, now) {
            return Err(Unsure("too many unknown names are asked for".to_owned()));
        }
        if slots.len() >= KEPT_MAX {
            slots.retain(|_, slot| slot.at.after(FRESH_MILLIS) > now);
        }
        if slots.len() >= KEPT_MAX {
            slots.clear();
        }
        let before = slots.remove(what);
        let last = before.and_then(|slot| match slot.answer.get() {
            Some(Ok(answer)) => Some((slot.at, answer.clone())),
            _ => slot.last,
        });
        let answer = Arc::new(OnceCell::new());
        slots.insert(what.to_owned(), Slot { at: now, answer: Arc::clone(&answer), last: last.clone() });
        Ok((answer, last))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;

    use super::*;
    use crate::clock::ManualClock;

    const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn many_who_ask_at_once_ask_once_and_again_when_it_is_old() {
        let clock = ManualClock::new();
        let asked: Asked<usize> = Asked::new(Arc::new(clock.clone()), Arc::default());
        let count = AtomicUsize::new(0);
        let store = || async {
            tokio::task::yield_now().await;
            Ok(count.fetch_add(1, Ordering::Relaxed))
        };
        let all = join_all((0..50).map(|_| asked.ask("web", FROM, store()))).await;
        assert!(all.iter().all(|answer| *answer == Ok(0)), "{all:?}");
        clock.advance(Duration::from_millis(FRESH_MILLIS));
        assert_eq!(asked.ask("web", FROM, store()).await, Ok(1));
    }

    #[tokio::test]
    async fn while_the_store_is_away_its_last_answer_counts_for_as_long_as_addresses_rest() {
        let clock = ManualClock::new();
        let asked: Asked<usize> = Asked::new(Arc::new(clock.clone()), Arc::default());
        assert_eq!(asked.ask("web", FROM, async { Ok(7) }).await, Ok(7));
        for _ in 0..4 {
            clock.advance(Duration::from_millis(FRESH_MILLIS));
            assert_eq!(asked.ask("web", FROM, async { Err(ServicesError::Late) }).await, Ok(7));
        }
        clock.advance(Duration::from_millis(STALE_MILLIS));
        assert!(asked.ask("web", FROM, async { Err(ServicesError::Late) }).await.is_err());
    }

    #[tokio::test]
    async fn who_asks_for_names_that_nobody_has_is_told_to_wait() {
        let asked: Asked<usize> = Asked::new(Arc::new(ManualClock::new()), Arc::default());
        let mut refused = 0;
        for n in 0..1_000 {
            refused += usize::from(asked.ask(&format!("x{n}"), FROM, async { Ok(n) }).await.is_err());
        }
        assert!(refused > 800, "{refused} of 1000 were refused");
        // What is known costs nothing.
        assert_eq!(asked.ask("x0", FROM, async { Err(ServicesError::Late) }).await, Ok(0));
    }
}
