//! The only place that reads the time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use ipam::Timestamp;
use nix::time::{ClockId, clock_gettime};
use tokio::sync::watch;

/// How long to sleep at most before looking at the clock again: a timer stands still while the machine
/// is suspended, the boot-time clock does not.
const SLEEP_MAX: Duration = Duration::from_secs(5);

/// Tells the time, and waits for it.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since this machine booted, time asleep included (`CLOCK_BOOTTIME`). Never goes back.
    fn now(&self) -> Timestamp;

    /// The time of day, for people and for records: it may jump.
    fn wall(&self) -> jiff::Timestamp;

    /// Returns when [`Clock::now`] has reached `deadline`.
    fn sleep_until(&self, deadline: Timestamp) -> BoxFuture<'_, ()>;
}

/// The machine's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since_boot = match clock_gettime(ClockId::CLOCK_BOOTTIME) {
            Ok(since_boot) => Duration::from(since_boot),
            // Linux has had this clock since 2.6.39, and a pointer of ours cannot be wrong.
            Err(impossible) => unreachable!("CLOCK_BOOTTIME cannot be read: {impossible}"),
        };
        Timestamp(u64::try_from(since_boot.as_millis()).unwrap_or(u64::MAX))
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::now()
    }

    fn sleep_until(&self, deadline: Timestamp) -> BoxFuture<'_, ()> {
        async move {
            loop {
                let left = deadline.0.saturating_sub(self.now().0);
                if left == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(left).min(SLEEP_MAX)).await;
            }
        }
        .boxed()
    }
}

/// A clock that moves only when it is told to. Clones show the same time.
#[derive(Clone)]
pub struct ManualClock {
    time: Arc<watch::Sender<Duration>>,
}

impl ManualClock {
    /// Shows a little more than zero, as a machine that has just booted; its time of day begins at the
    /// Unix epoch.
    pub fn new() -> ManualClock {
        ManualClock { time: Arc::new(watch::Sender::new(Duration::from_secs(1))) }
    }

    /// Moves the time on, and wakes whoever waited for it.
    pub fn advance(&self, by: Duration) {
        self.time.send_modify(|time| *time += by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp(u64::try_from(self.time.borrow().as_millis()).unwrap_or(u64::MAX))
    }

    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH.saturating_add(*self.time.borrow()).unwrap_or(jiff::Timestamp::MAX)
    }

    fn sleep_until(&self, deadline: Timestamp) -> BoxFuture<'_, ()> {
        async move {
            let mut time = self.time.subscribe();
            // The sender lives as long as this clock, so this ends only when the time has come.
            let _ = time.wait_for(|time| time.as_millis() >= u128::from(deadline.0)).await;
        }
        .boxed()
    }
}

impl Default for ManualClock {
    fn default() -> ManualClock {
        ManualClock::new()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ManualClock({})", self.now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_time_clock_agrees_with_the_kernels_uptime() {
        let uptime: f64 =
            std::fs::read_to_string("/proc/uptime").unwrap().split(' ').next().unwrap().parse().unwrap();
        let now = SystemClock.now().0 as f64 / 1000.0;
        assert!((uptime..uptime + 5.0).contains(&(now + 0.01)), "uptime {uptime}, clock {now}");
    }

    #[tokio::test]
    async fn waiting_ends_when_the_time_has_come_and_not_before() {
        let clock = ManualClock::new();
        let deadline = clock.now().after(100);
        let mut waiting = clock.sleep_until(deadline);
        clock.advance(Duration::from_millis(99));
        assert!(waiting.as_mut().now_or_never().is_none());
        clock.advance(Duration::from_millis(1));
        waiting.await;
        assert_eq!(clock.now(), deadline);
    }

    #[tokio::test]
    async fn waiting_for_the_past_does_not_wait() {
        SystemClock.sleep_until(Timestamp(0)).await;
        ManualClock::new().sleep_until(Timestamp(0)).await;
    }
}
