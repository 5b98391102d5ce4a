//! `[policy]`: what containers accept of which no service says anything.

use super::reader::Section;
use super::values;

/// `default` in `[policy]`: what containers accept that are in no guarded service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Unnamed {
    /// `"open"`: everything.
    #[default]
    Open,
    /// `"closed"`: no new connection, but of their own host.
    Closed,
}

impl Unnamed {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let words = [("open", Self::Open), ("closed", Self::Closed)];
        let said = section.read("default", |value| values::one_of(value, &words));
        section.finish();
        said.unwrap_or_default()
    }
}
