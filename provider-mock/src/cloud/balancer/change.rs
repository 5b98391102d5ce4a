//! The changes of a balancer: each makes of one [`Setup`] the next, or is refused as a whole.

use std::net::Ipv4Addr;

use jiff::Timestamp;

use super::BalancerKind;
use super::refused::BalancerRefused;
use super::setup::{End, Listener, Member, Method, Monitor, Protocol, Session, Setup, uuid};
use crate::cloud::Id;

/// One change. A call that names several things makes one change of them.
#[derive(Clone, Debug)]
pub enum Change {
    /// Other words about it.
    Describe(String),
    /// Adds listeners, or changes those that are named.
    Protocols(Vec<ListenerWanted>),
    /// Removes listeners, by UUID.
    DropProtocols(Vec<String>),
    /// Adds members.
    AddMembers(Vec<MemberWanted>),
    /// Changes weights of members.
    EditMembers(Vec<MemberEdit>),
    /// Removes members, by UUID.
    DropMembers(Vec<String>),
    /// Changes health checks.
    Monitors(Vec<MonitorEdit>),
}

/// A listener as it is asked for; of one that is named, what is left out stays.
#[derive(Clone, Debug, Default)]
pub struct ListenerWanted {
    /// The listener to change; none for a new one.
    pub uuid: Option<String>,
    /// The protocol in front.
    pub frontend_protocol: Option<Protocol>,
    /// The port in front.
    pub frontend_port: Option<u64>,
    /// The protocol behind.
    pub backend_protocol: Option<Protocol>,
    /// The port behind.
    pub backend_port: Option<u64>,
    /// How a member is chosen.
    pub method: Option<Method>,
    /// How a client is kept.
    pub session: Option<Session>,
    /// Connections at a time.
    pub connections_max: Option<u32>,
    /// Seconds that a client may be idle.
    pub client_timeout_secs: Option<u32>,
    /// Seconds that a member may be idle.
    pub server_timeout_secs: Option<u32>,
}

/// A member as it is asked for.
#[derive(Clone, Debug)]
pub struct MemberWanted {
    /// `privateIpAddress`.
    pub private: Option<String>,
    /// `publicIpAddress`.
    pub public: Option<String>,
    /// 0 to 100.
    pub weight: Option<i64>,
}

/// Another weight for a member.
#[derive(Clone, Debug)]
pub struct MemberEdit {
    /// The member.
    pub uuid: String,
    /// 0 to 100.
    pub weight: i64,
}

/// Other settings of a health check; what is left out stays.
#[derive(Clone, Debug, Default)]
pub struct MonitorEdit {
    /// The health check.
    pub uuid: String,
    /// Seconds between two checks.
    pub interval_secs: Option<u32>,
    /// Seconds that a check may take.
    pub timeout_secs: Option<u32>,
    /// Failures after which a member is down.
    pub retries_max: Option<u32>,
    /// The path that must answer 200.
    pub path: Option<String>,
}

/// Gives what is new its id and its date.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// The next free id.
    pub next: Id,
    /// Now.
    pub today: Timestamp,
}

impl Stamp {
    pub(super) fn id(&mut self) -> Id {
        self.next += 1;
        self.next - 1
    }
}

/// Protocols of one balancer (`ibm-cloud-docs/loadbalancer-service`, `faqs.md`).
const PROTOCOLS_MAX: usize = 10;
/// Members of one balancer (the same).
const MEMBERS_MAX: usize = 50;
/// The weight of a member that none is given for (the same).
const WEIGHT: i64 = 50;

impl Change {
    /// What a balancer does after this change.
    pub(super) fn apply(
        &self,
        kind: BalancerKind,
        before: &Setup,
        stamp: &mut Stamp,
    ) -> Result<Setup, BalancerRefused> {
        let mut setup = before.clone();
        match self {
            Self::Describe(_) => (),
            Self::Protocols(list) => {
                list.iter().try_for_each(|wanted| take_listener(&mut setup, wanted, stamp))?;
            }
            Self::DropProtocols(uuids) => {
                for one in uuids {
                    let at = setup.listeners.iter().position(|listener| uuid(listener.id) == *one);
                    setup.listeners.remove(at.ok_or_else(|| no_such("Listener", one))?);
                }
            }
            Self::AddMembers(list) => {
                list.iter().try_for_each(|wanted| add_member(&mut setup, kind, wanted, stamp))?;
            }
            Self::EditMembers(edits) => {
                edits.iter().try_for_each(|edit| edit_member(&mut setup, edit, stamp))?;
            }
            Self::DropMembers(uuids) => {
                for one in uuids {
                    let at = setup.members.iter().position(|member| uuid(member.id) == *one);
                    setup.members.remove(at.ok_or_else(|| no_such("Member", one))?);
                }
            }
            Self::Monitors(edits) => {
                edits.iter().try_for_each(|edit| edit_monitor(&mut setup, edit, stamp))?;
            }
        }
        check_limits(&setup)?;
        check_every_back_end(&mut setup, stamp);
        Ok(setup)
    }
}

fn take_listener(
    setup: &mut Setup,
    wanted: &ListenerWanted,
    stamp: &mut Stamp,
) -> Result<(), BalancerRefused> {
    let named = match &wanted.uuid {
        Some(one) => {
            let found = setup.listeners.iter().position(|listener| uuid(listener.id) == *one);
            Some(found.ok_or_else(|| no_such("Listener", one))?)
        }
        None => None,
    };
    let before = named.and_then(|at| setup.listeners.get(at));
    let frontend = End {
        protocol: wanted
            .frontend_protocol
            .or(before.map(|it| it.frontend.protocol))
            .ok_or(BalancerRefused::Missing("frontendProtocol"))?,
        port: port("Front-end", wanted.frontend_port.or(before.map(|it| it.frontend.port.into())))?,
    };
    let backend = End {
        protocol: wanted
            .backend_protocol
            .or(before.map(|it| it.backend.protocol))
            .ok_or(BalancerRefused::Missing("backendProtocol"))?,
        port: port("Back-end", wanted.backend_port.or(before.map(|it| it.backend.port.into())))?,
    };
    if !frontend.protocol.is_served_by(backend.protocol) {
        let (frontend, backend) = (frontend.protocol, backend.protocol);
        return Err(BalancerRefused::Incompatible { frontend, backend });
    }
    if frontend.protocol == Protocol::Https {
        return Err(BalancerRefused::NoCertificate);
    }
    let others = setup.listeners.iter().enumerate().filter(|(at, _)| Some(*at) != named);
    if others.into_iter().any(|(_, listener)| listener.frontend.port == frontend.port) {
        return Err(BalancerRefused::FrontendPortTaken(frontend.port));
    }
    let timeout = |asked: Option<u32>, before: Option<u32>| match asked.or(before).unwrap_or(50) {
        secs @ 1..=7200 => Ok(secs),
        _ => Err(BalancerRefused::Range { what: "The timeout of a protocol", least: 1, most: 7200 }),
    };
    let listener = Listener {
        id: before.map_or_else(
            || {
                // The pool has the next one.
                stamp.id();
                stamp.id() - 1
            },
            |it| it.id,
        ),
        frontend,
        backend,
        method: wanted.method.or(before.map(|it| it.method)).unwrap_or(Method::RoundRobin),
        session: wanted.session.or(before.and_then(|it| it.session)),
        connections_max: wanted.connections_max.or(before.and_then(|it| it.connections_max)),
        client_timeout_secs: timeout(wanted.client_timeout_secs, before.map(|it| it.client_timeout_secs))?,
        server_timeout_secs: timeout(wanted.server_timeout_secs, before.map(|it| it.server_timeout_secs))?,
        only: None,
        created: before.map_or(stamp.today, |it| it.created),
        modified: stamp.today,
    };
    match named.and_then(|at| setup.listeners.get_mut(at)) {
        Some(place) => *place = listener,
        None => setup.listeners.push(listener),
    }
    Ok(())
}

/// The service keeps 56500 to 56520 for itself.
fn port(side: &'static str, asked: Option<u64>) -> Result<u16, BalancerRefused> {
    let port = asked.and_then(|port| u16::try_from(port).ok()).filter(|port| *port != 0);
    port.filter(|port| !(56_500..=56_520).contains(port)).ok_or(BalancerRefused::Port { side })
}

fn add_member(
    setup: &mut Setup,
    kind: BalancerKind,
    wanted: &MemberWanted,
    stamp: &mut Stamp,
) -> Result<(), BalancerRefused> {
    let (field, text) = match kind {
        BalancerKind::PublicToPublic => ("publicIpAddress", &wanted.public),
        _ => ("privateIpAddress", &wanted.private),
    };
    let text = text.as_deref().ok_or(BalancerRefused::NoAddress(field))?;
    let address: Ipv4Addr = text.parse().map_err(|_| BalancerRefused::NotAnAddress(text.to_owned()))?;
    if setup.members.iter().any(|member| member.address == address) {
        return Err(BalancerRefused::MemberTaken(address));
    }
    let weight = weight(wanted.weight.unwrap_or(WEIGHT), text)?;
    let (created, modified) = (stamp.today, stamp.today);
    setup.members.push(Member { id: stamp.id(), address, weight, created, modified });
    Ok(())
}

fn edit_member(setup: &mut Setup, edit: &MemberEdit, stamp: &Stamp) -> Result<(), BalancerRefused> {
    let found = setup.members.iter_mut().find(|member| uuid(member.id) == edit.uuid);
    let member = found.ok_or_else(|| no_such("Member", &edit.uuid))?;
    member.weight = weight(edit.weight, &edit.uuid)?;
    member.modified = stamp.today;
    Ok(())
}

fn weight(weight: i64, member: &str) -> Result<u8, BalancerRefused> {
    let fits = u8::try_from(weight).ok().filter(|weight| *weight <= 100);
    fits.ok_or_else(|| BalancerRefused::Weight { weight, member: member.to_owned() })
}

fn edit_monitor(setup: &mut Setup, edit: &MonitorEdit, stamp: &Stamp) -> Result<(), BalancerRefused> {
    let found = setup.monitors.iter_mut().find(|monitor| uuid(monitor.id) == edit.uuid);
    let monitor = found.ok_or_else(|| no_such("Health monitor", &edit.uuid))?;
    let in_range = |what, value: u32, least, most| match value {
        value if (least..=most).contains(&value) => Ok(value),
        _ => Err(BalancerRefused::Range { what, least, most }),
    };
    let interval = edit.interval_secs.unwrap_or(monitor.interval_secs);
    monitor.interval_secs = in_range("Health monitor interval", interval, 2, 60)?;
    let timeout = edit.timeout_secs.unwrap_or(monitor.timeout_secs);
    monitor.timeout_secs = in_range("Health monitor timeout", timeout, 1, interval - 1)?;
    let retries = edit.retries_max.unwrap_or(monitor.retries_max);
    monitor.retries_max = in_range("Health monitor maxRetries", retries, 1, 10)?;
    if monitor.backend.protocol != Protocol::Tcp {
        monitor.path = edit.path.clone().or(monitor.path.take());
    }
    monitor.modified = stamp.today;
    Ok(())
}

fn check_limits(setup: &Setup) -> Result<(), BalancerRefused> {
    let limits =
        [("protocols", setup.listeners.len(), PROTOCOLS_MAX), ("members", setup.members.len(), MEMBERS_MAX)];
    match limits.into_iter().find(|(_, count, max)| count > max) {
        Some((what, _, max)) => Err(BalancerRefused::TooMany { what, max }),
        None => Ok(()),
    }
}

/// Each back end has one health check: a new one starts with the service's defaults, one that nobody uses goes.
fn check_every_back_end(setup: &mut Setup, stamp: &mut Stamp) {
    let backends: Vec<End> = setup.listeners.iter().map(|listener| listener.backend).collect();
    setup.monitors.retain(|monitor| backends.contains(&monitor.backend));
    for backend in backends {
        if setup.monitor_of(backend).is_none() {
            setup.monitors.push(Monitor {
                id: stamp.id(),
                backend,
                interval_secs: 5,
                timeout_secs: 2,
                retries_max: 2,
                path: (backend.protocol != Protocol::Tcp).then(|| "/".to_owned()),
                created: stamp.today,
                modified: stamp.today,
            });
        }
    }
}

fn no_such(what: &'static str, uuid: &str) -> BalancerRefused {
    BalancerRefused::NoSuchPart { what, uuid: uuid.to_owned() }
}
