//! What the reader of a history must know of clocks. Times are those of the host that had the address; what came
//! first is decided by epochs, never by times.

use ::ledger::Interval;
use ipam::HostId;
use std::collections::BTreeMap;
use std::time::Duration;

/// Sentences: whose clock differs from this host's now, and where two hosts' times contradict the epochs.
/// `intervals` are in the order of addresses and epochs; `ahead` is in milliseconds.
pub(super) fn told(intervals: &[Interval], ahead: &BTreeMap<HostId, i64>) -> Vec<String> {
    let differ = ahead.iter().map(|(host, ahead)| {
        let way = if *ahead > 0 { "ahead of" } else { "behind" };
        format!(
            "the clock of {host} is {} {way} this host's now; its times are by its own",
            span(ahead.unsigned_abs())
        )
    });
    let pairs = intervals.windows(2).filter(|pair| pair[0].address == pair[1].address);
    let contradicting = pairs.filter_map(|pair| {
        let (before, after) = (&pair[0], &pair[1]);
        let end = before.until()?;
        (before.host != after.host && !after.earlier && end > after.from).then(|| {
            format!(
                "{}: by the clock of {} it began there {} before it ended on {} by that one's; by their epochs {} had \
                 it first",
                after.address,
                after.host,
                span(end.0 - after.from.0),
                before.host,
                before.host,
            )
        })
    });
    differ.chain(contradicting).collect()
}

/// A time for people, to the second.
fn span(millis: u64) -> String {
    let seconds = Duration::from_millis(millis).as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}.{} s", millis % 1000 / 100),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::ledger::{End, Moment, Why};

    const HOUR: u64 = 3_600_000;

    fn interval(host: &str, take: u64, from: u64, to: Option<u64>) -> Interval {
        let end = |to| End { at: Moment(to), offset: 0, why: Why::Released };
        Interval {
            address: [10, 50, 0, 2].into(),
            epoch: ipam::Epoch { generation: ipam::Generation { number: 1, id: 1 }, take, counter: 1 },
            host: host.into(),
            endpoint: None,
            container: None,
            from: Moment(from),
            from_offset: 0,
            earlier: false,
            unknown: false,
            end: to.map(end),
        }
    }

    #[test]
    fn clocks_that_agree_need_no_word() {
        let told = told(&[interval("h1", 1, 0, Some(HOUR)), interval("h2", 2, HOUR, None)], &BTreeMap::new());
        assert_eq!(told, [""; 0]);
    }

    #[test]
    fn times_that_contradict_the_epochs_are_said_to() {
        let history = [interval("h1", 1, 10 * HOUR, Some(12 * HOUR)), interval("h2", 2, 9 * HOUR, None)];
        let expected = "10.50.0.2: by the clock of h2 it began there 3 h 0 min before it ended on h1 by that one's; by \
                        their epochs h1 had it first";
        assert_eq!(told(&history, &BTreeMap::new()), [expected]);
    }

    #[test]
    fn a_clock_that_is_off_now_is_named_with_its_difference() {
        let ahead = BTreeMap::from([("h2".into(), 7_380_000), ("h3".into(), -2_500)]);
        let expected = [
            "the clock of h2 is 2 h 3 min ahead of this host's now; its times are by its own",
            "the clock of h3 is 2.5 s behind this host's now; its times are by its own",
        ];
        assert_eq!(told(&[], &ahead), expected);
    }
}
