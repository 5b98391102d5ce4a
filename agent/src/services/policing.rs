//! Says what the containers of this host accept: from what is declared, who is a member here, and where the members of
//! the services are that are let in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use api::{Service, Transport};
use hostnet::{Policy, Protocol};
use services::{Addresses, Guarding, Member, Opening, guard, peers};
use store::Store;
use store::layout::{self, Item, Under};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::followed::{Stands, follow};

/// What the registrar knows of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Here {
    /// What is declared.
    pub declared: BTreeMap<String, Service>,
    /// The members on this host, by service and address.
    pub members: BTreeMap<(String, IpAddr), Member>,
}

/// Says it until `stop`, as often as it changes. Nothing is said before all is known that it depends on.
pub async fn keep(
    store: Arc<dyn Store>,
    mut here: watch::Receiver<Option<Here>>,
    told: watch::Sender<Option<Policy>>,
    stop: CancellationToken,
) {
    let mut followed = Followed::new(store);
    let keeping = async {
        loop {
            let now = here.borrow_and_update().clone();
            if let Some(here) = now {
                followed.only(&peers(here.declared.values()));
                if let Some(addresses) = followed.addresses() {
                    let policy = Some(spelled(guard(&here.declared, &here.members, &addresses)));
                    told.send_if_modified(|last| std::mem::replace(last, policy.clone()) != policy);
                }
            }
            tokio::select! {
                Ok(()) = here.changed() => {}
                () = followed.changed() => {}
                else => return,
            }
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = keeping => {}
    }
}

/// The services whose members are followed, because some policy lets them in.
struct Followed {
    store: Arc<dyn Store>,
    services: BTreeMap<String, Peer>,
    /// They end with this value.
    tasks: JoinSet<()>,
    nudged: (watch::Sender<()>, watch::Receiver<()>),
}

/// A service whose members are followed for as long as this is there.
struct Peer {
    members: watch::Receiver<Option<BTreeSet<IpAddr>>>,
    _end: DropGuard,
}

impl Followed {
    fn new(store: Arc<dyn Store>) -> Self {
        Self { store, services: BTreeMap::new(), tasks: JoinSet::new(), nudged: watch::channel(()) }
    }

    fn only(&mut self, names: &BTreeSet<&str>) {
        self.services.retain(|name, _| names.contains(name.as_str()));
        while self.tasks.try_join_next().is_some() {}
        for name in names {
            if self.services.contains_key(*name) {
                continue;
            }
            let (told, members) = watch::channel(None);
            let (store, nudge) = (Arc::clone(&self.store), self.nudged.0.clone());
            let prefix = Under::MembersOf { service: (*name).to_owned() }.prefix();
            let (mut changes, end) = (members.clone(), CancellationToken::new());
            let ended = end.clone();
            self.tasks.spawn(async move {
                let nudging = async {
                    while changes.changed().await.is_ok() {
                        nudge.send_replace(());
                    }
                };
                tokio::select! {
                    () = ended.cancelled() => {}
                    () = follow(store, prefix, addresses, told) => {}
                    () = nudging => {}
                }
            });
            self.services.insert((*name).to_owned(), Peer { members, _end: end.drop_guard() });
        }
    }

    /// Where the members of all of them are; nothing before each was read.
    fn addresses(&self) -> Option<Addresses> {
        let known = |(name, peer): (&String, &Peer)| Some((name.clone(), peer.members.borrow().clone()?));
        self.services.iter().map(known).collect()
    }

    async fn changed(&mut self) {
        // This value has a sender itself: it never ends.
        let _ = self.nudged.1.changed().await;
    }
}

fn addresses(stands: &Stands) -> BTreeSet<IpAddr> {
    let members = stands.iter().filter_map(|(key, value)| match Item::of(key)? {
        // One of another version is let in by its address all the same.
        Item::Member { address, .. } => {
            Some(layout::decode::<Member>(key, value).map_or(address, |it| it.address))
        }
        _ => None,
    });
    members.collect()
}

fn spelled(Guarding { guarded, openings }: Guarding) -> Policy {
    Policy::new(guarded, openings.into_iter().map(opening).collect())
}

/// As the kernel has it.
pub(crate) fn opening(Opening { to, transport, port, from }: Opening) -> hostnet::Opening {
    let protocol = match transport {
        Transport::Tcp => Protocol::Tcp,
        Transport::Udp => Protocol::Udp,
    };
    hostnet::Opening { to, protocol, port: port.get(), from }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use api::{PolicyEntry, Readiness};
    use ipam::{Epoch, Generation};
    use store::layout::encode;
    use store::{MemoryStore, Transaction};

    use super::*;

    fn member(last: u8, host: &str) -> Member {
        Member {
            address: [10, 60, 0, last].into(),
            epoch: Epoch { generation: Generation { number: 1, id: 1 }, take: 1, counter: 1 },
            container: format!("c{last}"),
            host: host.into(),
            zone: "vlan-1".into(),
            port: None,
            weight: 50,
            readiness: Readiness::Ready,
            draining: None,
        }
    }

    /// `db` here lets `web` in, which is elsewhere.
    fn here() -> Here {
        let let_in = PolicyEntry { from: vec!["service/web".parse().unwrap()], port: None };
        let port = 5432.try_into().unwrap();
        let db = Service { policies: vec![let_in], ..services::implied("db", [port]) };
        let members = [(("db".to_owned(), member(1, "h1").address), member(1, "h1"))].into();
        Here { declared: [("db".to_owned(), db)].into(), members }
    }

    async fn write(store: &MemoryStore, last: u8, there: bool) {
        let key = Item::Member { service: "web".into(), address: [10, 60, 0, last].into() }.key();
        let transaction = match there {
            true => Transaction::new().put(key.clone(), encode(&key, &member(last, "h2")).unwrap()),
            false => Transaction::new().delete(key),
        };
        store.commit(transaction).await.unwrap();
    }

    /// Waits until these, and no others, are let in.
    async fn lets_in(policy: &mut watch::Receiver<Option<Policy>>, expected: &[u8]) {
        let expected: BTreeSet<IpAddr> = expected.iter().map(|last| [10, 60, 0, *last].into()).collect();
        let so = |policy: &Option<Policy>| {
            let openings = policy.iter().flat_map(|policy| &policy.openings);
            policy.is_some() && openings.map(|opening| opening.from.ip()).collect::<BTreeSet<_>>() == expected
        };
        tokio::time::timeout(Duration::from_secs(10), policy.wait_for(so)).await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_is_let_in_follows_the_members_of_other_hosts_as_long_as_a_policy_names_their_service() {
        let store = MemoryStore::new();
        let ((seen, watched), (told, mut policy)) = (watch::channel(None), watch::channel(None));
        let stop = CancellationToken::new();
        let keeping = tokio::spawn(keep(Arc::new(store.clone()), watched, told, stop.clone()));
        write(&store, 7, true).await;
        seen.send_replace(Some(here()));
        lets_in(&mut policy, &[7]).await;
        write(&store, 8, true).await;
        lets_in(&mut policy, &[7, 8]).await;
        write(&store, 7, false).await;
        lets_in(&mut policy, &[8]).await;
        // While the store is away nobody is shut out.
        store.go_away();
        assert_eq!(policy.borrow().as_ref().unwrap().openings.len(), 1);
        store.come_back();
        seen.send_replace(Some(Here { declared: BTreeMap::new(), ..here() }));
        tokio::time::timeout(Duration::from_secs(10), policy.wait_for(|it| *it == Some(Policy::default())))
            .await
            .unwrap()
            .unwrap();
        stop.cancel();
        keeping.await.unwrap();
    }
}
