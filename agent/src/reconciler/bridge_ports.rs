//! How many ports a bridge of Docker's has: the kernel's word on containers that we did not attach.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use hostnet::IfName;

/// Counts the ports of these bridges. One that is not there has none.
///
/// Source: the kernel's `Documentation/ABI/testing/sysfs-class-net`; `brif` has one entry for each port.
pub(super) fn count<'a>(bridges: impl IntoIterator<Item = &'a IfName>) -> BTreeMap<IfName, usize> {
    let ports = |bridge: &IfName| {
        let entries = fs::read_dir(Path::new("/sys/class/net").join(bridge.as_str()).join("brif"));
        entries.map_or(0, |entries| entries.flatten().count())
    };
    bridges.into_iter().map(|bridge| (bridge.clone(), ports(bridge))).collect()
}
