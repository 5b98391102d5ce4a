//! Who is asked about what is not ours: as configured, or as `/etc/resolv.conf` says now. Source: resolv.conf(5).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Where the host's resolvers stand.
pub(super) const RESOLV_CONF: &str = "/etc/resolv.conf";

/// The port of DNS. Source: RFC 1035, section 4.2.
pub(super) const PORT: u16 = 53;

/// How many resolvers of the file count. Source: resolv.conf(5), `MAXNS`.
const COUNT_MAX: usize = 3;

/// How old what was read may be: a host's network changes seldom, and a file is cheap to read.
const AGE_MAX: Duration = Duration::from_secs(2);

/// Who is asked.
pub(super) struct ResolvConf {
    configured: Vec<SocketAddr>,
    path: PathBuf,
    read: Mutex<Option<(Instant, Vec<SocketAddr>)>>,
}

impl ResolvConf {
    /// Those that are configured, or those that the file names.
    pub(super) fn new(configured: Vec<SocketAddr>, path: PathBuf) -> Self {
        Self { configured, path, read: Mutex::default() }
    }

    /// Who is asked now.
    pub(super) async fn read(&self) -> Vec<SocketAddr> {
        if !self.configured.is_empty() {
            return self.configured.clone();
        }
        let known = self.read.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, known)) = known.filter(|(at, _)| at.elapsed() < AGE_MAX) {
            return known;
        }
        let named = parse(&tokio::fs::read_to_string(&self.path).await.unwrap_or_default());
        *self.read.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), named.clone()));
        named
    }
}

/// The resolvers that a text names. A file that names none means this machine.
fn parse(text: &str) -> Vec<SocketAddr> {
    let named = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let address = words.next().filter(|word| *word == "nameserver").and(words.next())?;
        // `fe80::1%eth0` names an interface as well.
        let address: IpAddr = address.split('%').next()?.parse().ok()?;
        Some(SocketAddr::new(address, PORT))
    });
    let named: Vec<SocketAddr> = named.take(COUNT_MAX).collect();
    if named.is_empty() { vec![(Ipv4Addr::LOCALHOST, PORT).into()] } else { named }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_three_name_servers_count_and_nothing_else() {
        let text = "# nameserver 9.9.9.9\nsearch nameserver\nnameserver 10.0.80.11\nnameserver not-one\n\
                    nameserver\t2001:db8::1\nnameserver 10.0.80.12 # the other\nnameserver 10.0.80.13\n";
        let shown: Vec<String> = parse(text).iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["10.0.80.11:53", "[2001:db8::1]:53", "10.0.80.12:53"]);
        assert_eq!(parse("options ndots:0\n"), [SocketAddr::from(([127, 0, 0, 1], 53))]);
    }
}
