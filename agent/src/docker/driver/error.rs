//! Why a call of Docker's was refused: one sentence for the person who typed the command.

use std::net::IpAddr;

use ipam::{EndpointId, PoolName};
use ipnetwork::IpNetwork;

use crate::docker::addresses::AddressError;
use crate::docker::pool_id::PoolIdError;
use crate::docker::record::NetworkId;
use crate::docker::wire::BodyError;
use crate::journal::JournalError;
use crate::reconciler::BringError;

/// Why a call was refused. Docker shows the text, and nothing of the cause behind it.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum CallError {
    #[error(transparent)]
    Body(#[from] BodyError),
    #[error(transparent)]
    PoolId(#[from] PoolIdError),
    #[error(transparent)]
    Address(#[from] AddressError),
    #[error(
        "could not keep the call in docker.journal: {0}; hint: see `berth status`, and free space on its disk"
    )]
    Journal(#[from] JournalError),
    #[error("could not bring the host's network in line: {0}; hint: `berth host plan` shows what is missing")]
    Bring(#[from] BringError),
    #[error("{cidr} is no subnet of {}: there is {known}; hint: `berth subnet list` shows which can be named, and `berth order list` what is on its way", pool_text(.pool))]
    NotASubnet { cidr: IpNetwork, pool: Option<PoolName>, known: String },
    #[error(
        "routes of this host overlap with {0}, as they do once it has containers, and Docker then wants the subnet named; hint: add `--subnet {0}`"
    )]
    Overlaps(IpNetwork),
    #[error(
        "pool {pool} has no {family} subnet on this host yet; hint: `berth pool list` shows the pools, `berth order list` what is on its way"
    )]
    NoSubnet { pool: PoolName, family: &'static str },
    #[error("{0:?} cannot name a pool; hint: `berth pool list` shows the pools there are")]
    PoolName(String),
    #[error("{0:?} cannot name a bridge of this host; hint: say the name that `ip link` shows")]
    BridgeName(String),
    #[error(
        "--ip-range {0} is not supported: hosts share every address of a subnet; hint: leave it out, or keep addresses from containers with `exclude` in the pool's configuration"
    )]
    IpRange(IpNetwork),
    #[error("unknown option {option}; hint: berth knows {known}")]
    UnknownOption { option: String, known: &'static str },
    #[error(
        "the gateway of {subnet} is {gateway}, the cloud's router, and cannot be {asked}; hint: leave --gateway out"
    )]
    Gateway { subnet: IpNetwork, gateway: IpAddr, asked: IpAddr },
    #[error("{subnet} has no gateway; hint: give it one where the subnet is configured")]
    NoGateway { subnet: IpNetwork },
    #[error(
        "a network of berth has one subnet, and {0} were given; hint: the pool grows by itself; for a second pool make a second network and `docker network connect`"
    )]
    OneSubnet(usize),
    #[error("the network has no subnet of a pool; hint: create it with `--ipam-driver berth`")]
    NotOurIpam,
    #[error(
        "{subnet} belongs to pool {actual}, not to {asked}; hint: choose the pool with `--ipam-opt pool={asked}`"
    )]
    OtherPool { subnet: IpNetwork, actual: PoolName, asked: PoolName },
    #[error(
        "network {0} is not known to berthd; hint: its journal may have been lost: `docker network rm` and create it again"
    )]
    UnknownNetwork(NetworkId),
    #[error("endpoint {} is not known to berthd; hint: start the container again", short(.0))]
    UnknownEndpoint(EndpointId),
    #[error("endpoint {} exists already with another address; hint: start the container again", short(.0))]
    EndpointExists(EndpointId),
    #[error("the endpoint has no address; hint: the network must be created with `--ipam-driver berth`")]
    NoAddress,
    #[error("{address} is in use {by}; hint: `berth address show {address}` says what is known of it")]
    InUse { address: IpAddr, by: String },
    #[error(
        "port {container_port} asks for a protocol (number {protocol}) that cannot be published; hint: tcp and udp can; over any other, and so over sctp, the container is reached by its own address"
    )]
    Protocol { container_port: u16, protocol: u8 },
    #[error("-p {0} names no port of a container; hint: ports are 1 to 65535")]
    NoPort(u16),
    #[error(
        "every host port from {first} to {last} is taken; hint: name one, as in -p 8080:{container_port}"
    )]
    NoFreePort { container_port: u16, first: u16, last: u16 },
    #[error("{value:?} is no MTU; hint: {option} takes a number of bytes from 68 to 65535")]
    Mtu { option: &'static str, value: String },
    #[error(
        "host port {host_port} is taken by {taken_by}; hint: `berth network show` and `ss -lntup` show who has which; choose another with -p"
    )]
    PortTaken { host_port: String, taken_by: String },
    #[error("berthd does not know the call {0}; hint: this version speaks what Docker 20.10 to 28 send")]
    UnknownCall(String),
    #[error(
        "berthd did not finish the call in {0} s; hint: `berth status` shows what it waits for; then try again"
    )]
    Deadline(u64),
    #[error("berthd failed inside the call; hint: its log says where; please report it, then try again")]
    Panicked,
}

fn pool_text(pool: &Option<PoolName>) -> String {
    pool.as_ref().map_or_else(|| "any pool".to_owned(), |pool| format!("pool {pool}"))
}

fn short(id: &EndpointId) -> &str {
    id.0.get(..12).unwrap_or(&id.0)
}
