//! Where names are answered: finds this host's addresses, listens there, and says what is in the way.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hostnet::IfName;
use nix::ifaddrs::getifaddrs;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::occupant::occupant_of;
use super::resolv_conf::PORT;
use super::resolver::Resolver;
use super::rim;

/// How often it is looked again: an interface may get its address late, and whoever has the port may leave it.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Where names are answered, for `berth status`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Here.
    pub(crate) at: Vec<SocketAddr>,
    /// Not here, and why not.
    pub(crate) not_at: BTreeMap<SocketAddr, String>,
}

/// Where to listen.
#[derive(Clone, Debug)]
pub(super) enum Wanted {
    /// As the configuration says.
    Named(Vec<SocketAddr>),
    /// At the first address of each of these interfaces.
    On(Vec<IfName>),
}

/// Listens wherever it can, until `stop`.
pub(super) async fn listen(
    wanted: Wanted,
    resolver: Arc<Resolver>,
    report: watch::Sender<Report>,
    tasks: TaskTracker,
    stop: CancellationToken,
) {
    loop {
        let mut now = Report { at: report.borrow().at.clone(), not_at: BTreeMap::new() };
        for place in places(&wanted) {
            if now.at.contains(&place) {
                continue;
            }
            match open(place).await {
                Ok((socket, listener)) => {
                    let (udp, tcp) = (rim::Udp::new(socket), rim::Tcp::new(listener));
                    tasks.spawn(udp.serve(Arc::clone(&resolver), tasks.clone(), stop.clone()));
                    tasks.spawn(tcp.serve(Arc::clone(&resolver), tasks.clone(), stop.clone()));
                    now.at.push(place);
                }
                Err(error) => drop(now.not_at.insert(place, why(&error, place))),
            }
        }
        report.send_if_modified(|known| {
            let changed = *known != now;
            for (place, why) in now.not_at.iter().filter(|(place, _)| !known.not_at.contains_key(place)) {
                tracing::warn!("names are not answered at {place}: {why}");
            }
            for place in now.at.iter().filter(|place| !known.at.contains(place)) {
                tracing::info!(%place, "names are answered");
            }
            *known = now;
            changed
        });
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
    }
}

/// Both ways, or none: a client that comes again over TCP must find us there.
async fn open(place: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    Ok((UdpSocket::bind(place).await?, TcpListener::bind(place).await?))
}

fn places(wanted: &Wanted) -> Vec<SocketAddr> {
    match wanted {
        Wanted::Named(places) => places.clone(),
        Wanted::On(interfaces) => {
            interfaces.iter().filter_map(address_on).map(|address| SocketAddr::new(address, PORT)).collect()
        }
    }
}

/// The first address of an interface: of IPv4, if it has one. The others may be anything's.
fn address_on(interface: &IfName) -> Option<IpAddr> {
    let all = getifaddrs().ok()?.filter(|it| it.interface_name == interface.as_str());
    let addresses: Vec<IpAddr> = all
        .filter_map(|it| {
            let address = it.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            let v6 = address.as_sockaddr_in6().map(|v6| v6.ip()).filter(|v6| !v6.is_unicast_link_local());
            v4.or(v6.map(IpAddr::V6))
        })
        .collect();
    addresses.iter().find(|address| address.is_ipv4()).or(addresses.first()).copied()
}

fn why(error: &io::Error, place: SocketAddr) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => match occupant_of(place) {
            Some(name) => format!("{name} has that port"),
            None => {
                let port = place.port();
                format!("another program has that port; `ss -lntup sport = :{port}` shows which")
            }
        },
        io::ErrorKind::PermissionDenied => "berthd lacks the capability CAP_NET_BIND_SERVICE".to_owned(),
        _ => error.to_string(),
    }
}
