//! Which names are ours, and what each is of.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use api::Transport;

/// Below which label of the domain containers are called by their names.
pub(crate) const CONTAINERS: &str = "containers";

/// How long a label, and a name as a text, may be. Source: RFC 1035, section 2.3.4; a name is 255 bytes on the wire.
const LABEL_MAX: usize = 63;
const NAME_MAX: usize = 253;

/// What of the name is left for what is below the domain: three labels, as long as can be.
const BELOW: usize = 3 * (LABEL_MAX + 1);

/// Names that are special, and must not be given a meaning of ours. Sources: RFC 6761 and RFC 6762 (multicast DNS has
/// `local`), RFC 7686 (`onion`).
const SPECIAL: &[&str] = &["localhost", "local", "invalid", "test", "onion", "arpa"];

/// The domain below which the names of a cluster are. Lower case, no dot at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Domain(String);

/// A text that is no domain for the names of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadDomain {
    /// It is no domain at all.
    #[error("is no domain: labels of lower-case letters, digits and `-`, with dots in between")]
    Malformed,
    /// It leaves no room.
    #[error("is longer than {}: nothing could be named below it", NAME_MAX - BELOW)]
    TooLong,
    /// It is somebody else's.
    #[error("ends in {0:?}, which has a meaning of its own")]
    Special(String),
}

impl Domain {
    /// The domain of a text.
    ///
    /// # Errors
    /// As [`BadDomain`] has them.
    pub fn parse(text: &str) -> Result<Self, BadDomain> {
        if text.len() > NAME_MAX - BELOW {
            return Err(BadDomain::TooLong);
        }
        if !text.split('.').all(is_label) {
            return Err(BadDomain::Malformed);
        }
        let top = text.rsplit('.').next().unwrap_or_default();
        // `home.arpa` is for homes (RFC 8375), and the rest of `arpa` for addresses.
        if SPECIAL.contains(&top) {
            return Err(BadDomain::Special(top.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What a container is called below it.
    pub fn of_container(&self, name: &str) -> String {
        format!("{name}.{CONTAINERS}.{}", self.0)
    }

    /// What a member of a service is called below it: by its address, because that is always a label.
    pub fn of_member(&self, address: IpAddr, service: &str) -> String {
        format!("{}.{service}.{}", dashed(address), self.0)
    }

    /// What a name is of. The name is lower case and has no dot at its end.
    pub fn subject(&self, name: &str) -> Subject {
        if let Some(address) = reverse(name) {
            return Subject::Address(address);
        }
        let Some(below) = self.below(name) else {
            return match name.contains('.') || name.is_empty() || SPECIAL.contains(&name) {
                true => Subject::Elsewhere,
                false => Subject::Bare(name.to_owned()),
            };
        };
        if below.is_empty() || below == CONTAINERS {
            return Subject::Domain;
        }
        if let Some(container) = below.strip_suffix(CONTAINERS).and_then(|rest| rest.strip_suffix('.')) {
            return Subject::Container(container.to_owned());
        }
        let labels: Vec<&str> = below.split('.').collect();
        match labels[..] {
            [service] => Subject::Service(service.to_owned()),
            [member, service] if !member.starts_with('_') => {
                Subject::Member { member: member.to_owned(), service: service.to_owned() }
            }
            [port, transport, service] => match (port.strip_prefix('_'), transport) {
                (Some(port), "_tcp") => Subject::port(port, Transport::Tcp, service),
                (Some(port), "_udp") => Subject::port(port, Transport::Udp, service),
                _ => Subject::Nowhere,
            },
            _ => Subject::Nowhere,
        }
    }

    /// What stands before the domain in a name.
    fn below<'a>(&self, name: &'a str) -> Option<&'a str> {
        let before = name.strip_suffix(&self.0)?;
        if before.is_empty() { Some("") } else { before.strip_suffix('.') }
    }
}

/// What serves where nothing else can be said.
impl Default for Domain {
    fn default() -> Self {
        Self("berth.internal".to_owned())
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// What a name is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The domain itself.
    Domain,
    /// `<service>.<domain>`: a service, by its label.
    Service(String),
    /// `<member>.<service>.<domain>`: one container in it, by its name or by its address with dashes.
    Member {
        /// The container, or the address.
        member: String,
        /// The service's label.
        service: String,
    },
    /// `_<port>._tcp.<service>.<domain>`: where a service listens.
    Port {
        /// The port's name.
        port: String,
        /// What is spoken to it.
        transport: Transport,
        /// The service's label.
        service: String,
    },
    /// `<container>.containers.<domain>`: a container, by its name or its hostname, which may have dots.
    Container(String),
    /// One label alone: a service or a container, if one is called so.
    Bare(String),
    /// `4.3.2.1.in-addr.arpa` and its like: an address.
    Address(IpAddr),
    /// Below the domain, where nothing can be.
    Nowhere,
    /// Not ours.
    Elsewhere,
}

impl Subject {
    fn port(port: &str, transport: Transport, service: &str) -> Self {
        Self::Port { port: port.to_owned(), transport, service: service.to_owned() }
    }
}

/// An address as one label: dashes in place of what separates its parts. All of an IPv6 address, so that it neither
/// begins nor ends with a dash.
pub(crate) fn dashed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => v4.to_string().replace('.', "-"),
        IpAddr::V6(v6) => v6.segments().map(|part| format!("{part:x}")).join("-"),
    }
}

fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=LABEL_MAX).contains(&text.len())
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// The address that a name of the reverse tree is of. Sources: RFC 1035, section 3.5; RFC 3596, section 2.5.
fn reverse(name: &str) -> Option<IpAddr> {
    if let Some(octets) = name.strip_suffix(".in-addr.arpa") {
        let octets: Vec<u8> = octets.split('.').map(octet).collect::<Option<_>>()?;
        let [d, c, b, a] = octets[..] else { return None };
        return Some(Ipv4Addr::new(a, b, c, d).into());
    }
    let nibbles = name.strip_suffix(".ip6.arpa")?;
    let mut address = 0u128;
    let mut count = 0;
    for (place, nibble) in nibbles.split('.').enumerate() {
        let digit = (nibble.len() == 1).then(|| u128::from_str_radix(nibble, 16).ok()).flatten()?;
        address |= digit.checked_shl(u32::try_from(place).ok()?.checked_mul(4)?)?;
        count += 1;
    }
    (count == 32).then(|| Ipv6Addr::from_bits(address).into())
}

/// One form for each number: `010` would be another name for the same address.
fn octet(text: &str) -> Option<u8> {
    let number: u8 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests;
