//! This host's time of day against the provider's.
//!
//! Nothing that Berth decides depends on it: it counts by the boot-time clock, and looks for orders by the provider's.
//! Certificates, logs and the ledger's times do.

use crate::api::Desk;
use ::api::Notice;
use jiff::SignedDuration;
use provider::Provider;

/// An answer is on its way for some seconds, and a header's `Date` has whole ones.
const OFF_MAX: SignedDuration = SignedDuration::from_secs(30);

/// Whether this host's clock is far from the provider's, by its last answer.
pub(super) fn off(desk: &Desk) -> Option<Notice> {
    let cloud = desk.cloud().ok()?;
    judge(cloud.name(), cloud.clock_ahead()?)
}

fn judge(provider: &str, ahead: SignedDuration) -> Option<Notice> {
    if ahead.abs() <= OFF_MAX {
        return None;
    }
    // Its clock ahead is ours behind.
    let side = if ahead.is_positive() { "behind" } else { "ahead of" };
    let minutes = ahead.abs().as_secs() / 60;
    let (hours, minutes, secs) = (minutes / 60, minutes % 60, ahead.abs().as_secs() % 60);
    Some(Notice {
        about: "clock".to_owned(),
        problem: format!(
            "this host's time of day is {hours} h {minutes} min {secs} s {side} {provider}'s: addresses and orders do \
             not depend on it, but certificates, logs and the times in `berth address history` do"
        ),
        hint: "let a time service set it: `timedatectl set-ntp true`".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_hours_off_is_named_with_its_side_and_one_that_is_seconds_off_is_not() {
        assert_eq!(judge("SoftLayer", SignedDuration::from_secs(-29)), None);
        let behind = judge("SoftLayer", SignedDuration::from_secs(3 * 3600 + 61)).unwrap();
        assert!(behind.problem.contains("is 3 h 1 min 1 s behind SoftLayer's"), "{}", behind.problem);
        let ahead = judge("SoftLayer", SignedDuration::from_hours(-2)).unwrap();
        assert!(ahead.problem.contains("2 h 0 min 0 s ahead of"), "{}", ahead.problem);
    }
}
