//! Machines as a cloud knows them: who this one is, where it is attached, what became of another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::ZoneId;

/// A machine's id at its provider: stable for the machine's life, never given to another.
///
/// SoftLayer: `virtual-<id>` or `hardware-<id>` (the two services number their objects separately);
/// static: `machine-<machine id>-<MAC>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct InstanceId(String);

impl InstanceId {
    /// An id as the provider's own code spells it.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A network interface of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    /// Its name: `eth0`.
    pub name: String,
    /// Its hardware address.
    pub mac: MacAddress,
}

/// Who this machine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its id at the provider.
    pub instance: InstanceId,
    /// Virtual machine or bare metal.
    pub kind: InstanceKind,
    /// Its host name at the provider.
    pub hostname: String,
    /// The datacenter it stands in: `dal10`.
    pub datacenter: String,
    /// The zones it is attached to, one for each network.
    pub attachments: Vec<Attachment>,
}

/// What kind of machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InstanceKind {
    /// Shares its hardware; the provider can suspend it.
    Virtual,
    /// Has its hardware to itself.
    BareMetal,
    /// The provider has no machines of its own (operator-named subnets).
    Unmanaged,
}

/// One interface's place in one zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The zone: the L2 domain in which a portable subnet can be used.
    pub zone: ZoneId,
    /// The zone's name for people: `dal10.bcr01.777`.
    pub zone_name: String,
    /// The hardware address of the interface, as the provider knows it.
    pub mac: MacAddress,
    /// The VLAN's number on the wire (1 to 4094), where the provider has VLANs. Not unique, for people only.
    pub vlan_number: Option<u16>,
    /// The router of the zone, where the provider names it: `bcr01a.dal10`.
    pub router: Option<String>,
    /// Whether the zone's addresses are private or public.
    pub network: Network,
}

/// Private or public address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Network {
    /// The provider's internal network.
    Private,
    /// The internet.
    Public,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Private => "private",
            Self::Public => "public",
        })
    }
}

/// What the provider says became of a machine.
///
/// Only [`Off`](HostState::Off) and [`Gone`](HostState::Gone) witness that the machine can no longer send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostState {
    /// Powered on.
    Running,
    /// Powered off: its memory is lost, so nothing it knew can come back to life.
    Off,
    /// Paused or suspended: its memory is kept and it may go on at any moment.
    Suspended,
    /// The provider is changing it (reload, reboot, migration): its state may differ in a moment.
    InTransaction,
    /// Deleted.
    Gone,
    /// The provider cannot say, or said something we do not understand.
    Unknown,
}

impl HostState {
    /// Whether this is a witness that the machine no longer sends and has forgotten what it knew.
    pub fn is_silent_for_good(self) -> bool {
        match self {
            Self::Off | Self::Gone => true,
            Self::Running | Self::Suspended | Self::InTransaction | Self::Unknown => false,
        }
    }
}

/// An Ethernet hardware address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MacAddress([u8; 6]);

impl MacAddress {
    /// From its six octets.
    pub const fn new(octets: [u8; 6]) -> Self {
        Self(octets)
    }

    /// Its six octets.
    pub const fn octets(self) -> [u8; 6] {
        self.0
    }
}

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Text that is not six octets in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a MAC address: six octets in hexadecimal are expected, as in 06:00:5e:00:53:01")]
pub struct MalformedMac(String);

impl FromStr for MacAddress {
    type Err = MalformedMac;

    /// Reads colons (Linux) and dashes (SoftLayer's metadata service).
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || MalformedMac(text.to_owned());
        let mut octets = [0; 6];
        let mut parts = text.trim().split([':', '-']);
        for octet in &mut octets {
            let part = parts.next().filter(|part| part.len() == 2).ok_or_else(malformed)?;
            *octet = u8::from_str_radix(part, 16).map_err(|_| malformed())?;
        }
        match parts.next() {
            None => Ok(Self(octets)),
            Some(_) => Err(malformed()),
        }
    }
}

impl TryFrom<String> for MacAddress {
    type Error = MalformedMac;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<MacAddress> for String {
    fn from(mac: MacAddress) -> Self {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_address_is_read_with_colons_and_with_dashes() {
        let mac = MacAddress::new([0x06, 0x5a, 0, 0xab, 0xcd, 0xef]);
        assert_eq!("06:5a:00:ab:cd:ef".parse(), Ok(mac));
        assert_eq!("06-5A-00-AB-CD-EF".parse(), Ok(mac));
        assert_eq!(mac.to_string(), "06:5a:00:ab:cd:ef");
    }

    #[test]
    fn what_is_not_six_octets_is_not_a_mac_address() {
        for text in [
            "",
            "06:5a:00:ab:cd",
            "06:5a:00:ab:cd:ef:01",
            "06:5a:00:ab:cd:zz",
            "+6:5a:00:ab:cd:ef1",
            "6:5a:0:ab:cd:ef",
        ] {
            assert!(text.parse::<MacAddress>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_machine_that_is_off_or_gone_is_silent_for_good() {
        let silent = |state: HostState| state.is_silent_for_good();
        assert!(silent(HostState::Off) && silent(HostState::Gone));
        for state in [HostState::Running, HostState::Suspended, HostState::InTransaction, HostState::Unknown]
        {
            assert!(!silent(state), "{state:?}");
        }
    }
}
