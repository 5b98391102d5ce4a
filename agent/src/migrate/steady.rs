//! Asks a store again while it is away.

use std::time::Duration;

use store::StoreError;

/// How often a store that is away is asked before the command gives up.
const TRIES: u32 = 10;

/// Between two tries: a store that elects a leader is back within a few.
const PAUSE: Duration = Duration::from_secs(1);

/// Asks again as long as the store is away. What is asked must bear being done twice: an unknown outcome is
/// asked again too.
pub(crate) async fn steadily<T, F>(ask: impl Fn() -> F) -> Result<T, StoreError>
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut tries = 1;
    loop {
        match ask().await {
            Err(StoreError::Unavailable(_) | StoreError::UnknownOutcome(_)) if tries < TRIES => {
                tries += 1;
                tokio::time::sleep(PAUSE).await;
            }
            answer => return answer,
        }
    }
}
