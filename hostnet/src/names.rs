//! Names of links and MAC addresses, checked once at the edge.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest name of a link in bytes (IFNAMSIZ - 1, linux/if.h).
const NAME_MAX: usize = 15;

/// How the names of links that Berth makes begin. A name is no proof: see [`crate::mark`].
pub(crate) const PREFIX: &str = "berth-";

/// The name of a network link, as the kernel accepts it (`dev_valid_name` in net/core/dev.c).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct IfName(String);

impl IfName {
    /// Checks a name: 1 to 15 bytes, no white space, `/` or `:`, not `.`, `..`, `all` or `default`.
    ///
    /// The last two are names the kernel takes, and then confuses with its own under
    /// `/proc/sys/net/ipv4/conf`.
    pub fn parse(name: &str) -> Result<Self, InvalidName> {
        let bad_byte = |b: u8| b.is_ascii_whitespace() || b == 0x0b || b == 0 || b == b'/' || b == b':';
        let reserved = matches!(name, "" | "." | ".." | "all" | "default");
        if reserved || name.len() > NAME_MAX || name.bytes().any(bad_byte) {
            return Err(InvalidName(name.to_owned()));
        }
        Ok(Self(name.to_owned()))
    }

    /// The bridge of a network: `berth-b` and the first eight letters and digits of the network's id.
    pub fn bridge(network: &str) -> Self {
        Self::ours('b', network)
    }

    /// The host end of an endpoint's veth pair: `berth-p` and the first eight of the endpoint's id.
    pub fn port(endpoint: &str) -> Self {
        Self::ours('p', endpoint)
    }

    /// The end for the container: `berth-c` and the first eight of the endpoint's id.
    pub fn container_end(endpoint: &str) -> Self {
        Self::ours('c', endpoint)
    }

    fn ours(kind: char, id: &str) -> Self {
        let short: String = id.chars().filter(char::is_ascii_alphanumeric).take(8).collect();
        Self(format!("{PREFIX}{kind}{short}"))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Not a name the kernel would accept for a link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot name an interface: 1 to 15 bytes without spaces, '/' and ':' are asked for")]
pub struct InvalidName(String);

impl fmt::Display for IfName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for IfName {
    type Err = InvalidName;

    fn from_str(name: &str) -> Result<Self, InvalidName> {
        Self::parse(name)
    }
}

impl TryFrom<String> for IfName {
    type Error = InvalidName;

    fn try_from(name: String) -> Result<Self, InvalidName> {
        Self::parse(&name)
    }
}

impl From<IfName> for String {
    fn from(name: IfName) -> Self {
        name.0
    }
}

/// The MAC address of an Ethernet link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// A locally administered unicast MAC that depends on nothing but `seed`: a network's id, an
    /// address. 46 bits of FNV-1a, so that two seeds of one host hardly ever meet.
    pub fn derived(seed: &str) -> Self {
        let hash = seed.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let [a, b, c, d, e, f, ..] = hash.to_be_bytes();
        Self([a & 0xfc | 0x02, b, c, d, e, f])
    }
}

/// Not six hexadecimal bytes with colons between them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no MAC address; six bytes like 02:42:0a:32:00:0a are asked for")]
pub struct InvalidMac(String);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = InvalidMac;

    fn from_str(text: &str) -> Result<Self, InvalidMac> {
        let bytes: Vec<u8> = text
            .split(':')
            .map(|part| {
                let two_digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
                u8::from_str_radix(part, 16).ok().filter(|_| two_digits)
            })
            .collect::<Option<_>>()
            .ok_or_else(|| InvalidMac(text.to_owned()))?;
        bytes.try_into().map(Self).map_err(|_| InvalidMac(text.to_owned()))
    }
}

impl TryFrom<String> for Mac {
    type Error = InvalidMac;

    fn try_from(text: String) -> Result<Self, InvalidMac> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_refuses_as_a_name_is_refused() {
        for name in [
            "",
            ".",
            "..",
            "all",
            "default",
            "a b",
            "a/b",
            "a:b",
            "tab\t",
            "sixteen-bytes-xx",
            "eins-zwei-drei-ä",
        ] {
            assert!(IfName::parse(name).is_err(), "{name:?}");
        }
        for name in ["eth0", "eth0.100", "fifteen-bytes-x", "berth-b01234567"] {
            assert_eq!(IfName::parse(name).unwrap().as_str(), name);
        }
    }

    #[test]
    fn every_name_of_ours_is_one_the_kernel_takes() {
        for id in ["", "0123456789abcdef", "q3r8mjx2kz1wv0n5t7y4b6c9d", "zwölf/../x"] {
            for name in [IfName::bridge(id), IfName::port(id), IfName::container_end(id)] {
                assert_eq!(IfName::parse(name.as_str()), Ok(name.clone()));
            }
        }
    }

    #[test]
    fn a_derived_mac_is_local_unicast_and_always_the_same() {
        assert_eq!(Mac::derived("blue").to_string(), Mac::derived("blue").to_string());
        for seed in 0..1000 {
            let [first, ..] = Mac::derived(&seed.to_string()).0;
            assert_eq!(first & 0b11, 0b10);
        }
    }

    #[test]
    fn a_mac_is_read_as_it_is_written() {
        let mac = Mac([2, 0x42, 10, 50, 0, 10]);
        assert_eq!(mac.to_string(), "02:42:0a:32:00:0a");
        assert_eq!(mac.to_string().parse(), Ok(mac));
        for text in [
            "",
            "02:42:0a:32:00",
            "02:42:0a:32:00:0a:00",
            "2:42:a:32:0:a",
            "+2:42:0a:32:00:0a",
            "02-42-0a-32-00-0a",
        ] {
            assert!(text.parse::<Mac>().is_err(), "{text:?}");
        }
    }
}
