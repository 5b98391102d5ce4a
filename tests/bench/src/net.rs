//! Many `ipam::Host`s and a store in one thread, without disk, network or clock: what the allocator decides, and
//! nothing else. Watches are shown late, when a host has something to do; that is allowed to them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use anyhow::{Result, bail};
use ipam::{
    Answer, Block, BlockId, BootId, ClusterRecord, ClusterState, Compare, Effect, Generation, Host, HostId,
    Identity, Input, InstanceId, Key, Persisted, Pool, Prefix, Refusal, RequestId, Revision, Seen, Sent,
    Subnet, Timestamp, Transaction, Value, Write,
};
use ipnetwork::IpNetwork;

use crate::agents::{ANY, pool, zone};

/// How much time passes where everybody waits, in milliseconds.
const STEP_MILLIS: u64 = 10;

/// Between two requests, in milliseconds: so hints of surplus are as old as they are in a busy fleet.
const BETWEEN_MILLIS: u64 = 20;

/// The store: newest values alone.
#[derive(Default)]
struct Store {
    revision: u64,
    /// Absent ones stay, with the revision at which they went.
    entries: BTreeMap<Key, (Option<Value>, u64)>,
    /// Which key was last written at which revision.
    written: BTreeMap<u64, Vec<Key>>,
}

struct Member {
    host: Host,
    watches: Vec<Prefix>,
    /// The revision up to which it was shown everything.
    shown: u64,
}

/// A cluster of hosts that hold what they hold, and nothing else.
pub(crate) struct Net {
    store: Store,
    members: Vec<Member>,
    now: u64,
    requests: u64,
    answers: BTreeMap<RequestId, Result<Answer, Refusal>>,
    /// Hosts whom a commit concerns at once.
    concerned: BTreeSet<usize>,
}

impl Net {
    /// Hosts that share these subnets.
    pub(crate) fn new(hosts: usize, subnets: &[IpNetwork]) -> Result<Net> {
        let mut store = Store::default();
        let generation = Generation { number: 1, id: 7 };
        let cluster = ClusterRecord { id: "bench".into(), generation, state: ClusterState::Open };
        let policy = Pool { name: pool(), cooling_millis: 0 };
        let mut first =
            vec![put(Key::Cluster, Value::Cluster(cluster)), put(Key::Pool(pool()), Value::Pool(policy))];
        for cidr in subnets {
            let gateway = cidr.iter().nth(1);
            let opened = Subnet { cidr: *cidr, pool: pool(), zone: zone(), gateway };
            let set_aside = gateway.map(|gateway| (gateway, ipam::SetAside::Gateway)).into_iter().collect();
            first.push(put(Key::Subnet(*cidr), Value::Subnet(opened)));
            first.extend(BlockId::all_of(*cidr).map(|id| {
                put(Key::Block { zone: zone(), block: id }, Value::Block(Block::open(id, 0, &set_aside)))
            }));
        }
        store.write(&first);
        let members = (0..hosts).map(|number| member(number, store.revision)).collect();
        let mut net = Net {
            store,
            members,
            now: 1_000,
            requests: 0,
            answers: BTreeMap::new(),
            concerned: BTreeSet::new(),
        };
        for number in 0..hosts {
            for prefix in net.members[number].watches.clone() {
                let (revision, entries) = net.store.list(&prefix);
                net.step(number, Input::Listed { prefix, revision, entries });
            }
            net.attend();
        }
        Ok(net)
    }

    /// A host asks for any address. Time passes as it must.
    ///
    /// # Errors
    /// It is never answered.
    pub(crate) fn assign(&mut self, host: usize) -> Result<Option<IpAddr>> {
        self.pass(BETWEEN_MILLIS);
        self.requests += 1;
        let request = RequestId(self.requests);
        self.show(host);
        self.step(host, Input::Assign { request, pool: pool(), wish: ANY, endpoint: None });
        for _ in 0..2 * ipam::REQUEST_PATIENCE_MILLIS / STEP_MILLIS {
            self.attend();
            match self.answers.remove(&request) {
                Some(Ok(Answer::Assigned(assignment))) => return Ok(Some(assignment.address)),
                Some(Err(_)) => return Ok(None),
                Some(Ok(other)) => bail!("a strange answer: {other:?}"),
                None => {
                    self.pass(STEP_MILLIS);
                    self.show(host);
                    self.step(host, Input::Tick);
                }
            }
        }
        bail!("a request was never answered")
    }

    fn pass(&mut self, millis: u64) {
        let before = self.now / 1_000;
        self.now += millis;
        if self.now / 1_000 > before {
            // Once a second whoever has something due does it.
            let due = |member: &Member| member.host.next_deadline().is_some_and(|due| due.0 <= self.now);
            let due: Vec<usize> = (0..self.members.len()).filter(|at| due(&self.members[*at])).collect();
            for at in due {
                self.show(at);
                self.step(at, Input::Tick);
            }
            self.attend();
        }
    }

    /// Lets everybody whom a commit concerns do what follows from it.
    fn attend(&mut self) {
        while let Some(at) = self.concerned.pop_first() {
            self.show(at);
            self.step(at, Input::Tick);
        }
    }

    fn show(&mut self, at: usize) {
        let member = &mut self.members[at];
        let events: Vec<Seen> = self
            .store
            .written
            .range(member.shown + 1..)
            .flat_map(|(revision, keys)| keys.iter().map(move |key| (key, *revision)))
            .filter(|(key, _)| member.watches.iter().any(|prefix| prefix.contains(key)))
            .map(|(key, revision)| self.store.seen(key, revision))
            .collect();
        member.shown = self.store.revision;
        if !events.is_empty() {
            self.step(at, Input::Seen(events));
        }
    }

    fn step(&mut self, at: usize, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let effects = self.members[at].host.step(Timestamp(self.now), input);
            for effect in effects {
                match effect {
                    Effect::Persist { token, .. } => {
                        inputs.insert(0, Input::Persisted { token, outcome: Persisted::Done });
                    }
                    Effect::Send { token, transaction } => {
                        let outcome = self.commit(at, &transaction);
                        inputs.insert(0, Input::Sent { token, outcome });
                    }
                    Effect::Read { token, keys } => {
                        let found = keys.iter().map(|key| self.store.read(key)).collect();
                        inputs.insert(0, Input::Read { token, found: Some(found) });
                    }
                    Effect::Answer { request, result } => {
                        self.answers.insert(request, result);
                    }
                    Effect::Silence { .. } => (),
                }
            }
        }
    }

    fn commit(&mut self, by: usize, transaction: &Transaction) -> Sent {
        if !transaction.compares.iter().all(|compare| self.store.holds(compare)) {
            let now = transaction.compares.iter().filter_map(|compare| match compare {
                Compare::At { key, .. } | Compare::Holds { key, .. } | Compare::Absent(key) => {
                    Some(self.store.read(key))
                }
                Compare::Empty(_) => None,
            });
            return Sent::Conflict { now: now.collect() };
        }
        self.store.write(&transaction.writes);
        for write in &transaction.writes {
            let (Write::Put { key, .. } | Write::Delete(key)) = write;
            if let Key::Want { holder, asker, .. } = key {
                let concerned = [holder, asker].into_iter().filter_map(|host| host.0.parse::<usize>().ok());
                self.concerned.extend(concerned.filter(|host| *host != by));
            }
        }
        Sent::Committed { revision: Revision(self.store.revision) }
    }
}

impl Store {
    fn holds(&self, compare: &Compare) -> bool {
        let at = |key: &Key| self.entries.get(key).filter(|(value, _)| value.is_some()).map(|(_, at)| *at);
        match compare {
            Compare::At { key, revision } => at(key) == Some(revision.0),
            Compare::Holds { key, value } => {
                self.entries.get(key).is_some_and(|(standing, _)| standing.as_ref() == Some(value))
            }
            Compare::Absent(key) => at(key).is_none(),
            Compare::Empty(prefix) => {
                self.entries.iter().all(|(key, (value, _))| value.is_none() || !prefix.contains(key))
            }
        }
    }

    fn write(&mut self, writes: &[Write]) {
        if writes.is_empty() {
            return;
        }
        self.revision += 1;
        for write in writes {
            let (key, value) = match write {
                Write::Put { key, value } => (key, Some(value.clone())),
                Write::Delete(key) => (key, None),
            };
            if let Some((_, before)) = self.entries.insert(key.clone(), (value, self.revision))
                && let Some(keys) = self.written.get_mut(&before)
            {
                keys.retain(|other| other != key);
                if keys.is_empty() {
                    self.written.remove(&before);
                }
            }
            self.written.entry(self.revision).or_default().push(key.clone());
        }
    }

    fn read(&self, key: &Key) -> Seen {
        match self.entries.get(key) {
            Some((Some(value), at)) => {
                Seen { key: key.clone(), value: Some(value.clone()), revision: Revision(*at) }
            }
            _ => Seen { key: key.clone(), value: None, revision: Revision(self.revision) },
        }
    }

    fn seen(&self, key: &Key, revision: u64) -> Seen {
        let value = self.entries.get(key).and_then(|(value, _)| value.clone());
        Seen { key: key.clone(), value, revision: Revision(revision) }
    }

    fn list(&self, prefix: &Prefix) -> (Revision, Vec<Seen>) {
        let of_prefix =
            self.entries.iter().filter(|(key, (value, _))| value.is_some() && prefix.contains(key));
        let entries = of_prefix.map(|(key, (_, at))| self.seen(key, *at)).collect();
        (Revision(self.revision), entries)
    }
}

fn member(number: usize, shown: u64) -> Member {
    let identity = Identity {
        // Its number is its name, so that who is asked is found.
        host: HostId(number.to_string()),
        instance: InstanceId(format!("instance-{number}")),
        boot: BootId(format!("boot-{number}")),
        zones: BTreeSet::from([zone()]),
    };
    let host = Host::recover(identity, Timestamp(1_000), []);
    let watches = host.watches();
    Member { host, watches, shown }
}

fn put(key: Key, value: Value) -> Write {
    Write::Put { key, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_host_reaches_every_address_that_others_hold_free() -> Result<()> {
        let mut net = Net::new(5, &["10.0.0.0/27".parse()?])?;
        let mut found = BTreeSet::new();
        while let Some(address) = net.assign(2)? {
            assert!(found.insert(address), "{address} twice");
        }
        assert_eq!(found.len(), 29);
        Ok(())
    }
}
