//! What a fleet wrote down while it ran, for the oracle to read.

use std::fs;

use agent::allocator;
use agent::journal::Journal;
use anyhow::{Context, Result, ensure};
use ipam::check::history::History;
use ipam::{Block, HostId};
use ipnetwork::IpNetwork;
use store::layout::{self, Item};
use tests::lab::{Daemon, Process, VLAN};

use super::scene::Fleet;

/// Writes down every value that blocks ever had.
pub(crate) struct Observer {
    changes: Process,
}

impl Observer {
    /// Begins.
    pub(crate) fn of(fleet: &Fleet) -> Result<Observer> {
        Ok(Observer { changes: fleet.lab().etcd().record("blocks/")? })
    }

    /// Stops every agent, and asks the oracle about all that they ever wrote, and the store with them.
    pub(crate) fn finds_nothing_wrong(self, fleet: &Fleet) -> Result<()> {
        let (subnet, mut history) = (fleet.subnet(), History::default());
        for host in fleet.hosts() {
            let status: api::Status = host.ask("status")?;
            let id = HostId(status.host.context("a host without an id")?);
            host.stop(Daemon::Berthd)?;
            let (_, lines) = Journal::<allocator::Line>::open(host.home().join("state/allocator.journal"))?;
            history.journals.insert(id, allocator::records(&lines));
        }
        history.blocks = self.blocks(subnet)?;
        let (values, assignments) = (history.blocks.len(), history.assignments());
        println!("the oracle read {values} values of blocks and {assignments} assignments");
        ensure!(values > 1 && assignments > 0, "nothing was recorded");
        let broken = history.broken();
        ensure!(broken.is_empty(), "{broken:#?}");
        Ok(())
    }

    /// Every value of the fleet's one block.
    fn blocks(&self, subnet: IpNetwork) -> Result<Vec<Block>> {
        let key = Item::Block { zone: VLAN.to_string(), subnet, index: 0 }.key();
        let log = fs::read_to_string(self.changes.log())?;
        let lines: Vec<&str> = log.lines().collect();
        // `PUT` or `DELETE`, the key, the value; etcdctl says other things of links that broke.
        let events = lines.windows(3).filter(|event| event[0] == "PUT" && event[1].ends_with(key.as_str()));
        events.map(|event| Ok(layout::decode(&key, event[2].as_bytes())?)).collect()
    }
}
