//! What follows a container: load balancers, policy, names. Each file is a figure of issue C, or a few that belong
//! together.

mod crowd;
pub(crate) mod dns;
pub(crate) mod kill;
pub(crate) mod misdelivered;
pub(crate) mod owner_rss;
pub(crate) mod packets;
pub(crate) mod policy;
pub(crate) mod register;
pub(crate) mod reuse;
pub(crate) mod rolling;
mod room;

use std::time::Duration;

use anyhow::Result;
use tests::balancers::{declare, front, is_served_by, run_web};
use tests::lab::{Lab, until};

use crate::labs;

/// An order takes seconds in the simulated cloud.
const DELIVERY: Duration = Duration::from_secs(120);

/// A web service of so many containers `web-0`, `web-1` … behind a load balancer, and where users reach it.
fn served(lab: &Lab, containers: usize, policy: &str) -> Result<String> {
    labs::start(lab, "")?;
    let host = lab.host("h1")?;
    let names: Vec<String> = (0..containers).map(|number| format!("web-{number}")).collect();
    for name in &names {
        run_web(host, name, "cloud")?;
    }
    let text = format!(
        "name = \"web\"\n[[port]]\nport = 80\n[load_balancer]\nname = \"web-lb\"\norder = \"private\"\n\
         [[load_balancer.listener]]\nport = 80\nprotocol = \"http\"\n\
         health = {{ interval_secs = 2, timeout_secs = 1, retries = 1 }}\n{policy}"
    );
    declare(host, &text)?;
    let front = until(DELIVERY, "it was ordered", || front(lab.cloud(), "web-lb"))?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    is_served_by(lab, host, "vm1", &front, &names)?;
    Ok(front)
}

/// Has the provider carry out every change at once from now on.
fn at_once(lab: &Lab) -> Result<()> {
    let none = serde_json::to_value(provider_mock::Delays::NONE)?;
    lab.cloud().ask("PUT", "/delays", Some(&none)).map(drop)
}
