//! Is the ledger written, kept twice, and within its limits?

use super::{bad, good, unknown};
use crate::api::Desk;
use crate::ledger::{Limits, Report};
use ::api::Examination;

/// A limit is near when this much of it is used, in percent.
const NEAR_PERCENT: u64 = 90;

pub(super) fn examine(desk: &Desk) -> Vec<Examination> {
    let Some(ledger) = desk.ledger.borrow().clone() else {
        return vec![unknown("ledger", "it is not open yet")];
    };
    let report = ledger.report();
    vec![written(&report), window(&report, ledger.limits()), disk(&report, ledger.limits())]
}

fn written(report: &Report) -> Examination {
    match &report.trouble {
        None => good("ledger", format!("written; {} ended assignments wait for it", report.waiting)),
        Some(trouble) => bad(
            "ledger",
            format!(
                "{} ended assignments wait in the journal, {} segments on the disk: {trouble}",
                report.waiting, report.spilled
            ),
            "mend the store or the disk; nothing is lost meanwhile",
        ),
    }
}

fn window(report: &Report, limits: &Limits) -> Examination {
    let name = "ledger in the store";
    let found = format!("{} of {} MiB", mib(report.store_bytes), mib(limits.store_bytes_max));
    if report.alone > 0 && !report.only_host {
        return bad(
            name,
            format!("{found}; {} sealed segments wait for a second host to keep them", report.alone),
            "see that berthd runs on another host of the cluster, with room in its state_dir",
        );
    }
    if is_near(report.store_bytes, limits.store_bytes_max) {
        let cure = "raise store_mib_max in [ledger], or lower window_hours";
        return bad(name, format!("{found} in use"), cure);
    }
    good(name, found)
}

fn disk(report: &Report, limits: &Limits) -> Examination {
    let name = "ledger on disk";
    let per = report.disk_bytes.checked_div(report.intervals).unwrap_or(0);
    let copies = if report.only_host { ", the only copy: there is no other host" } else { "" };
    let found = format!(
        "{} of {} MiB, {} assignments in {} segments, {per} bytes each{copies}",
        mib(report.disk_bytes),
        mib(limits.disk_bytes_max),
        report.intervals,
        report.segments,
    );
    if is_near(report.disk_bytes, limits.disk_bytes_max) {
        let cure = "raise disk_mib_max in [ledger] before the oldest are removed, or export them: `berth \
                    address history --json-lines`";
        return bad(name, found, cure);
    }
    good(name, found)
}

fn is_near(used: u64, max: u64) -> bool {
    used.saturating_mul(100) >= max.saturating_mul(NEAR_PERCENT)
}

fn mib(bytes: u64) -> u64 {
    bytes.div_ceil(1024 * 1024)
}
