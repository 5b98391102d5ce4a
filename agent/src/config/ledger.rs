//! `[ledger]`: how long it is known who had which address.

use super::{reader::Section, values};

/// `[ledger]`: how long it is known who had which address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerConfig {
    /// `window_hours`: how long ended assignments stay in the store, 1 to 8760.
    pub window_hours: u32,
    /// `store_mib_max`: how much of the store this host's ended assignments may fill, 1 to 4096. What two
    /// hosts have on disk leaves it before the window is over.
    pub store_mib_max: u32,
    /// `keep_days`: how long ended assignments stay on this host's disk, 1 to 36500.
    pub keep_days: u32,
    /// `disk_mib_max`: how much they may fill there, 1 to 1048576. The oldest go first.
    pub disk_mib_max: u32,
}

impl LedgerConfig {
    pub(super) fn read(mut section: Section<'_>) -> Self {
        let defaults = Self::default();
        let mut number = |name, max, default| {
            section.read(name, |value| values::integer(value, 1..=max)).unwrap_or(default)
        };
        let ledger = Self {
            window_hours: number("window_hours", 8_760, defaults.window_hours),
            store_mib_max: number("store_mib_max", 4_096, defaults.store_mib_max),
            keep_days: number("keep_days", 36_500, defaults.keep_days),
            disk_mib_max: number("disk_mib_max", 1_048_576, defaults.disk_mib_max),
        };
        section.finish();
        ledger
    }
}

impl Default for LedgerConfig {
    fn default() -> Self {
        Self { window_hours: 24, store_mib_max: 64, keep_days: 400, disk_mib_max: 1_024 }
    }
}
