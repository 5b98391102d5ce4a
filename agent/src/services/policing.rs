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
use tokio_util::sync::CancellationToken;

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
    services: BTreeMap<String, watch::Receiver<Option<BTreeSet<IpAddr>>>>,
    /// Ends with this value; one whose receiver is gone ends by itself.
    tasks: JoinSet<()>,
    nudged: (watch::Sender<()>, watch::Receiver<()>),
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
            let mut changes = members.clone();
            self.tasks.spawn(async move {
                let nudging = async {
                    while changes.changed().await.is_ok() {
                        nudge.send_replace(());
                    }
                };
                tokio::join!(follow(store, prefix, addresses, told), nudging);
            });
            self.services.insert((*name).to_owned(), members);
        }
    }

    /// Where the members of all of them are; nothing before each was read.
    fn addresses(&self) -> Option<Addresses> {
        let known = |(name, members): (&String, &watch::Receiver<Option<BTreeSet<IpAddr>>>)| {
            Some((name.clone(), members.borrow().clone()?))
        };
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
