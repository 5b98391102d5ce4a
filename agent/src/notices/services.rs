//! Labels that cannot be followed, and members that could not be registered.

use crate::api::Desk;
use ::api::Notice;

/// What the last look at this host's containers found.
pub(super) fn of_this_host(desk: &Desk) -> Vec<Notice> {
    let report = desk.registered.borrow();
    let labels = report.faults.iter().map(|fault| {
        let said = fault.to_string();
        let (problem, hint) = said.split_once("; hint: ").unwrap_or((&said, "look at its labels"));
        Notice { about: "labels of services".to_owned(), problem: problem.to_owned(), hint: hint.to_owned() }
    });
    let trouble = report.trouble.iter().map(|trouble| Notice {
        about: "services".to_owned(),
        problem: format!("members on this host are not registered yet: {trouble}"),
        hint: "it is tried again every second; `berth status` says how the store is doing".to_owned(),
    });
    labels.chain(trouble).collect()
}
