//! Addresses at which names cannot be answered.

use crate::api::Desk;
use ::api::Notice;

/// Where this host cannot listen, or finds nowhere to.
pub(super) fn unanswered(desk: &Desk) -> Vec<Notice> {
    let Some(names) = desk.names.borrow().clone() else { return Vec::new() };
    let not_at = names.report().not_at;
    let notice = |(place, why): (std::net::SocketAddr, String)| Notice {
        about: "names".to_owned(),
        problem: format!("they are not answered at {place}: {why}"),
        hint: format!(
            "let the other program listen elsewhere, name other addresses as `listen` in [names], or write \
             `enabled = false` there; {place} is tried again every five seconds"
        ),
    };
    not_at.into_iter().map(notice).collect()
}
