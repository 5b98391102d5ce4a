//! The containers of this host by name and by address: Docker's word, from memory.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::entry::Entry;

/// The containers of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Local {
    entries: BTreeMap<IpAddr, Entry>,
    by_name: HashMap<String, Vec<IpAddr>>,
}

impl Local {
    pub(super) fn of(entries: BTreeMap<IpAddr, Entry>) -> Self {
        let mut by_name: HashMap<String, Vec<IpAddr>> = HashMap::new();
        for (address, entry) in &entries {
            for name in entry.names() {
                by_name.entry(name).or_default().push(*address);
            }
        }
        Self { entries, by_name }
    }

    /// The addresses of the containers that are called so.
    pub(super) fn called(&self, name: &str) -> &[IpAddr] {
        self.by_name.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The container that has an address.
    pub(super) fn at(&self, address: IpAddr) -> Option<&Entry> {
        self.entries.get(&address)
    }
}
