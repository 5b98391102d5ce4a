//! What each command does to a block.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Block, BlockCommand, BlockState, Held, Quarantined, SetAside, Step};
use crate::names::{Holder, HostId};
use crate::refusal::{AddressState, Refusal};

pub(super) fn apply(before: &Block, command: BlockCommand) -> Result<Step, Refusal> {
    let mut block = before.clone();
    match command {
        BlockCommand::Take { holder, addresses, operation } => {
            block.number(&holder.host, operation)?;
            block.take(&holder, &addresses)?;
        }
        BlockCommand::GiveBack { holder, addresses, operation } => {
            block.number(&holder.host, operation)?;
            block.let_go(&holder, &addresses)?;
        }
        BlockCommand::Grant { giver, asker, addresses, operation } => {
            block.number(&giver.host, operation)?;
            block.let_go(&giver, &addresses)?;
            block.take(&asker, &addresses)?;
        }
        BlockCommand::Retake { holder, operation } => {
            block.number(&holder.host, operation)?;
            block.retake(&holder);
        }
        BlockCommand::Settle { host, operation } => block.number(&host, operation)?,
        BlockCommand::Claim { holder, addresses, operation } => {
            block.number(&holder.host, operation)?;
            block.claim(&holder, &addresses)?;
        }
        BlockCommand::Sweep { host, below, why } => {
            let swept: Vec<IpAddr> = block
                .held
                .iter()
                .filter(|(_, held)| held.by.host == host && held.by.incarnation < below)
                .map(|(address, _)| *address)
                .collect();
            for address in swept {
                if let Some(was) = block.held.remove(&address) {
                    block.quarantined.insert(address, Quarantined { was: Some(was), why: why.clone() });
                }
            }
        }
        BlockCommand::EndQuarantine { address } => {
            // Ended already: saying so twice is not an error.
            if block.quarantined.remove(&address).is_some() {
                block.falls_aside(address);
            }
        }
        BlockCommand::Reserve { holder, name, address, operation } => {
            block.number(&holder.host, operation)?;
            block.reserve(&holder, name, address)?;
        }
        BlockCommand::Unreserve { holder, name, operation } => {
            block.number(&holder.host, operation)?;
            block.reserved.retain(|_, reserved| *reserved != name);
        }
        BlockCommand::SetAside { address, why } => match block.state_of(address) {
            AddressState::SetAside(before) if before == why => (),
            AddressState::Held(_) | AddressState::Quarantined { .. } => {
                block.unwanted.insert(address, why);
            }
            _ => {
                block.must_be_free(address)?;
                block.set_aside.insert(address, why);
            }
        },
        BlockCommand::Include { address } => match block.set_aside.get(&address) {
            Some(SetAside::Excluded | SetAside::Occupied | SetAside::Reserved) => {
                block.set_aside.remove(&address);
            }
            Some(why) => return Err(Refusal::in_the_way(address, AddressState::SetAside(*why))),
            None => {
                block.unwanted.remove(&address);
            }
        },
        BlockCommand::Drain => match block.state {
            BlockState::Open | BlockState::Draining => block.state = BlockState::Draining,
            BlockState::Returning => return Err(Refusal::Emptying { block: block.id, state: block.state }),
        },
        BlockCommand::Undrain => match block.state {
            BlockState::Open | BlockState::Draining => block.state = BlockState::Open,
            // The cancel call may be out: what is opened now would be pulled from under its user.
            BlockState::Returning => return Err(Refusal::Emptying { block: block.id, state: block.state }),
        },
        BlockCommand::Return => {
            if block.state == BlockState::Open || !block.held.is_empty() || !block.quarantined.is_empty() {
                return Err(Refusal::NotEmpty {
                    block: block.id,
                    held: block.held.len(),
                    quarantined: block.quarantined.len(),
                });
            }
            block.state = BlockState::Returning;
        }
    }
    crate::check::step(before, &block);
    let changed = block != *before;
    Ok(Step { block, changed })
}

impl Block {
    /// Notes the operation number of a host, which only grows: a repeated operation is refused.
    fn number(&mut self, host: &HostId, operation: u64) -> Result<(), Refusal> {
        let last = self.operation_of(host);
        if operation <= last {
            return Err(Refusal::OperationPassed { block: self.id, host: host.clone(), operation, last });
        }
        self.operations.insert(host.clone(), operation);
        Ok(())
    }

    fn take(&mut self, holder: &Holder, addresses: &BTreeSet<IpAddr>) -> Result<(), Refusal> {
        if self.state != BlockState::Open {
            return Err(Refusal::Emptying { block: self.id, state: self.state });
        }
        for address in addresses {
            self.must_be_free(*address)?;
        }
        self.gain(holder, addresses.iter().copied());
        Ok(())
    }

    /// Makes `holder` the holder, under a take number that nothing was ever gained under.
    fn gain(&mut self, holder: &Holder, addresses: impl IntoIterator<Item = IpAddr>) {
        self.take = self.take.saturating_add(1);
        let by = Arc::new(holder.clone());
        for address in addresses {
            self.held.insert(address, Held { by: Arc::clone(&by), take: self.take });
        }
    }

    fn let_go(&mut self, holder: &Holder, addresses: &BTreeSet<IpAddr>) -> Result<(), Refusal> {
        for address in addresses {
            match self.held.get(address) {
                Some(held) if *held.by == *holder => self.held.remove(address),
                _ => return Err(Refusal::in_the_way(*address, self.state_of(*address))),
            };
            self.falls_aside(*address);
        }
        Ok(())
    }

    /// Sets an address aside that nobody has any more, if it was to be. Answers whether it was.
    fn falls_aside(&mut self, address: IpAddr) -> bool {
        let why = self.unwanted.remove(&address);
        why.is_some_and(|why| self.set_aside.insert(address, why).is_none())
    }

    fn retake(&mut self, holder: &Holder) {
        let again: Vec<IpAddr> = self.held_by(holder).map(|(address, _)| address).collect();
        self.gain(holder, again);
    }

    fn claim(&mut self, holder: &Holder, addresses: &BTreeSet<IpAddr>) -> Result<(), Refusal> {
        for address in addresses {
            match self.quarantined.get(address) {
                Some(quarantined) if quarantined.may_be_of(&holder.host) => self.quarantined.remove(address),
                _ => return Err(Refusal::in_the_way(*address, self.state_of(*address))),
            };
        }
        // Also while draining: nobody new uses the address, the running container keeps it.
        self.gain(holder, addresses.iter().copied());
        Ok(())
    }

    fn reserve(
        &mut self,
        holder: &Holder,
        name: crate::names::ReservationName,
        address: IpAddr,
    ) -> Result<(), Refusal> {
        if let Some(other) = self.reserved.get(&address).filter(|other| **other != name) {
            return Err(Refusal::in_the_way(address, AddressState::Reserved(other.clone())));
        }
        match self.held.get(&address) {
            Some(held) if *held.by == *holder => (),
            _ => self.must_be_free(address)?,
        }
        self.reserved.insert(address, name);
        Ok(())
    }

    fn must_be_free(&self, address: IpAddr) -> Result<(), Refusal> {
        if self.is_free(address) {
            return Ok(());
        }
        Err(Refusal::in_the_way(address, self.state_of(address)))
    }

    /// What the block knows of an address.
    pub fn state_of(&self, address: IpAddr) -> AddressState {
        if let Some(why) = self.set_aside.get(&address) {
            return AddressState::SetAside(*why);
        }
        if let Some(held) = self.held.get(&address) {
            return AddressState::Held(held.by.host.clone());
        }
        if let Some(quarantined) = self.quarantined.get(&address) {
            return AddressState::Quarantined {
                was: quarantined.was.as_ref().map(|was| was.by.host.clone()),
                why: quarantined.why.clone(),
            };
        }
        if self.id.contains(address) { AddressState::Free } else { AddressState::Outside }
    }
}
