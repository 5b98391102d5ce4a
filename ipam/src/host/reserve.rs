//! Reservations: names that keep an address.

use std::net::IpAddr;

use super::waiting::{Served, Waiting};
use super::{Answer, Family, Host};
use crate::names::{BlockId, PoolName, RequestId, ReservationName};
use crate::pool::Reservation;
use crate::record::Deed;
use crate::refusal::{AddressState, NotReady, Refusal};
use crate::transaction::{Compare, Key, Prefix, Transaction, Value, Write};

impl Host {
    pub(super) fn reserve(
        &mut self,
        request: RequestId,
        name: ReservationName,
        pool: PoolName,
        address: Option<IpAddr>,
    ) {
        self.waiting.insert(request, Waiting::Reserve { name, pool, address, since: self.now });
    }

    pub(super) fn unreserve(&mut self, request: RequestId, name: ReservationName) {
        match self.reservations.get(&name).cloned() {
            Some(reservation) => {
                self.waiting.insert(request, Waiting::Unreserve { reservation, since: self.now });
            }
            None => self.answer(request, Err(Refusal::UnknownReservation { name })),
        }
    }

    pub(super) fn serve_reserve(
        &mut self,
        request: RequestId,
        name: &ReservationName,
        pool: &PoolName,
        address: Option<IpAddr>,
        late: bool,
    ) -> Served {
        if let Some(reservation) = self.reservations.get(name).cloned() {
            if address.is_some_and(|address| address != reservation.address) || reservation.pool != *pool {
                return Served::Refused(Refusal::NameTaken {
                    name: name.clone(),
                    address: reservation.address,
                });
            }
            self.answer(request, Ok(Answer::Reservation(reservation)));
            return Served::Answered;
        }
        if late {
            return Served::Refused(self.too_late(format!("reserving {name}")));
        }
        if let Some(not_ready) = self.not_ready() {
            return Served::unless_passing(not_ready);
        }
        if !self.listed.contains(&Prefix::Reservations) || !self.blocks_listed() {
            return Served::NotYet;
        }
        let Some((id, address)) = self.reservable(pool, address) else {
            return match address {
                Some(address) => Served::Refused(Refusal::in_the_way(address, AddressState::Outside)),
                None if self.waits_for_a_block(pool) => Served::NotYet,
                None => Served::Refused(self.exhausted(pool, &super::Wish::Any(Family::V4))),
            };
        };
        if !self.idle(id) {
            return Served::NotYet;
        }
        let key = Key::Reservation(name.clone());
        let reservation = Reservation { name: name.clone(), address, pool: pool.clone() };
        let also = Transaction {
            compares: vec![Compare::Absent(key.clone())],
            writes: vec![Write::Put { key, value: Value::Reservation(reservation) }],
        };
        match self.begin(id, Deed::Reserve { name: name.clone(), address }, also) {
            Ok(()) => Served::NotYet,
            Err(refusal) => Served::Refused(refusal),
        }
    }

    /// The address to reserve and its block: the one asked for, else one free in the store, else one
    /// free here.
    fn reservable(&self, pool: &PoolName, address: Option<IpAddr>) -> Option<(BlockId, IpAddr)> {
        if let Some(address) = address {
            let subnet = self.subnet_of(address).filter(|subnet| subnet.pool == *pool)?;
            let id = BlockId::of(subnet.cidr, address)?;
            return self.blocks.contains_key(&id).then_some((id, address));
        }
        [Family::V4, Family::V6].into_iter().find_map(|family| {
            let blocks: Vec<BlockId> = self.blocks_of(pool, family).collect();
            if let Some((id, addresses)) = self.takeable(&blocks, 1) {
                return Some((id, addresses.into_iter().next()?));
            }
            let address = self.longest_free(pool, family, None)?;
            Some((self.block_of(address)?, address))
        })
    }

    fn waits_for_a_block(&self, pool: &PoolName) -> bool {
        [Family::V4, Family::V6]
            .into_iter()
            .any(|family| self.blocks_of(pool, family).any(|id| !self.idle(id)))
    }

    pub(super) fn serve_unreserve(
        &mut self,
        request: RequestId,
        reservation: &Reservation,
        late: bool,
    ) -> Served {
        let name = &reservation.name;
        if !self.reservations.contains_key(name) {
            self.answer(request, Ok(Answer::Reservation(reservation.clone())));
            return Served::Answered;
        }
        if late {
            return Served::Refused(self.too_late(format!("ending reservation {name}")));
        }
        if let Some(not_ready) = self.not_ready() {
            return Served::unless_passing(not_ready);
        }
        let block = self.block_of(reservation.address);
        if block.is_none() && self.listed_all() {
            // Blocks of other zones are not shown to this host.
            return Served::Refused(Refusal::in_the_way(reservation.address, AddressState::Outside));
        }
        if let Some(id) = block.filter(|id| self.idle(*id)) {
            let writes = vec![Write::Delete(Key::Reservation(name.clone()))];
            let also = Transaction { compares: Vec::new(), writes };
            self.begin(id, Deed::Unreserve(name.clone()), also).ok();
        }
        Served::NotYet
    }
}

impl Served {
    fn unless_passing(not_ready: NotReady) -> Self {
        if not_ready.passes() { Self::NotYet } else { Self::Refused(Refusal::NotReady(not_ready)) }
    }
}
