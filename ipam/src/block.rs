//! A block: who holds which of its addresses.
//!
//! A value, not an object: [`Block::apply`] makes a new one or refuses, so nothing is ever half
//! written, and what is compared and swapped in the store is exactly what was decided upon. It knows
//! hosts, not endpoints: what a host does with an address it holds is the host's own affair.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::names::{BlockId, Holder, HostId, Incarnation, ReservationName};
use crate::refusal::Refusal;

mod apply;
mod packed;

/// At most 256 addresses of a subnet: the unit of compare-and-swap.
///
/// Every address is in exactly one state: set aside, quarantined, held or free.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "packed::Packed", try_from = "packed::Packed")]
pub struct Block {
    id: BlockId,
    state: BlockState,
    opened: u64,
    take: u64,
    set_aside: BTreeMap<IpAddr, SetAside>,
    held: BTreeMap<IpAddr, Held>,
    quarantined: BTreeMap<IpAddr, Quarantined>,
    reserved: BTreeMap<IpAddr, ReservationName>,
    /// Held or quarantined, and to be set aside as soon as they are not.
    unwanted: BTreeMap<IpAddr, SetAside>,
    operations: BTreeMap<HostId, u64>,
}

/// Whether addresses of a block may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum BlockState {
    /// Yes.
    Open,
    /// No: its subnet is being emptied. May be opened again.
    Draining,
    /// No, and never again: its subnet is about to be cancelled at the provider.
    Returning,
}

/// Why an address is never handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum SetAside {
    /// The subnet's own address.
    Network,
    /// The provider's router.
    Gateway,
    /// The subnet's broadcast address.
    Broadcast,
    /// The operator said so.
    Excluded,
    /// Somebody answered for it on the wire before we did.
    Occupied,
    /// The provider keeps it for itself.
    Reserved,
}

/// Who holds an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Held {
    /// The holder, in the incarnation in which it gained the address. Shared by all that it holds here: a block is
    /// read anew with each take of any host.
    pub by: Arc<Holder>,
    /// The take number under which it was gained.
    pub take: u64,
}

/// Why an address waits, held by nobody: its last holder was evicted and may not know it, or is not known.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Quarantined {
    /// Who held it, and under which take number: no epoch it was assigned under lies above that. `None` in a
    /// block that was made anew after the store was lost: any host may have held it, and claim it.
    pub was: Option<Held>,
    /// Whose word it was that the holder is gone.
    pub why: String,
}

impl Quarantined {
    /// Whether this host is known to have held it.
    pub fn was_of(&self, host: &HostId) -> bool {
        self.was.as_ref().is_some_and(|was| was.by.host == *host)
    }

    /// Whether this host may claim it back: nobody else is known to have held it.
    pub fn may_be_of(&self, host: &HostId) -> bool {
        self.was.as_ref().is_none_or(|was| was.by.host == *host)
    }
}

/// What can be done to a block.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BlockCommand {
    /// A host gains free addresses.
    Take {
        /// Who.
        holder: Holder,
        /// Which; all of them or none.
        addresses: BTreeSet<IpAddr>,
        /// The host's operation number on this block.
        operation: u64,
    },
    /// A host lets go of addresses. What it does not hold it cannot give back.
    GiveBack {
        /// Who.
        holder: Holder,
        /// Which.
        addresses: BTreeSet<IpAddr>,
        /// The host's operation number on this block.
        operation: u64,
    },
    /// A host gives addresses directly to another that asked.
    Grant {
        /// Who gives.
        giver: Holder,
        /// Who gets.
        asker: Holder,
        /// Which.
        addresses: BTreeSet<IpAddr>,
        /// The giver's operation number on this block.
        operation: u64,
    },
    /// A host that rebooted gains again what it held: every assignment of the boot before is over.
    Retake {
        /// Who.
        holder: Holder,
        /// The host's operation number on this block.
        operation: u64,
    },
    /// A host makes an earlier operation of unknown outcome fail, by moving the block on.
    Settle {
        /// Who.
        host: HostId,
        /// The number of this no-op, above the one it settles.
        operation: u64,
    },
    /// A host gains back, from quarantine, an address that it held when it was evicted, or when the store was
    /// lost, and that a container of its own may still use.
    Claim {
        /// Who, in its present incarnation.
        holder: Holder,
        /// Which.
        addresses: BTreeSet<IpAddr>,
        /// The host's operation number on this block.
        operation: u64,
    },
    /// What an evicted host held goes to quarantine. Sweeping twice changes nothing.
    Sweep {
        /// Who was evicted.
        host: HostId,
        /// Its incarnation since: only what was gained in an earlier one is swept.
        below: Incarnation,
        /// Whose word it was.
        why: String,
    },
    /// A quarantine ends: the address is free. One that a reservation keeps is free for who asks for it alone.
    EndQuarantine {
        /// Which.
        address: IpAddr,
    },
    /// An address gets a name that outlives containers.
    Reserve {
        /// Who asks; the address must be free or held by this host.
        holder: Holder,
        /// The name.
        name: ReservationName,
        /// Which.
        address: IpAddr,
        /// The host's operation number on this block.
        operation: u64,
    },
    /// A reservation ends. The address stays in whatever state it is.
    Unreserve {
        /// Who asks.
        holder: Holder,
        /// The name.
        name: ReservationName,
        /// The host's operation number on this block.
        operation: u64,
    },
    /// An address is never handed out again: at once if it is free; if it is held or quarantined, its user keeps it,
    /// and it is set aside when it comes back.
    SetAside {
        /// Which.
        address: IpAddr,
        /// Why.
        why: SetAside,
    },
    /// An address set aside, or to be, is free after all (excluded, occupied or kept by the provider no more).
    Include {
        /// Which.
        address: IpAddr,
    },
    /// No more takes: the subnet is to be returned.
    Drain,
    /// Takes again.
    Undrain,
    /// The subnet is about to be cancelled. Only when nothing is held or quarantined; final.
    Return,
}

/// What a command did to a block.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Step {
    /// The block after the command.
    pub block: Block,
    /// Whether it differs from before. A step that changes nothing is not written.
    pub changed: bool,
}

/// How many addresses of a block are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockCounts {
    /// All of them.
    pub total: u32,
    /// Never handed out.
    pub set_aside: u32,
    /// Waiting after an eviction.
    pub quarantined: u32,
    /// Held by some host.
    pub held: u32,
    /// Held by nobody.
    pub free: u32,
    /// Of all these, how many bear a reservation.
    pub reserved: u32,
}

impl Block {
    /// A new block of an opened subnet.
    ///
    /// `take_above` is the zone's counter of take numbers: the block starts above it, so that a
    /// subnet ordered again repeats no epoch. Network and broadcast address (IPv4, `/30` and wider;
    /// IPv6: the router's anycast address) are set aside by themselves; `set_aside` names the others,
    /// and may name addresses of other blocks, which are passed over.
    pub fn open(id: BlockId, take_above: u64, set_aside: &BTreeMap<IpAddr, SetAside>) -> Self {
        let mut aside: BTreeMap<IpAddr, SetAside> =
            set_aside.iter().filter(|(address, _)| id.contains(**address)).map(|(a, w)| (*a, *w)).collect();
        aside.extend(id.addresses().filter_map(|address| Some((address, unusable(id, address)?))));
        Self {
            id,
            state: BlockState::Open,
            opened: take_above.saturating_add(1),
            take: take_above.saturating_add(1),
            set_aside: aside,
            held: BTreeMap::new(),
            quarantined: BTreeMap::new(),
            reserved: BTreeMap::new(),
            unwanted: BTreeMap::new(),
            operations: BTreeMap::new(),
        }
    }

    /// A block of a subnet that was open when the store was lost: every address that is not set aside waits
    /// in quarantine until the host that held it claims it back, or all that may have held it are accounted
    /// for. See [`crate::Rebuild`].
    ///
    /// `take_above` is any number; above those that are known it makes epochs easier to read. Epochs grow
    /// because the generation does.
    pub fn rebuilt(id: BlockId, take_above: u64, set_aside: &BTreeMap<IpAddr, SetAside>, why: &str) -> Self {
        let mut block = Self::open(id, take_above, set_aside);
        let of_somebody = |address| (address, Quarantined { was: None, why: why.to_owned() });
        block.quarantined = block.free().map(of_somebody).collect();
        block
    }

    /// Which block this is.
    pub fn id(&self) -> BlockId {
        self.id
    }

    /// Whether its addresses may be taken.
    pub fn state(&self) -> BlockState {
        self.state
    }

    /// The take number that it was opened with: tells the block of a subnet that was ordered again from
    /// the one before, all of whose take numbers lie below.
    pub fn opened(&self) -> u64 {
        self.opened
    }

    /// Grows with every transaction by which any host gains or regains an address.
    pub fn take_number(&self) -> u64 {
        self.take
    }

    /// What is never handed out, and why.
    pub fn set_aside(&self) -> &BTreeMap<IpAddr, SetAside> {
        &self.set_aside
    }

    /// Who holds what.
    pub fn held(&self) -> &BTreeMap<IpAddr, Held> {
        &self.held
    }

    /// What waits after an eviction.
    pub fn quarantined(&self) -> &BTreeMap<IpAddr, Quarantined> {
        &self.quarantined
    }

    /// Which addresses bear a name.
    pub fn reserved(&self) -> &BTreeMap<IpAddr, ReservationName> {
        &self.reserved
    }

    /// What is held or quarantined, and set aside as soon as it is not, with the reason.
    pub fn unwanted(&self) -> &BTreeMap<IpAddr, SetAside> {
        &self.unwanted
    }

    /// The last operation number of a host here; 0 if it never wrote this block.
    pub fn operation_of(&self, host: &HostId) -> u64 {
        self.operations.get(host).copied().unwrap_or(0)
    }

    /// What a host holds here in this incarnation, with the take number of each.
    pub fn held_by<'a>(&'a self, holder: &'a Holder) -> impl Iterator<Item = (IpAddr, u64)> + 'a {
        self.held
            .iter()
            .filter(move |(_, held)| *held.by == *holder)
            .map(|(address, held)| (*address, held.take))
    }

    /// The addresses held by nobody and fit to be handed out, in order; reserved ones included.
    pub fn free(&self) -> impl Iterator<Item = IpAddr> {
        self.id.addresses().filter(|address| self.is_free(*address))
    }

    /// How many addresses are held by nobody and fit to be handed out.
    pub fn free_count(&self) -> usize {
        // Each address is in one state.
        let taken = self.held.len() + self.set_aside.len() + self.quarantined.len();
        self.id.size().saturating_sub(taken)
    }

    /// Whether an address of this block is held by nobody and fit to be handed out.
    pub fn is_free(&self, address: IpAddr) -> bool {
        self.id.contains(address)
            && !self.held.contains_key(&address)
            && !self.set_aside.contains_key(&address)
            && !self.quarantined.contains_key(&address)
    }

    /// How many addresses are in which state.
    pub fn counts(&self) -> BlockCounts {
        let count = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
        BlockCounts {
            total: count(self.id.addresses().count()),
            set_aside: count(self.set_aside.len()),
            quarantined: count(self.quarantined.len()),
            held: count(self.held.len()),
            free: count(self.free().count()),
            reserved: count(self.reserved.len()),
        }
    }

    /// Does what `command` says to a copy, or says why not.
    ///
    /// # Errors
    ///
    /// A [`Refusal`] that names the address in the way and its state.
    pub fn apply(&self, command: BlockCommand) -> Result<Step, Refusal> {
        apply::apply(self, command)
    }
}

fn unusable(id: BlockId, address: IpAddr) -> Option<SetAside> {
    let subnet = id.subnet;
    match address {
        // A /31 has two usable ends (RFC 3021), a /32 one.
        IpAddr::V4(_) if subnet.prefix() >= 31 => None,
        IpAddr::V4(_) if address == subnet.network() => Some(SetAside::Network),
        IpAddr::V4(_) if address == subnet.broadcast() => Some(SetAside::Broadcast),
        // The subnet-router anycast address (RFC 4291, 2.6.1); not on a /127 (RFC 6164).
        IpAddr::V6(_) if subnet.prefix() < 127 && address == subnet.network() => Some(SetAside::Network),
        _ => None,
    }
}
