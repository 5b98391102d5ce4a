//! What tests ask of a stage.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use api::{Address, AddressState, CheckReport, Condition, Source, Status, Subnet};

use super::{DELIVERY, Stage};
use crate::lab::{Daemon, until};

impl Stage {
    /// The virtual machine gets the container's page, and the container sees who asks.
    pub fn vm_reaches(&self, address: IpAddr) -> Result<()> {
        let own = self.lab.node("vm1")?.address()?;
        let ask = format!("timeout 10 busybox wget -q -O - http://{address}/cgi-bin/whoami");
        let page = self.on_vm(&ask).with_context(|| {
            let look = "ip neighbour show proxy; ip route; ip rule; ip -br link; docker ps -a";
            let network = self.host().try_sh(look).map(|said| said.stdout).unwrap_or_default();
            format!("{network}\n{}", self.host().log_tail(Daemon::Berthd))
        })?;
        ensure!(page.trim() == format!("you are {own}"), "{address} said: {page}");
        Ok(())
    }

    /// Waits until the pools have this many subnets with addresses to give.
    pub fn await_subnets(&self, count: usize) -> Result<()> {
        until(DELIVERY, &format!("{count} subnets are open"), || {
            // An agent that was just started does not know its pools yet.
            let subnets: Vec<Subnet> = self.host().ask("subnet list").unwrap_or_default();
            let open = subnets.iter().filter(|subnet| subnet.counts.usable() > 0).count();
            Ok((open >= count).then_some(()))
        })
        .with_context(|| self.host().log_tail(Daemon::Berthd))
    }

    /// All addresses that are not plainly free.
    pub fn addresses(&self) -> Result<Vec<Address>> {
        self.host().ask("address list")
    }

    /// An address as berthd sees it; none if it is plainly free.
    pub fn state_of(&self, address: IpAddr) -> Result<Option<AddressState>> {
        let found = self.addresses()?.into_iter().find(|it| it.address == address);
        Ok(found.map(|it| it.state))
    }

    /// Waits until exactly these addresses are in use, the kernel answers for exactly these on the VLAN, and
    /// nobody's word differs from another's.
    pub fn settles_on(&self, expected: &[IpAddr], limit: Duration) -> Result<()> {
        let mut expected = expected.to_vec();
        expected.sort();
        let mut last = String::new();
        let settled = until(limit, &format!("{expected:?} are in use, and `berth check` is clean"), || {
            // An agent that has just started has no answer yet.
            let Ok(mut assigned) = self.addresses() else { return Ok(None) };
            assigned.retain(|it| it.state == AddressState::Assigned);
            let assigned: Vec<IpAddr> = assigned.into_iter().map(|it| it.address).collect();
            let proxied = self.proxied()?;
            let check: CheckReport = self.host().ask("check")?;
            last = format!("assigned {assigned:?}, answered for {proxied:?}, {:#?}", check.findings);
            Ok((assigned == expected && proxied == expected && check.findings.is_empty()).then_some(()))
        });
        settled.with_context(|| format!("{last}\n{}", self.host().log_tail(Daemon::Berthd)))
    }

    /// How the cloud is doing, as `berth status` shows it.
    pub fn cloud_condition(&self) -> Result<Condition> {
        let status: Status = self.host().ask("status")?;
        let cloud = status.parts.into_iter().find(|part| part.part == Source::Cloud);
        Ok(cloud.context("no word of the cloud in `berth status`")?.condition)
    }

    /// The addresses that the kernel answers for on the VLAN.
    fn proxied(&self) -> Result<Vec<IpAddr>> {
        let said = self.host().sh("ip neighbour show proxy")?;
        let mut proxied: Vec<IpAddr> =
            said.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
        proxied.sort();
        Ok(proxied)
    }
}
