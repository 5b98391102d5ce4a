//! What somebody should put right although everything works: configurations that differ, subnets that the cloud shows
//! otherwise, addresses of a zone that this host left, a store that is being made anew, labels that mean nothing,
//! names that are answered nowhere. For `berth status` and `berth doctor`.

mod clocks;
mod names;
mod policies;
mod rebuild;
mod services;
mod subnets;

use crate::api::Desk;
use ::api::Notice;
use ipam::View;

/// Everything that can be said without asking the provider, or the store for more than a few records.
pub(crate) async fn gather(desk: &Desk, view: Option<&View>) -> Vec<Notice> {
    let mut notices = policies::differing(desk).await;
    notices.extend(rebuild::under_way(desk).await);
    notices.extend(services::of_this_host(desk));
    notices.extend(names::unanswered(desk));
    if let Some(view) = view {
        notices.extend(policies::without_policy(desk, view));
        notices.extend(subnets::left_behind(view));
        let surprising = subnets::surprising(desk);
        let named: Vec<String> = surprising.iter().map(|notice| notice.about.clone()).collect();
        notices.extend(surprising);
        let withheld = subnets::withheld(desk, view).await;
        notices.extend(withheld.into_iter().filter(|notice| !named.contains(&notice.about)));
    }
    notices
}

/// What the provider's word adds. Asks it.
pub(crate) async fn gather_from_the_cloud(desk: &Desk, view: Option<&View>) -> Vec<Notice> {
    let mut notices = subnets::zones_that_changed(desk).await;
    if let Some(view) = view {
        notices.extend(subnets::surprising_now(desk, view).await);
    }
    notices.extend(clocks::off(desk));
    notices
}
