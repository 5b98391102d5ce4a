//! policy_update_ms: one endpoint more where 5,000 of 200 services stand in the kernel, and one less, as the agent
//! changes it where nothing but the policy is another. `policy_look_ms` is what a look at the whole host takes then,
//! which it makes every twenty seconds and whenever anything else changes.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::Args;
use hostnet::{HostNet, Kernel, Netlink, Opening, Policy, Protocol, bring_to, plan_policy};

use crate::Size;
use crate::agents::on_runtime;
use crate::report::{millis, say};

pub(super) const ENDPOINTS: u32 = 5_000;
const SERVICES: u32 = 200;

/// What runs in a network namespace of its own.
#[derive(Args)]
pub(crate) struct Alone {
    #[arg(long)]
    changes: u32,
}

pub(crate) fn measure(size: &Size) -> Result<()> {
    alone("policy", &["--changes", size.of("40", "3")])
}

/// Runs a part of this program in a network namespace of its own.
pub(super) fn alone(part: &str, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new("unshare");
    command.arg("--net").arg(std::env::current_exe()?).arg(part).args(arguments);
    let status = command.status().context("cannot run unshare")?;
    ensure!(status.success(), "it could not be measured: {status}");
    Ok(())
}

impl Alone {
    pub(crate) fn run(self) -> Result<()> {
        on_runtime(async {
            let kernel = Netlink::open()?;
            let mut net = HostNet { policy: Some(policy(ENDPOINTS, Protocol::Tcp)), ..HostNet::default() };
            let brought = bring_to(&kernel, &net).await?;
            ensure!(brought.is_complete(), "{brought:#?}");
            let mut observed = kernel.observe().await?;
            let (mut updates, mut looks) = (Vec::new(), Vec::new());
            for number in 1..=self.changes {
                // One more, and one less.
                net.policy = Some(policy(ENDPOINTS + number % 2, Protocol::Tcp));
                let begun = Instant::now();
                let change = plan_policy(&net, &observed).context("nothing to change")?;
                kernel.apply(&change).await?;
                updates.push(millis(begun.elapsed()));
                let begun = Instant::now();
                observed = kernel.observe().await?;
                looks.push(millis(begun.elapsed()));
                ensure!(observed.policy == net.policy, "the kernel has something else");
            }
            say("policy_update_ms", "ms", &updates);
            say("policy_look_ms", "ms", &looks);
            Ok(())
        })
    }
}

/// So many endpoints, each open on one port to a network and to the members of another service.
pub(super) fn policy(endpoints: u32, protocol: Protocol) -> Policy {
    let at = |number: u32| IpAddr::from((0x0A32_0000 + number).to_be_bytes());
    let openings = (0..endpoints).flat_map(|number| {
        let to = at(number);
        let port = u16::try_from(8_000 + number % SERVICES).unwrap_or(80);
        ["10.0.0.0/8", "192.0.2.7/32"].map(|from| {
            let from = from.parse().expect("a network of the cell's own text");
            Opening { to, protocol, port, from }
        })
    });
    Policy::new((0..endpoints).map(at).collect::<BTreeSet<_>>(), openings.collect())
}
