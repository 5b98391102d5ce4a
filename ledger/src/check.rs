//! The oracle's sixth sentence: intervals of an address are disjoint.

use crate::interval::Interval;

/// What is broken, one sentence each; nothing if all is well. `intervals` may be of many addresses, in
/// any order, each assignment once.
///
/// Order comes from epochs. On one host an assignment ends before the next begins, by its wall clock or
/// by that clock with its recorded steps taken out. The clocks of two hosts may differ by
/// `apart_millis` before their word is doubted.
pub fn broken<'a>(intervals: impl IntoIterator<Item = &'a Interval>, apart_millis: u64) -> Vec<String> {
    let mut ordered: Vec<&Interval> = intervals.into_iter().collect();
    ordered.sort_by_key(|interval| interval.order());
    let ends = ordered.iter().filter_map(|interval| backwards(interval));
    let neighbours = ordered.windows(2).filter(|pair| pair[0].address == pair[1].address);
    ends.chain(neighbours.filter_map(|pair| overlap(pair[0], pair[1], apart_millis))).collect()
}

fn backwards(interval: &Interval) -> Option<String> {
    let end = interval.end?;
    let raw = interval.from <= end.at;
    let corrected = steady(interval.from.0, interval.from_offset) <= steady(end.at.0, end.offset);
    let Interval { address, epoch, .. } = interval;
    (!raw && !corrected).then(|| format!("{address} under {epoch} ended before it began"))
}

fn overlap(before: &Interval, after: &Interval, apart_millis: u64) -> Option<String> {
    let address = before.address;
    if before.epoch == after.epoch {
        return Some(format!("{address} was assigned twice under {}", before.epoch));
    }
    let Some(end) = before.end else {
        return Some(format!(
            "{address} still runs under {} on {}, and was assigned under {} on {}",
            before.epoch, before.host, after.epoch, after.host
        ));
    };
    let tolerated = if before.host == after.host { 0 } else { i128::from(apart_millis) };
    let raw = i128::from(end.at.0) <= i128::from(after.from.0) + tolerated;
    let corrected = steady(end.at.0, end.offset) <= steady(after.from.0, after.from_offset) + tolerated;
    (!raw && !corrected).then(|| {
        format!(
            "{address} was assigned under {} on {} before {} on {} had ended",
            after.epoch, after.host, before.epoch, before.host
        )
    })
}

/// The wall clock with its steps taken out.
fn steady(at: u64, offset: i64) -> i128 {
    i128::from(at) - i128::from(offset)
}
