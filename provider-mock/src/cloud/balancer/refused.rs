//! Why a balancer is not ordered or changed. Texts are those of IBM's documentation and of the Python client where
//! one is known (softlayer-api.md names them); the others are ours.

use super::Status;
use super::setup::Protocol;
use crate::cloud::Id;

/// Why an order, a change or a cancellation is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BalancerRefused {
    /// No balancer of this UUID.
    #[error("Load balancer uuid={0} could not be found.")]
    NoSuchBalancer(String),
    /// The last change has not taken effect yet. The text is a recorded one (terraform-provider-ibm issue 225).
    #[error("Load balancer uuid={uuid} cannot be updated. The object is in state {}.", status.key())]
    Pending {
        /// The balancer.
        uuid: String,
        /// What it is doing.
        status: Status,
    },
    /// The balancer has no such part.
    #[error("{what} uuid={uuid} could not be found.")]
    NoSuchPart {
        /// As `Member`.
        what: &'static str,
        /// The UUID that was named.
        uuid: String,
    },
    /// Not a name.
    #[error("The load balancer name {0} must consist of 1 to 40 letters, digits, dots and dashes.")]
    Name(String),
    /// Another balancer has this name.
    #[error("Load balancer with the same name (case insensitive) already exists.")]
    NameTaken,
    /// More than there may be.
    #[error("The number of {what} must not exceed {max}.")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// Two listeners cannot share a port.
    #[error("Frontend port {0} is already used.")]
    FrontendPortTaken(u16),
    /// A port that cannot be.
    #[error("{side} port must be an integer between 1 and 65535 excluding the range 56500-56520.")]
    Port {
        /// `Front-end` or `Back-end`.
        side: &'static str,
    },
    /// A protocol in front that cannot be served by the one behind.
    #[error("Backend protocol {} is not compatible with frontend protocol {}.", backend.key(), frontend.key())]
    Incompatible {
        /// In front.
        frontend: Protocol,
        /// Behind.
        backend: Protocol,
    },
    /// HTTPS in front without a certificate of the account. This cloud keeps none.
    #[error("The TLS certificate of an HTTPS protocol could not be found on this account.")]
    NoCertificate,
    /// A weight that cannot be.
    #[error("Member weight {weight} is provided for member {member}. The allowed weight value is 0-100")]
    Weight {
        /// The weight.
        weight: i64,
        /// The UUID of the member, or its address if it has none yet.
        member: String,
    },
    /// A member without the address that this kind of balancer needs.
    #[error("{0} must be a string")]
    NoAddress(&'static str),
    /// An address that is none.
    #[error("{0} is not a valid IPv4 address.")]
    NotAnAddress(String),
    /// The address is a member already: what the real service says is not known.
    #[error("Member with address {0} already exists.")]
    MemberTaken(std::net::Ipv4Addr),
    /// A setting outside its range.
    #[error("{what} must be between {least} and {most}.")]
    Range {
        /// As `Health monitor interval`.
        what: &'static str,
        /// The least it can be.
        least: u32,
        /// The most it can be.
        most: u32,
    },
    /// Something that must be given, and is not.
    #[error("{0} must be provided.")]
    Missing(&'static str),
    /// Not a private subnet of this account.
    #[error("The private subnet with id {0} could not be found on this account.")]
    NoSuchSubnet(Id),
    /// The subnet is elsewhere.
    #[error("The subnet {0} is not in the location of the order.")]
    NotThere(Id),
    /// The subnet has less than the two free addresses that the service asks for.
    #[error("The subnet {0} does not have enough available IP addresses.")]
    SubnetFull(Id),
    /// No public network in the balancer's datacenter.
    #[error("There are no public IP addresses available in the location of the order.")]
    NoPublicAddress,
}
