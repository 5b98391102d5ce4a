//! How the parts that the agent stands on are doing, as those who use them last noticed. For the status
//! page; nothing is decided by it.

use crate::clock::Clock;
use ::api::{Condition, Source};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The conditions of all parts. Clones show and change the same ones.
#[derive(Clone)]
pub struct Troubles {
    clock: Arc<dyn Clock>,
    conditions: Arc<Mutex<BTreeMap<Source, Condition>>>,
}

/// What is the matter with a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// The error with its causes.
    pub problem: String,
    /// What an operator can do about it.
    pub hint: Option<String>,
    /// When the part is asked again; none if only an operator can help.
    pub after: Option<Duration>,
}

impl Trouble {
    /// An error that is tried again `after` this time.
    pub fn passing(error: &(dyn Error + 'static), after: Duration) -> Self {
        Self { problem: with_causes(error), hint: None, after: Some(after) }
    }
}

impl Troubles {
    /// Nothing noticed yet.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, conditions: Arc::default() }
    }

    /// A part failed. The time since when is that of its first failure.
    pub fn note(&self, part: Source, trouble: Trouble) {
        let now = self.clock.wall();
        let mut conditions = self.lock();
        let since = match conditions.get(&part) {
            Some(Condition::Failing { since, .. }) => *since,
            _ => now,
        };
        let Trouble { problem, hint, after } = trouble;
        let next_try = after.and_then(|after| now.checked_add(after).ok());
        conditions.insert(part, Condition::Failing { problem, hint, since, next_try });
    }

    /// A part answered.
    pub fn over(&self, part: Source) {
        self.lock().insert(part, Condition::Good);
    }

    /// How a part is doing.
    pub fn of(&self, part: Source) -> Condition {
        self.lock().get(&part).cloned().unwrap_or(Condition::Unasked)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Source, Condition>> {
        // Every change is one insertion, so a panic leaves the map whole.
        self.conditions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error and its causes in one line.
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn trouble(problem: &str) -> Trouble {
        Trouble { problem: problem.into(), hint: None, after: Some(Duration::from_secs(5)) }
    }

    #[test]
    fn a_part_fails_since_its_first_failure_and_is_good_once_it_answers() {
        let clock = ManualClock::new();
        let troubles = Troubles::new(Arc::new(clock.clone()));
        assert_eq!(troubles.of(Source::Cloud), Condition::Unasked);
        troubles.note(Source::Cloud, trouble("first"));
        let Condition::Failing { since: first, .. } = troubles.of(Source::Cloud) else { panic!("it failed") };
        clock.advance(Duration::from_secs(7));
        troubles.note(Source::Cloud, trouble("second"));
        let Condition::Failing { since, problem, next_try, .. } = troubles.of(Source::Cloud) else {
            panic!("it failed again")
        };
        assert_eq!((since, problem.as_str()), (first, "second"));
        assert_eq!(next_try, Some(first + Duration::from_secs(12)));
        troubles.over(Source::Cloud);
        assert_eq!(troubles.of(Source::Cloud), Condition::Good);
    }
}
