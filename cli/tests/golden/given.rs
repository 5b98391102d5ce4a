//! What several answers have in common.

use api::Counts;
use jiff::Timestamp;

pub(crate) fn at(time: &str) -> Timestamp {
    format!("2026-11-22T{time}Z").parse().expect("a time of day")
}

pub(crate) fn counts() -> Counts {
    Counts { assigned: 2, cooling: 1, free: 29, unheld: 28, set_aside: 4, ..Counts::default() }
}
