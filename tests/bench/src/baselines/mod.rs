//! What others do, as plain code on the same etcd: so the figures of Berth have something beside them.
//!
//! Each is as lean as it can be: no journal, no publication, no word about who uses an address. A real system of
//! its kind does more.

mod blocks;
mod keys;
mod one_per_address;
mod subnet_per_host;
#[cfg(test)]
mod tests;

use anyhow::Result;

pub(crate) use blocks::Blocks;
pub(crate) use keys::{Etcd, Keys, Memory, put_if_absent};
pub(crate) use one_per_address::OnePerAddress;
pub(crate) use subnet_per_host::SubnetPerHost;

/// A way to share a pool of numbered addresses among hosts.
pub(crate) trait Strategy<K: Keys>: Send + Sized {
    /// What its figures are called after.
    const NAME: &'static str;

    /// Host number `host` of `hosts`, over a pool of `room` addresses.
    fn new(keys: K, host: usize, hosts: usize, room: usize) -> Self;

    /// An address, or none where this strategy has none for this host.
    fn assign(&mut self) -> impl Future<Output = Result<Option<usize>>> + Send;

    /// Where its keys are, which count what was asked of them.
    fn keys(&self) -> &K;
}
