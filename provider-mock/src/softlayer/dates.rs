//! Dates as SoftLayer writes them: `2019-04-02T13:45:52-06:00`, the time of Dallas without its summer time.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{Offset, TimeZone};

/// A date as a text.
pub(super) fn show(time: Timestamp) -> String {
    let dallas = TimeZone::fixed(Offset::constant(-6));
    time.to_zoned(dallas).strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

/// The date in such a text, by the clock of Dallas.
pub(super) fn read(text: &str) -> Option<DateTime> {
    DateTime::strptime("%Y-%m-%dT%H:%M:%S", text.get(..19)?).ok()
}
