//! The switches under `/proc/sys/net`, which the kernel shows each thread as its own namespace has them.
//!
//! Plain blocking reads and writes: no disk is behind these files.

use std::collections::BTreeMap;
use std::{fs, io};

use super::fault::Fault;
use crate::{IfName, Knob, Sysctl};

const KNOBS: [Knob; 6] = [
    Knob::Forwarding,
    Knob::ProxyArp,
    Knob::ProxyDelay,
    Knob::SendRedirects,
    Knob::RpFilter,
    Knob::RouteLocalnet,
];

/// Reads every switch of these links.
pub(super) fn read<'a>(links: impl Iterator<Item = &'a IfName>) -> io::Result<BTreeMap<Sysctl, u32>> {
    let of_links = links.flat_map(|link| KNOBS.map(|knob| Sysctl::of(link, knob)));
    let all = Sysctl { link: None, knob: Knob::SendRedirects };
    let mut values = BTreeMap::new();
    for sysctl in of_links.chain([all]) {
        match fs::read_to_string(sysctl.path()) {
            Ok(text) => values.extend(text.trim().parse().ok().map(|value| (sysctl, value))),
            // The link has gone meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(values)
}

pub(super) fn write(sysctl: &Sysctl, value: u32) -> Result<(), Fault> {
    match fs::write(sysctl.path(), value.to_string()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match &sysctl.link {
            Some(link) => Err(Fault::NoLink(link.clone())),
            None => Err(error.into()),
        },
        Err(error) => Err(error.into()),
    }
}
