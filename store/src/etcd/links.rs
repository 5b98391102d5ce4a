//! Whom we ask: one member at a time, and one that has shown that it serves.
//!
//! A request is sent only over a link that answered a linearizable read since it last failed. So when etcd is
//! away, or without a quorum, what is asked for is refused as not sent; only what was under way at the moment
//! it went is in doubt.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use etcd_client::{Client, GetOptions};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::fault::Fault;
use super::options::EtcdOptions;
use super::words::{Space, header_revision};
use crate::layout::Under;
use crate::{Revision, StoreError};

/// How long a member may take to show that it serves. An election takes a second or two, and then it is
/// looked for again.
const SHOW_TIME_MAX: Duration = Duration::from_secs(2);

/// How long a connection may take to come about.
const CONNECT_TIME_MAX: Duration = Duration::from_millis(1500);

/// Between asking one member and asking the next one too: a healthy one answers well within.
const STAGGER: Duration = Duration::from_millis(200);

/// How often a connection that somebody waits on is tested. etcd closes connections on which this is asked
/// more often than every five seconds (`--grpc-keepalive-min-time`).
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(6);

/// How long the test may take.
const KEEP_ALIVE_TIME_MAX: Duration = Duration::from_secs(4);

/// The members, and the one that is asked.
pub(super) struct Links {
    options: EtcdOptions,
    space: Space,
    asked: Mutex<Asked>,
    /// Held while somebody looks for a member that serves.
    looking: tokio::sync::Mutex<()>,
    /// Which etcd this is. Members of another one must never be asked.
    etcd: OnceLock<u64>,
}

enum Asked {
    /// This one.
    Link(Link),
    /// Nobody served when it was last looked, at this time. Whoever asked before then has this for an answer.
    Nobody { looked: Option<Instant>, why: String },
}

/// A connection to one member.
#[derive(Clone)]
pub(super) struct Link {
    client: Arc<Client>,
    endpoint: Arc<str>,
    /// Tells it from a later one to the same member.
    number: Instant,
}

impl Link {
    /// The client; every use has its own handle.
    pub(super) fn client(&self) -> Client {
        Client::clone(&self.client)
    }

    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }
}

impl Links {
    pub(super) fn new(options: EtcdOptions, space: Space) -> Links {
        let nobody = Asked::Nobody { looked: None, why: String::new() };
        Links {
            options,
            space,
            asked: Mutex::new(nobody),
            looking: Default::default(),
            etcd: OnceLock::new(),
        }
    }

    /// A link to a member that serves, looked for if there is none. Nothing was sent when this fails.
    pub(super) async fn sound(&self, deadline: Instant) -> Result<Link, StoreError> {
        if let Asked::Link(link) = &*self.asked() {
            return Ok(link.clone());
        }
        let asked_at = Instant::now();
        match timeout_at(deadline, self.look_unless_done(asked_at)).await {
            Ok(found) => found,
            Err(_) => Err(StoreError::Unavailable("no member of etcd answers".into())),
        }
    }

    /// Stops asking over `link`, unless that has happened already.
    pub(super) fn doubt(&self, link: &Link) {
        let mut asked = self.asked();
        if matches!(&*asked, Asked::Link(current) if current.number == link.number) {
            *asked = Asked::Nobody { looked: None, why: String::new() };
        }
    }

    /// One looks, and all who wait for it have its answer.
    async fn look_unless_done(&self, asked_at: Instant) -> Result<Link, StoreError> {
        let _looking = self.looking.lock().await;
        match &*self.asked() {
            Asked::Link(link) => return Ok(link.clone()),
            Asked::Nobody { looked: Some(looked), why } if *looked > asked_at => {
                return Err(StoreError::Unavailable(why.clone().into()));
            }
            Asked::Nobody { .. } => {}
        }
        let found = self.look().await;
        match &found {
            Ok(link) => {
                tracing::debug!(endpoint = %link.endpoint, "asking this member of etcd");
                *self.asked() = Asked::Link(link.clone());
            }
            Err(StoreError::Unavailable(why)) => {
                *self.asked() = Asked::Nobody { looked: Some(Instant::now()), why: why.to_string() };
            }
            Err(_) => {}
        }
        found
    }

    /// Asks every member, in any order and a little after one another, and takes the first that serves.
    async fn look(&self) -> Result<Link, StoreError> {
        let endpoints = &self.options.endpoints;
        let first = arbitrary(endpoints.len());
        let mut shows: FuturesUnordered<_> = (0u32..)
            .zip(endpoints.iter().cycle().skip(first).take(endpoints.len()))
            .map(|(before, endpoint)| async move {
                sleep(STAGGER * before).await;
                self.show(endpoint).await
            })
            .collect();
        let mut silent = Vec::new();
        let mut telling = None;
        while let Some(shown) = shows.next().await {
            match shown {
                Ok(link) => return Ok(link),
                Err(StoreError::Unavailable(why)) => silent.push(why.to_string()),
                // What somebody must do something about is the better answer.
                Err(error) => telling = Some(error),
            }
        }
        Err(telling.unwrap_or_else(|| StoreError::Unavailable(silent.join("; ").into())))
    }

    /// Connects anew, with what the files say now, and lets the member show that it serves.
    async fn show(&self, endpoint: &str) -> Result<Link, StoreError> {
        let serving = async {
            let options = self
                .options
                .connect()?
                .with_connect_timeout(CONNECT_TIME_MAX)
                .with_keep_alive(KEEP_ALIVE_EVERY, KEEP_ALIVE_TIME_MAX)
                // A member that is cut off from the others says so, instead of being silent.
                .with_require_leader(true)
                .with_auto_token_refresh(true);
            let of_first_look = |fault: Fault| match &self.options.tls {
                Some(_) => fault.of_first_look(),
                None => fault.of_look(),
            };
            let client = Client::connect([endpoint], Some(options)).await;
            let client = client.map_err(|error| of_first_look(Fault::of(error, endpoint)))?;
            let link = Link { client: Arc::new(client), endpoint: endpoint.into(), number: Instant::now() };
            self.newest(&link).await.map_err(of_first_look)?;
            Ok(link)
        };
        match timeout(SHOW_TIME_MAX, serving).await {
            Ok(shown) => shown,
            Err(_) => Err(Fault::silence(endpoint).of_look()),
        }
    }

    /// The newest revision: a linearizable read, which only a member with a quorum answers.
    pub(super) async fn newest(&self, link: &Link) -> Result<Revision, Fault> {
        let (first, end) = self.space.range(&Under::Cluster.prefix());
        let look = GetOptions::new().with_range(end).with_count_only();
        let of = |error| Fault::of(error, link.endpoint());
        let answer = link.client().get(first, Some(look)).await.map_err(of)?;
        let etcd = answer.header().map_or(0, etcd_client::ResponseHeader::cluster_id);
        let known = *self.etcd.get_or_init(|| etcd);
        if known != etcd {
            let endpoint = link.endpoint().to_owned();
            return Err(Fault::Refused(StoreError::AnotherEtcd { endpoint }));
        }
        header_revision(answer.header())
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        // It is replaced whole, so a panic elsewhere leaves no half of it.
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Any number below `count`: agents that lost a member together do not all turn to the same one.
fn arbitrary(count: usize) -> usize {
    let any = RandomState::new().build_hasher().finish();
    usize::try_from(any % (count.max(1) as u64)).unwrap_or(0)
}
