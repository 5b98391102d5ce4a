//! From a question to an answer: from memory where that is enough, else from the store, else from others.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ipam::HostId;
use names::{
    Code, Domain, Kind, Query, Reply, Subject, Way, of_address, of_container, of_service, of_the_domain,
    says_no_name,
};
use services::Vigil;
use store::Store;
use store::layout::{self, Item, Under};
use tokio::sync::watch;

use super::asked::{Asked, Unsure};
use super::directory::Directory;
use super::entry::{CalledSo, Entry};
use super::forward::Forward;
use super::ground::Ground;
use super::local::Local;
use super::places::Report;
use crate::services::in_time;

/// What a resolver is made of.
pub(super) struct Parts {
    pub(super) domain: Domain,
    pub(super) ttl_secs: u32,
    pub(super) host: HostId,
    pub(super) store: Arc<dyn Store>,
    pub(super) vigil: watch::Receiver<Vigil>,
    pub(super) local: watch::Receiver<Arc<Local>>,
    pub(super) ground: watch::Receiver<Arc<Ground>>,
    pub(super) report: watch::Receiver<Report>,
    pub(super) directory: Directory,
    /// Containers of other hosts, by what they are called.
    pub(super) called: Asked<Vec<(IpAddr, CalledSo)>>,
    /// And by their addresses.
    pub(super) entries: Asked<Option<Entry>>,
    pub(super) forward: Forward,
}

/// Answers questions.
pub(super) struct Resolver {
    parts: Parts,
    turn: AtomicUsize,
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// This, on whose word.
    Reply(Reply, Word),
    /// Others are asked. If it is not sure that it is not ours, their "no" counts for nothing.
    Forward {
        /// Why it is not sure.
        unless: Option<Unsure>,
    },
    /// It cannot be told now.
    Unsure(Unsure),
}

/// On whose word something is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// Nobody's: it is so by what the name is.
    Nobodys,
    /// The members of this service.
    Members(String),
    /// The containers of this host, as Docker shows them.
    Docker,
    /// What other hosts say of their containers.
    Hosts(Vec<HostId>),
    /// No host says anything.
    NoHost,
}

impl Resolver {
    pub(super) fn new(parts: Parts) -> Self {
        Self { parts, turn: AtomicUsize::new(0) }
    }

    pub(super) fn domain(&self) -> &Domain {
        &self.parts.domain
    }

    pub(super) fn ttl_secs(&self) -> u32 {
        self.parts.ttl_secs
    }

    pub(super) fn directory(&self) -> &Directory {
        &self.parts.directory
    }

    /// Where names are answered, and what is in the way of that.
    pub(super) fn report(&self) -> Report {
        self.parts.report.borrow().clone()
    }

    /// The answer of others.
    pub(super) async fn ask_others(&self, query: &Query, way: Way) -> Option<Vec<u8>> {
        let own = self.report().at;
        self.parts.forward.ask(query, way, &own).await
    }

    /// The others who are asked now.
    pub(super) async fn others(&self) -> Vec<SocketAddr> {
        let own = self.report().at;
        self.parts.forward.resolvers(&own).await
    }

    /// Whether who has this address is answered.
    pub(super) fn may_ask(&self, from: IpAddr) -> bool {
        self.parts.ground.borrow().may_ask(from)
    }

    /// The answer, if memory has it: asks nobody and waits for nothing.
    pub(super) fn at_once(&self, query: &Query, way: Way) -> Option<Vec<u8>> {
        let subject = self.parts.domain.subject(query.name());
        let (reply, _) = self.remembered(&subject, query.kind())?;
        Some(query.reply(&reply, &subject, &self.parts.domain, self.parts.ttl_secs, way))
    }

    /// The answer, whoever has to be asked for it.
    pub(super) async fn answer(&self, query: &Query, way: Way, from: IpAddr) -> Vec<u8> {
        let subject = self.parts.domain.subject(query.name());
        match self.find(&subject, query.kind(), from).await {
            Found::Reply(reply, _) => {
                query.reply(&reply, &subject, &self.parts.domain, self.parts.ttl_secs, way)
            }
            Found::Unsure(_) => query.fail(Code::Failed),
            Found::Forward { unless } => {
                let answer = self.ask_others(query, way).await;
                let answer = answer.filter(|answer| unless.is_none() || !says_no_name(answer));
                answer.unwrap_or_else(|| query.fail(Code::Failed))
            }
        }
    }

    /// What is to be answered about a subject, and on whose word.
    pub(super) async fn find(&self, subject: &Subject, kind: Kind, from: IpAddr) -> Found {
        if let Some((reply, word)) = self.remembered(subject, kind) {
            return Found::Reply(reply, word);
        }
        let found = match subject {
            Subject::Service(label)
            | Subject::Member { service: label, .. }
            | Subject::Port { service: label, .. } => self.service(label, subject, kind, from).await,
            Subject::Container(name) => self.container(name, kind, from).await,
            Subject::Address(address) if self.parts.ground.borrow().is_ours(*address) => {
                self.address(*address, kind, from).await
            }
            Subject::Bare(label) => return self.bare(label, subject, kind, from).await,
            // Of these, memory has said all there is to say.
            Subject::Domain | Subject::Nowhere => Ok((Reply::NoName, Word::Nobodys)),
            Subject::Elsewhere | Subject::Address(_) => return Found::Forward { unless: None },
        };
        match found {
            Ok((reply, word)) => Found::Reply(reply, word),
            Err(unsure) => Found::Unsure(unsure),
        }
    }

    fn remembered(&self, subject: &Subject, kind: Kind) -> Option<(Reply, Word)> {
        let Parts { domain, local, directory, .. } = &self.parts;
        match subject {
            Subject::Domain => Some((of_the_domain(kind), Word::Nobodys)),
            Subject::Nowhere => Some((Reply::NoName, Word::Nobodys)),
            Subject::Elsewhere => None,
            Subject::Service(label)
            | Subject::Member { service: label, .. }
            | Subject::Port { service: label, .. } => {
                let facts = directory.known(label)?;
                let reply = of_service(&facts, subject, kind, self.next_turn(), domain);
                Some((reply, Word::Members(label.clone())))
            }
            Subject::Bare(label) => {
                let facts = directory.known(label).filter(|facts| facts.exists);
                let of_service = facts.map(|facts| {
                    let reply = of_service(&facts, subject, kind, self.next_turn(), domain);
                    (reply, Word::Members(label.clone()))
                });
                of_service.or_else(|| self.here(label, kind))
            }
            Subject::Container(name) => self.here(name, kind),
            Subject::Address(address) => {
                let local = local.borrow();
                let entry = local.at(*address)?;
                Some((of_address(&entry.names(), kind, domain), Word::Docker))
            }
        }
    }

    /// A container of this host hides those of other hosts that are called the same, as it does in Docker's own names.
    fn here(&self, name: &str, kind: Kind) -> Option<(Reply, Word)> {
        let local = self.parts.local.borrow();
        let called = local.called(name);
        (!called.is_empty()).then(|| (of_container(called, kind), Word::Docker))
    }

    async fn service(
        &self,
        label: &str,
        subject: &Subject,
        kind: Kind,
        from: IpAddr,
    ) -> Result<(Reply, Word), Unsure> {
        if !may_be_service(label) {
            return Ok((Reply::NoName, Word::Nobodys));
        }
        let Some(facts) = self.parts.directory.find(label, from).await? else {
            return Ok((Reply::NoName, Word::Members(label.to_owned())));
        };
        let reply = of_service(&facts, subject, kind, self.next_turn(), &self.parts.domain);
        Ok((reply, Word::Members(label.to_owned())))
    }

    /// A service, else a container of another host, else not ours.
    async fn bare(&self, label: &str, subject: &Subject, kind: Kind, from: IpAddr) -> Found {
        let mut unless = None;
        for asked in [self.service(label, subject, kind, from).await, self.container(label, kind, from).await]
        {
            match asked {
                Ok((Reply::NoName, _)) => {}
                Ok((reply, word)) => return Found::Reply(reply, word),
                Err(unsure) => unless = Some(unsure),
            }
        }
        Found::Forward { unless }
    }

    /// A container of another host.
    async fn container(&self, name: &str, kind: Kind, from: IpAddr) -> Result<(Reply, Word), Unsure> {
        let prefix = Under::CalledBy { label: name.to_owned() }.prefix();
        let store = Arc::clone(&self.parts.store);
        let called = self.parts.called.ask(name, from, async move {
            let found = in_time(store.range(&prefix)).await?.entries;
            // One that cannot be understood is another version's, and is left out.
            let called = found.iter().filter_map(|entry| match Item::of(&entry.key) {
                Some(Item::Called { address, .. }) => {
                    Some((address, layout::decode(&entry.key, &entry.value).ok()?))
                }
                _ => None,
            });
            Ok(called.collect())
        });
        let mut called = called.await?;
        // Of its own containers this host knows better.
        called.retain(|(_, so)| so.host != self.parts.host);
        let silent = called.iter().find(|(_, so)| !self.gives_signs(&so.host)).cloned();
        called.retain(|(_, so)| self.gives_signs(&so.host));
        if let (true, Some((_, so))) = (called.is_empty(), silent) {
            return Err(silence_of(&so.host));
        }
        let (addresses, hosts): (Vec<IpAddr>, Vec<HostId>) =
            called.into_iter().map(|(address, so)| (address, so.host)).unzip();
        let word = if hosts.is_empty() { Word::NoHost } else { Word::Hosts(hosts) };
        Ok((of_container(&addresses, kind), word))
    }

    /// An address of another host's container, or one that is not ours.
    async fn address(&self, address: IpAddr, kind: Kind, from: IpAddr) -> Result<(Reply, Word), Unsure> {
        let key = Item::Name(address).key();
        let store = Arc::clone(&self.parts.store);
        let asked = address.to_string();
        let entry = self.parts.entries.ask(&asked, from, async move {
            let entry = in_time(store.get(&key)).await?.entry;
            Ok(entry.and_then(|entry| layout::decode::<Entry>(&entry.key, &entry.value).ok()))
        });
        match entry.await?.filter(|entry| entry.host != self.parts.host) {
            None => Ok((Reply::NoName, Word::NoHost)),
            Some(entry) if !self.gives_signs(&entry.host) => Err(silence_of(&entry.host)),
            Some(entry) => {
                Ok((of_address(&entry.names(), kind, &self.parts.domain), Word::Hosts(vec![entry.host])))
            }
        }
    }

    /// A host that is cut off may have given the address to another container since it wrote.
    fn gives_signs(&self, host: &HostId) -> bool {
        self.parts.vigil.borrow().gives_signs(host)
    }

    fn next_turn(&self) -> usize {
        self.turn.fetch_add(1, Ordering::Relaxed)
    }
}

fn silence_of(host: &HostId) -> Unsure {
    Unsure(format!("host {host} gives no sign of life, and only it knows what its containers are"))
}

/// Whether a service can be called so: others need not be asked for. Source: RFC 1035, section 2.3.1.
fn may_be_service(label: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    label.bytes().all(plain) && label.starts_with(|first: char| first.is_ascii_lowercase())
}
