//! The rounds of whoever looks after an object of the provider: pass, rest, pass again.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::error::OwnerError;
use super::post::Post;
use crate::troubles::with_causes;

/// Members come and go in bursts: one pass serves them all.
const BURST: Duration = Duration::from_millis(20);

/// How long a call may go on that is under way when this agent stops.
const GRACE: Duration = Duration::from_secs(5);

/// How long until the next pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// Until something changes.
    UntilChange,
    /// At most so long.
    AtMost(Duration),
    /// So long, whatever changes.
    Exactly(Duration),
}

/// Looks after one object of the provider. Level-triggered: a pass remembers nothing that the store and the provider do
/// not show, but for what is about waiting.
pub(super) trait Keeper: Send {
    /// Whose load balancers and firewalls they are.
    type Provider: Send + Sync + 'static;

    /// What every keeper has.
    fn post(&mut self) -> &mut Post<Self::Provider>;

    /// Looks, decides, and does one step.
    fn pass(&mut self) -> impl Future<Output = Result<Pause, OwnerError>> + Send;

    /// Tells whoever asks what is wrong. Where the store is what fails, nobody can be told.
    fn complain(&mut self, words: String) -> impl Future<Output = ()> + Send;
}

/// Looks after it until `stop`. A call that is under way then is waited for a while: cut off, it is in doubt, and the
/// next owner waits for it.
pub(super) async fn run<K: Keeper>(mut keeper: K, stop: CancellationToken) {
    let cut_off = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::pin!(cut_off);
    let mut failures = 0;
    while !stop.is_cancelled() {
        let outcome = tokio::select! {
            outcome = keeper.pass() => outcome,
            () = &mut cut_off => return,
        };
        let pause = match outcome {
            Ok(pause) => {
                failures = 0;
                pause
            }
            Err(error) => {
                failures += 1;
                rest_after(&mut keeper, &error, failures).await
            }
        };
        tokio::select! {
            () = stop.cancelled() => {}
            () = wait(keeper.post(), pause) => {}
        }
    }
    keeper.post().resign().await;
}

async fn wait<P>(post: &mut Post<P>, pause: Pause) {
    let something = async {
        post.changed().await;
        tokio::time::sleep(BURST).await;
    };
    match pause {
        Pause::Exactly(span) => tokio::time::sleep(span).await,
        Pause::UntilChange => something.await,
        Pause::AtMost(span) => drop(tokio::time::timeout(span, something).await),
    }
}

async fn rest_after<K: Keeper>(keeper: &mut K, error: &OwnerError, failures: u32) -> Pause {
    let post = keeper.post();
    if error.is_in_doubt() {
        post.doubt();
    }
    let (first, most) = post.parts.timing.retry;
    if error.is_a_race() {
        return Pause::AtMost(jittered(first / 4));
    }
    let pause = jittered(backoff(first, failures - 1, most).max(error.rest()));
    let (words, object) = (with_causes(error), post.object());
    tracing::warn!(object, error = words, again_in = ?pause, "cannot look after an object of the provider");
    keeper.complain(words).await;
    if error.asks_for_rest() { Pause::Exactly(pause) } else { Pause::AtMost(pause) }
}

/// Doubles with each time, up to a limit.
pub(super) fn backoff(first: Duration, times: u32, most: Duration) -> Duration {
    first.saturating_mul(1 << times.min(16)).min(most)
}

/// Owners of many objects do not all ask at once.
pub(super) fn jittered(span: Duration) -> Duration {
    span.mul_f64(rand::random_range(0.8..1.2))
}
