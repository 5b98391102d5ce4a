//! Moments and spans of time as people write them.

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

/// A span of time, open where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct During {
    pub(crate) from: Option<Timestamp>,
    pub(crate) to: Option<Timestamp>,
}

/// A moment: with its offset (2026-11-20T14:05:00Z), or without one, on this machine's clock.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment);
    }
    let local = text.parse::<DateTime>().ok().and_then(|it| it.to_zoned(TimeZone::system()).ok());
    let local = local.as_ref().map(Zoned::timestamp);
    local.ok_or_else(|| "write it as 2026-11-20T14:05:00Z, or as 2026-11-20T14:05 for this clock".into())
}

/// A span: two moments with `..` between them, either of which may be left out.
pub(crate) fn during(text: &str) -> Result<During, String> {
    let Some((from, to)) = text.split_once("..") else {
        return Err("write it as 2026-11-20T14:00..2026-11-20T15:00; either side may be left out".into());
    };
    let side = |text: &str| if text.is_empty() { Ok(None) } else { moment(text).map(Some) };
    let during = During { from: side(from)?, to: side(to)? };
    match (during.from, during.to) {
        (Some(from), Some(to)) if from > to => Err("the first moment must not be after the second".into()),
        _ => Ok(during),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_may_be_open_and_does_not_run_backwards() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (a, b) = ("2026-11-20T14:00:00Z", "2026-11-20T15:00:00+01:00");
        assert_eq!(during(&format!("{a}..{b}")), Ok(During { from: Some(at(a)), to: Some(at(b)) }));
        assert_eq!(during(&format!("{a}..")), Ok(During { from: Some(at(a)), to: None }));
        assert_eq!(during(".."), Ok(During::default()));
        assert!(during("2026-11-20T15:00:00Z..2026-11-20T14:00:00Z").is_err());
        assert!(during("yesterday").is_err() && moment("yesterday").is_err());
    }

    #[test]
    fn a_moment_without_an_offset_is_on_this_clock() {
        let civil: DateTime = "2026-11-20T14:05".parse().unwrap();
        let expected = civil.to_zoned(TimeZone::system()).unwrap().timestamp();
        assert_eq!(moment("2026-11-20T14:05"), Ok(expected));
    }
}
