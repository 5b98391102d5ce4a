//! Waiting for a condition, never for a time.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Often enough to lose no time, seldom enough to leave the processor to those we wait for.
const LOOK_EVERY: Duration = Duration::from_millis(25);

/// Looks until `look` finds something, and hands it out.
///
/// `look` answers `Ok(None)` for "not yet" and an error for "never".
///
/// # Errors
/// The error of `look`, or that `what` did not happen within `limit`.
pub fn until<T>(limit: Duration, what: &str, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok(found);
        }
        if start.elapsed() > limit {
            bail!("waited {} s for this, in vain: {what}", limit.as_secs());
        }
        thread::sleep(LOOK_EVERY);
    }
}
