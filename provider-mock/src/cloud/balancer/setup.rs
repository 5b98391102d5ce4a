//! What a balancer does: its listeners, members and health checks, as one value.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde::Serialize;

use super::{Balancer, Status};
use crate::cloud::Id;

/// Everything a balancer does. Every member serves every listener, on the listener's back-end port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Setup {
    /// Where it listens, and where to it forwards.
    pub listeners: Vec<Listener>,
    /// How members are checked: one for each back end.
    pub monitors: Vec<Monitor>,
    /// Who serves.
    pub members: Vec<Member>,
}

/// A listener with its pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Listener {
    /// Its id; its pool has the next one.
    pub id: Id,
    /// Where clients connect.
    pub frontend: End,
    /// Where members listen.
    pub backend: End,
    /// How a member is chosen.
    pub method: Method,
    /// How a client is kept at its member.
    pub session: Option<Session>,
    /// Connections at a time.
    pub connections_max: Option<u32>,
    /// Seconds that a client may be idle.
    pub client_timeout_secs: u32,
    /// Seconds that a member may be idle.
    pub server_timeout_secs: u32,
    /// Who serves this listener alone; of a service (LBaaS) that is everybody.
    #[serde(skip)]
    pub only: Option<Vec<Server>>,
    /// When it was added.
    pub created: Timestamp,
    /// When it last changed.
    pub modified: Timestamp,
}

/// A protocol on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct End {
    /// The protocol.
    pub protocol: Protocol,
    /// The TCP port.
    pub port: u16,
}

/// What is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// HTTP/1.
    Http,
    /// HTTP over TLS.
    Https,
}

/// How a member is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Method {
    /// In turn, whatever the weights.
    #[serde(rename = "ROUNDROBIN")]
    RoundRobin,
    /// In turn, by weight.
    #[serde(rename = "WEIGHTED_RR")]
    Weighted,
    /// The one with the fewest connections, whatever the weights.
    #[serde(rename = "LEASTCONNECTION")]
    LeastConnections,
}

/// How a client is kept at its member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Session {
    /// By its address.
    SourceIp,
    /// By a cookie.
    HttpCookie,
}

/// How the members of one back end are checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Monitor {
    /// Its id.
    pub id: Id,
    /// Which back end.
    pub backend: End,
    /// Seconds between two checks.
    pub interval_secs: u32,
    /// Seconds that a check may take.
    pub timeout_secs: u32,
    /// Failures after which a member is down.
    pub retries_max: u32,
    /// The path that must answer 200; none for TCP.
    pub path: Option<String>,
    /// When it was added.
    pub created: Timestamp,
    /// When it last changed.
    pub modified: Timestamp,
}

/// A member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Member {
    /// Its id.
    pub id: Id,
    /// Its address.
    pub address: Ipv4Addr,
    /// 0 to 100.
    pub weight: u8,
    /// When it was added.
    pub created: Timestamp,
    /// When it last changed.
    pub modified: Timestamp,
}

/// Who serves one listener, with a port of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its id.
    pub id: Id,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
    /// Its share; 0 for nothing.
    pub weight: u8,
}

impl Setup {
    /// Who serves a listener.
    pub fn servers(&self, listener: &Listener) -> Vec<Server> {
        let member = |it: &Member| Server {
            id: it.id,
            address: it.address,
            port: listener.backend.port,
            weight: it.weight,
        };
        listener.only.clone().unwrap_or_else(|| self.members.iter().map(member).collect())
    }
}

/// The UUID of anything of a balancer: of version 4 in form, and made of its id.
pub fn uuid(id: Id) -> String {
    format!("1ba5ba1a-0000-4000-8000-{id:012x}")
}

impl Protocol {
    /// SoftLayer's spelling.
    pub fn key(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Http => "HTTP",
            Self::Https => "HTTPS",
        }
    }

    /// The protocol of this spelling.
    pub fn by_key(key: &str) -> Option<Self> {
        [Self::Tcp, Self::Http, Self::Https].into_iter().find(|it| it.key() == key)
    }

    /// Whether one side can be served by the other: TLS ends at the balancer, HTTP is not made of TCP.
    pub fn is_served_by(self, backend: Self) -> bool {
        match self {
            Self::Tcp => backend == Self::Tcp,
            Self::Http => backend == Self::Http,
            Self::Https => matches!(backend, Self::Http | Self::Https),
        }
    }
}

impl Method {
    /// SoftLayer's spelling.
    pub fn key(self) -> &'static str {
        match self {
            Self::RoundRobin => "ROUNDROBIN",
            Self::Weighted => "WEIGHTED_RR",
            Self::LeastConnections => "LEASTCONNECTION",
        }
    }

    /// The method of this spelling.
    pub fn by_key(key: &str) -> Option<Self> {
        [Self::RoundRobin, Self::Weighted, Self::LeastConnections].into_iter().find(|it| it.key() == key)
    }
}

impl Session {
    /// SoftLayer's spelling.
    pub fn key(self) -> &'static str {
        match self {
            Self::SourceIp => "SOURCE_IP",
            Self::HttpCookie => "HTTP_COOKIE",
        }
    }

    /// The kind of this spelling.
    pub fn by_key(key: &str) -> Option<Self> {
        [Self::SourceIp, Self::HttpCookie].into_iter().find(|it| it.key() == key)
    }
}

impl Listener {
    /// The id of its pool.
    pub fn pool(&self) -> Id {
        self.id + 1
    }
}

impl Setup {
    /// The health check of a back end.
    pub fn monitor_of(&self, backend: End) -> Option<&Monitor> {
        self.monitors.iter().find(|monitor| monitor.backend == backend)
    }
}

/// A part of a balancer that can be pending by itself.
pub trait Part: PartialEq + Sized + 'static {
    /// Its id.
    fn id(&self) -> Id;
    /// All of its kind.
    fn all(setup: &Setup) -> &[Self];
}

impl Part for Listener {
    fn id(&self) -> Id {
        self.id
    }

    fn all(setup: &Setup) -> &[Self] {
        &setup.listeners
    }
}

impl Part for Monitor {
    fn id(&self) -> Id {
        self.id
    }

    fn all(setup: &Setup) -> &[Self] {
        &setup.monitors
    }
}

impl Part for Member {
    fn id(&self) -> Id {
        self.id
    }

    fn all(setup: &Setup) -> &[Self] {
        &setup.members
    }
}

impl Balancer {
    /// All parts of one kind that are wanted or still in force, each with how far it is. What of a change stands in
    /// the records while it is pending is not known of the real service; this is what its states' names say.
    pub fn parts<P: Part>(&self) -> impl Iterator<Item = (&P, Status)> {
        let (wanted, in_force) = (P::all(&self.wanted), P::all(&self.in_force));
        let going = in_force.iter().filter(|old| wanted.iter().all(|new| new.id() != old.id()));
        let standing = wanted.iter().map(|new| {
            let status = match in_force.iter().find(|old| old.id() == new.id()) {
                None => Status::CreatePending,
                Some(old) if old == new => Status::Active,
                Some(_) => Status::UpdatePending,
            };
            (new, status)
        });
        standing.chain(going.map(|old| (old, Status::DeletePending)))
    }
}
