//! The life of subnets: emptied, returned, and ordered again under the same CIDR, by the capacity role.

use std::collections::BTreeMap;

use ipam::{Block, BlockCommand, BlockId, BlockState, Key as IpamKey, Subnet};

use crate::coverage::Sometimes;
use crate::fleet::{Fleet, pool};
use crate::role::block_key;
use crate::script::{Site, zone};
use crate::store::{Compare, Transaction};
use crate::words::{FleetTransaction, Key, Value};

/// How long after its return a subnet is ordered again, in milliseconds.
const ORDER_AGAIN_MILLIS: u64 = 20_000;

impl Fleet {
    /// The operator's word that a subnet is to be returned.
    pub(crate) fn drain(&mut self, nth: usize) {
        self.coverage.reached(Sometimes::Drained);
        self.apply_to_subnet(nth, &BlockCommand::Drain);
    }

    /// The operator's word that it is not.
    pub(crate) fn undrain(&mut self, nth: usize) {
        self.apply_to_subnet(nth, &BlockCommand::Undrain);
    }

    fn apply_to_subnet(&mut self, nth: usize, command: &BlockCommand) {
        let Site { cidr, zone, .. } = self.script.sites[nth];
        for id in BlockId::all_of(cidr) {
            // A block that is being returned refuses: that is final.
            if let Some(Ok(step)) = self.block(id).map(|block| block.apply(command.clone()))
                && step.changed
            {
                self.put(block_key(zone, id), Value::Ipam(ipam::Value::Block(step.block)));
            }
        }
    }

    /// The next step of every subnet of a zone: begin its return, cancel it, order it again.
    pub(crate) fn subnet_steps(&mut self, of: usize) -> Vec<FleetTransaction> {
        let mut steps = Vec::new();
        for nth in 0..self.script.sites.len() {
            let site = self.script.sites[nth];
            let opened = |id| self.block(id).is_some_and(|block| block.state() == BlockState::Open);
            if site.zone != of || BlockId::all_of(site.cidr).all(opened) {
                continue;
            }
            let all = BlockId::all_of(site.cidr);
            let blocks: Vec<Block> = all.filter_map(|id| self.block(id).cloned()).collect();
            let is = |state| blocks.iter().all(|block| block.state() == state);
            let unused = |block: &Block| {
                block.held().is_empty() && block.quarantined().is_empty() && block.reserved().is_empty()
            };
            if blocks.is_empty() {
                steps.extend(self.order_again(site));
            } else if is(BlockState::Draining) && blocks.iter().all(unused) {
                steps.push(self.begin_return(of, &blocks));
            } else if is(BlockState::Returning) {
                steps.push(self.give_up(site, &blocks));
            }
        }
        steps
    }

    fn begin_return(&self, of: usize, blocks: &[Block]) -> FleetTransaction {
        let mut transaction = Transaction { compares: Vec::new(), writes: Vec::new() };
        for block in blocks {
            let key = block_key(of, block.id());
            transaction.compares.push(self.compare(&key));
            if let Ok(step) = block.apply(BlockCommand::Return) {
                let value = Value::Ipam(ipam::Value::Block(step.block));
                transaction.writes.push((key, Some(value)));
            }
        }
        transaction
    }

    /// Cancelled at the provider first; then forgotten, with its take numbers kept.
    fn give_up(&mut self, site: Site, blocks: &[Block]) -> FleetTransaction {
        let cidr = site.cidr;
        if self.provider.delivered.remove(&cidr) {
            self.coverage.reached(Sometimes::Returned);
            self.roles[site.zone].returned.insert(cidr, self.now);
            let now = self.now;
            self.story.say(now, || format!("{cidr} is cancelled at the provider"));
            let used = self.machines.iter().find_map(|at| {
                let address = at.kernel.keys().find(|address| cidr.contains(**address))?;
                Some(format!("S3: {cidr} is cancelled while {} uses {address}", at.identity.host))
            });
            if let Some(used) = used {
                self.fail(used);
            }
        }
        let highest = blocks.iter().map(Block::take_number).max().unwrap_or(0);
        let takes = self.takes(site.zone).max(highest);
        let key = Key::Takes(zone(site.zone));
        let mut compares = vec![self.compare(&key)];
        let mut writes = vec![(key, Some(Value::Takes(takes))), (Key::Ipam(IpamKey::Subnet(cidr)), None)];
        for block in blocks {
            let key = block_key(site.zone, block.id());
            compares.push(self.compare(&key));
            writes.push((key, None));
        }
        Transaction { compares, writes }
    }

    fn order_again(&mut self, site: Site) -> Option<FleetTransaction> {
        let since = *self.roles[site.zone].returned.entry(site.cidr).or_insert(self.now);
        if self.now - since < ORDER_AGAIN_MILLIS {
            return None;
        }
        self.coverage.reached(Sometimes::OrderedAgain);
        self.provider.delivered.insert(site.cidr);
        let mut transaction = opening(site, self.takes(site.zone));
        transaction.compares.push(self.compare(&Key::Takes(zone(site.zone))));
        let absent =
            transaction.writes.iter().map(|(key, _)| Compare::Absent(key.clone())).collect::<Vec<_>>();
        transaction.compares.extend(absent);
        Some(transaction)
    }

    fn takes(&self, of: usize) -> u64 {
        match self.store.get(&Key::Takes(zone(of))) {
            Some((Value::Takes(takes), _)) => *takes,
            _ => 0,
        }
    }
}

/// What opens a subnet: its record and its blocks, with take numbers above all that ever were.
pub(crate) fn opening(site: Site, take_above: u64) -> FleetTransaction {
    let cidr = site.cidr;
    let gateway = cidr.iter().nth(1);
    let subnet = Subnet { cidr, pool: pool(), zone: zone(site.zone), gateway };
    let aside: BTreeMap<_, _> =
        gateway.map(|gateway| (gateway, ipam::SetAside::Gateway)).into_iter().collect();
    let mut writes = vec![(Key::Ipam(IpamKey::Subnet(cidr)), Some(Value::Ipam(ipam::Value::Subnet(subnet))))];
    writes.extend(BlockId::all_of(cidr).map(|id| {
        let block = Block::open(id, take_above, &aside);
        (block_key(site.zone, id), Some(Value::Ipam(ipam::Value::Block(block))))
    }));
    Transaction { compares: Vec::new(), writes }
}
