//! The last look at the cloud: an operator's next question need not cost a call.

use ipam::Timestamp;
use provider::CloudSubnet;

/// How long a look answers further questions, in milliseconds. The provider's rate is shared by all agents of one
/// user, and a screen that asks every second must not use it up; a person does not see five seconds.
const FRESH_MILLIS: u64 = 5_000;

/// What the cloud showed last, and when.
#[derive(Default)]
pub(super) struct Glance(Option<(Timestamp, Vec<CloudSubnet>)>);

impl Glance {
    /// What was seen, if it is not too old.
    pub(super) fn fresh(&self, now: Timestamp) -> Option<Vec<CloudSubnet>> {
        let (seen, subnets) = self.0.as_ref()?;
        (now < seen.after(FRESH_MILLIS)).then(|| subnets.clone())
    }

    /// Remembers a look.
    pub(super) fn keep(&mut self, seen: Timestamp, subnets: Vec<CloudSubnet>) {
        self.0 = Some((seen, subnets));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_answers_for_five_seconds_and_no_longer() {
        let mut glance = Glance::default();
        assert_eq!(glance.fresh(Timestamp(0)), None);
        glance.keep(Timestamp(1_000), Vec::new());
        assert_eq!(glance.fresh(Timestamp(5_999)), Some(Vec::new()));
        assert_eq!(glance.fresh(Timestamp(6_000)), None);
    }
}
