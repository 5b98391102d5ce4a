//! The real kernel: netlink, `/proc/sys`, nft and iptables. No choices are made here.
//!
//! It speaks to the network namespace of the thread it was opened on; with a single-threaded runtime
//! that is the namespace of everything it starts, too.

mod docker_user;
mod fault;
mod links;
mod nft;
mod policy;
mod proxies;
mod routes;
mod rules;
mod sysctls;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use rtnetlink::Handle;
use tokio::sync::Mutex;

use crate::policy::{Count, Opening};
use crate::{ApplyError, Change, Kernel, ObserveError, Observed};
use fault::Fault;

/// A connection to this host's kernel.
#[derive(Debug, Clone)]
pub struct Netlink {
    handle: Handle,
    /// Whose turn it is to look: the kernel refuses a second list (EBUSY) while one is under way on a socket. Source:
    /// `__netlink_dump_start` in Linux' net/netlink/af_netlink.c.
    turn: Arc<Mutex<()>>,
}

impl Netlink {
    /// Opens a netlink socket. Must be called within a tokio runtime, which drives the connection until
    /// the last clone of it is dropped.
    pub fn open() -> io::Result<Self> {
        let (connection, handle, _) = rtnetlink::new_connection()?;
        tokio::spawn(connection);
        Ok(Self { handle, turn: Arc::default() })
    }

    /// How often each opening of the policy was used since it was made.
    ///
    /// # Errors
    /// As [`Kernel::observe`].
    pub async fn policy_counts(&self) -> Result<BTreeMap<Opening, Count>, ObserveError> {
        let read = policy::read().await.map_err(ObserveError::Firewall)?;
        Ok(read.map(|(_, counts)| counts).unwrap_or_default())
    }
}

impl Kernel for Netlink {
    async fn observe(&self) -> Result<Observed, ObserveError> {
        let turn = self.turn.lock().await;
        let handle = &self.handle;
        let links = links::all(handle).await.map_err(during("links"))?;
        let mut observed = links.sort();
        observed.sysctls = sysctls::read(links.switched()).map_err(during("switches"))?;
        observed.routes = routes::ours(handle, &links).await.map_err(during("routes"))?;
        observed.rules = rules::ours(handle).await.map_err(during("rules"))?;
        observed.proxies = proxies::ours(handle, &links).await.map_err(during("neighbour proxies"))?;
        drop(turn);
        let (sentences, policy, admissions) =
            tokio::join!(nft::sentences(), policy::read(), docker_user::ours());
        observed.firewall = sentences.map_err(ObserveError::Firewall)?;
        observed.policy = policy.map_err(ObserveError::Firewall)?.map(|(policy, _)| policy);
        observed.admissions = admissions;
        Ok(observed)
    }

    async fn apply(&self, change: &Change) -> Result<(), ApplyError> {
        // Some changes look before.
        let _turn = self.turn.lock().await;
        self.make(change).await.map_err(|fault| fault.during(change))
    }
}

impl Netlink {
    async fn make(&self, change: &Change) -> Result<(), Fault> {
        let handle = &self.handle;
        match change {
            Change::ReplaceFirewall(firewall) => nft::replace(firewall).await,
            Change::RemoveFirewall => nft::remove().await,
            Change::ChangePolicy(change) => policy::change(change).await,
            Change::RemovePolicy => policy::remove().await,
            Change::Admit(admission) => docker_user::add(admission).await,
            Change::Dismiss(admission) => docker_user::remove(admission).await,
            Change::CreateBridge { name, mac, mtu } => links::create_bridge(handle, name, *mac, *mtu).await,
            Change::CreatePort { name, container_end, mac, mtu } => {
                links::create_port(
                    handle,
                    name,
                    links::ContainerEnd { name: container_end, mac: *mac, mtu: *mtu },
                )
                .await
            }
            Change::DeleteBridge { name } | Change::DeletePort { name } => links::delete(handle, name).await,
            Change::Attach { port, bridge } => links::attach(handle, port, bridge).await,
            Change::Label { link, alias } => links::set(handle, link, |link| link.alias(alias)).await,
            Change::SetMac { bridge, mac } => {
                links::set(handle, bridge, |link| link.address(mac.0.to_vec())).await
            }
            Change::SetMtu { bridge, mtu } => links::set(handle, bridge, |link| link.mtu(*mtu)).await,
            Change::AddAddress { bridge, address } => links::add_address(handle, bridge, *address).await,
            Change::RemoveAddress { bridge, address } => {
                links::remove_address(handle, bridge, *address).await
            }
            Change::SetUp { link } => links::set(handle, link, |link| link.up()).await,
            Change::SetSysctl { sysctl, value } => sysctls::write(sysctl, *value),
            Change::AddRoute(route) => routes::add(handle, route).await,
            Change::RemoveRoute(route) => routes::remove(handle, route).await,
            Change::AddRule(rule) => rules::add(handle, rule).await,
            Change::RemoveRule(rule) => rules::remove(handle, rule).await,
            Change::AddProxy(proxy) => proxies::add(handle, proxy).await,
            Change::RemoveProxy(proxy) => proxies::remove(handle, proxy).await,
        }
    }
}

fn during(what: &'static str) -> impl Fn(io::Error) -> ObserveError {
    move |source| ObserveError::Kernel { what, source }
}
