//! The oracle: sees what no host sees, every container at once, and says which promise is broken.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipam::*;

use super::reached::Event;
use super::stage::Stage;
use super::world::Promise;

impl Stage<'_> {
    /// From the answer on, a container uses the address.
    pub(crate) fn answered(&mut self, m: usize, request: RequestId, result: Result<Answer, Refusal>) {
        let asked = Stage::machine(self, m).asked.remove(&request);
        let Answer::Assigned(Assignment { address, epoch, .. }) = (match result {
            Ok(answer) => answer,
            Err(refusal) => {
                self.tell(|| format!("  h{} refuses: {refusal}", m + 1));
                self.story.reached.note(Event::Refused);
                return;
            }
        }) else {
            return;
        };
        if !asked {
            return;
        }
        self.tell(|| format!("  h{} answers: {address} under epoch {epoch}", m + 1));
        self.story.reached.note(Event::Assigned);
        self.nobody_else_uses(m, address, epoch);
        self.epoch_is_new(address, epoch);
        self.nothing_older_names(address, epoch);
        Stage::machine(self, m).in_use.insert(address, epoch);
    }

    fn nobody_else_uses(&mut self, m: usize, address: IpAddr, epoch: Epoch) {
        let claimed = self.world.machines[m].lost_journal;
        let user = self.world.machines.iter().position(|machine| machine.in_use.contains_key(&address));
        match user {
            Some(user) if user == m && claimed => (),
            Some(user) if self.world.machines[user].in_use.get(&address) == Some(&epoch) => (),
            Some(user) => self.breaks(
                Promise::S1,
                format!("{address} is used on h{} and given to a container on h{}", user + 1, m + 1),
            ),
            None => (),
        }
    }

    fn epoch_is_new(&mut self, address: IpAddr, epoch: Epoch) {
        if let Some(before) = self.world.epochs.insert(address, epoch)
            && before >= epoch
        {
            self.breaks(Promise::S2, format!("{address} had epoch {before}, and now has {epoch}"));
        }
    }

    fn nothing_older_names(&mut self, address: IpAddr, epoch: Epoch) {
        if let Some(Value::Endpoint(open)) = self.world.store.value(&Key::Endpoint(address))
            && open.epoch < epoch
        {
            let how = format!("{address} is used again, and still open under {}", open.epoch);
            self.breaks(Promise::S4, how);
        }
        let named = self.world.store.list(&Prefix::Dependents(address)).into_iter().next();
        if let Some(Seen { key: Key::Dependent { epoch: older, .. }, .. }) = named
            && older < epoch
        {
            self.breaks(Promise::S4, format!("{address} is used again, and still named under {older}"));
        }
    }

    /// An endpoint was opened: it must be the newest assignment of its address.
    pub(crate) fn opened(&mut self, address: IpAddr, epoch: Epoch) {
        if let Some(newest) = self.world.epochs.get(&address).copied().filter(|newest| *newest > epoch) {
            let how = format!("{address} is opened under {epoch}, and assigned under {newest} since");
            self.breaks(Promise::S8, how);
        }
        let swept = self.world.block_of(address).is_some_and(|block| !block.held().contains_key(&address));
        if swept {
            self.breaks(Promise::S4, format!("{address} is opened under {epoch}, and held by nobody"));
        }
    }

    /// Looks at the whole, and at what the hosts that acted say of themselves.
    pub(crate) fn look(&mut self) {
        if self.world.rebuild.is_none() {
            self.containers_keep_their_addresses();
            self.nothing_comes_back_to_the_evicted();
        }
        for m in std::mem::take(&mut self.stepped) {
            self.host_agrees(m);
        }
    }

    fn containers_keep_their_addresses(&mut self) {
        let used = self.world.machines.iter().enumerate();
        let used = used.flat_map(|(m, machine)| machine.in_use.keys().map(move |address| (m, *address)));
        let lost = used.into_iter().find(|(m, address)| {
            let host = self.world.machines[*m].host();
            let block = self.world.block_of(*address);
            !block.is_some_and(|block| {
                let held = block.held().get(address);
                let waits = block.quarantined().get(address);
                held.is_some_and(|held| held.by.host == *host)
                    || waits.is_some_and(|waits| waits.was_of(host))
            })
        });
        if let Some((m, address)) = lost {
            self.breaks(Promise::S7, format!("{address} is used on h{}, and held by it no more", m + 1));
        }
    }

    fn nothing_comes_back_to_the_evicted(&mut self) {
        let lost = self.world.machines.iter().find_map(|machine| {
            let below = machine.swept_below?;
            let of = |held: &Held| held.by.host == *machine.host() && held.by.incarnation < below;
            let mut held = self.world.blocks().flat_map(|block| block.held());
            held.find(|(_, held)| of(held)).map(|(address, held)| (*address, Holder::clone(&held.by)))
        });
        if let Some((address, by)) = lost {
            let how = format!("{address} came to be held by {by} after the sweep: nobody can use it");
            self.breaks(Promise::S5, how);
        }
    }

    fn host_agrees(&mut self, m: usize) {
        let machine = &self.world.machines[m];
        let Some(agent) = &machine.agent else { return };
        let view = agent.view(machine.now);
        let mut broken = check::view_broken(&view).into_iter().chain(check::host_broken(agent));
        if let Some(how) = broken.next() {
            return self.breaks(Promise::S5, how);
        }
        let assigned: BTreeMap<IpAddr, Epoch> = check::assigned_in(&view);
        let unknown = machine.in_use.iter().find(|(address, epoch)| {
            assigned.get(address) != Some(epoch) && !view.revoked.contains(address) && !machine.lost_journal
        });
        if let Some((address, epoch)) = unknown {
            let how = format!("{address} is used under {epoch}, and h{} says otherwise", m + 1);
            self.breaks(Promise::S8, how);
        }
    }
}
