//! `berth doctor`: is the ground that the agent stands on sound? Each thing is looked at by itself, and
//! what is not well comes with its cure.

mod forward;
mod ledger;
mod orders;
mod store;

use crate::api::Desk;
use crate::cloud::Cloud;
use crate::config::{Config, Network, PoolConfig};
use crate::late::Progress;
use crate::notices;
use crate::troubles::with_causes;
use ::api::{Answer, DoctorReport, Examination, Source, Verdict};
use axum::Json;
use axum::extract::State;
use bollard::Docker;
use jiff::Timestamp;
use provider::{OrderRequest, Provider, ProviderError, Recourse};
use std::fs;
use std::path::Path;
use tokio::net::UnixStream;

/// `GET /v1/doctor`
pub async fn doctor(State(desk): State<Desk>) -> Json<Answer<DoctorReport>> {
    let mut examinations = vec![configuration(&desk), duty(&desk), state_dir(&desk.rim.host.state_dir)];
    examinations.push(clock(&desk.rim.host.state_dir, desk.clock.wall()));
    examinations.push(store::examine(&desk).await);
    examinations.push(docker(&desk.rim.docker.api_socket).await);
    examinations.push(plugin_socket(&desk.rim.docker.plugin_socket).await);
    examinations.extend(forwarding(&desk));
    let has_bridges = !desk.reconciler.report().borrow().wanted.bridges.is_empty();
    examinations.push(forward::examine(has_bridges).await);
    examinations.extend(provider(&desk).await);
    examinations.extend(orders::examine(&desk).await);
    examinations.extend(ledger::examine(&desk));
    examinations.extend(names(&desk));
    examinations.extend(notices(&desk).await);
    let words_of = [Source::Agent, Source::Store, Source::Kernel, Source::Docker, Source::Cloud];
    Json(Answer::new(words_of, DoctorReport { examinations }))
}

/// What somebody should put right although everything works.
async fn notices(desk: &Desk) -> Vec<Examination> {
    let view = desk.view().await.ok();
    let mut notices = notices::gather(desk, view.as_ref()).await;
    for notice in notices::gather_from_the_cloud(desk, view.as_ref()).await {
        if !notices.contains(&notice) {
            notices.push(notice);
        }
    }
    if notices.is_empty() {
        return vec![good("cluster", "configured and shown by the provider as this host knows it")];
    }
    notices.into_iter().map(|notice| bad(&notice.about, notice.problem, notice.hint)).collect()
}

/// Where containers find names, and how Docker is told. What is in the way stands among the notices.
fn names(desk: &Desk) -> Option<Examination> {
    let names = desk.names.borrow().clone()?;
    let at = names.report().at;
    let [first, ..] = at.as_slice() else { return Some(unknown("names", "answered nowhere yet")) };
    let places: Vec<String> = at.iter().map(ToString::to_string).collect();
    let found = format!(
        "{} at {}; containers ask there if dockerd has \"dns\": [\"{}\"]",
        names.domain(),
        places.join(", "),
        first.ip()
    );
    Some(good("names", found))
}

fn good(name: &str, found: impl Into<String>) -> Examination {
    Examination { name: name.into(), verdict: Verdict::Good, found: found.into(), cure: None }
}

fn bad(name: &str, found: impl Into<String>, cure: impl Into<String>) -> Examination {
    Examination { name: name.into(), verdict: Verdict::Bad, found: found.into(), cure: Some(cure.into()) }
}

fn unknown(name: &str, found: impl Into<String>) -> Examination {
    Examination { name: name.into(), verdict: Verdict::Unknown, found: found.into(), cure: None }
}

fn configuration(desk: &Desk) -> Examination {
    match &desk.config {
        Ok(_) => good("configuration", "no mistakes"),
        Err(mistakes) => bad(
            "configuration",
            format!("it has {}", mistakes.count()),
            "`berthd --check` lists them; restart berthd when they are put right",
        ),
    }
}

/// An agent that cannot do what it is for says why, and what to do about it.
fn duty(desk: &Desk) -> Examination {
    match desk.addresses.progress() {
        Progress::Ready(_) => good("agent", "assigns addresses"),
        Progress::Waiting(reason) => unknown("agent", format!("is starting: {reason}")),
        Progress::Never(reason) => {
            bad("agent", format!("takes releases only: {reason}"), "put that right, then restart berthd")
        }
    }
}

/// The directory must be there, ours, and take a file.
fn state_dir(path: &Path) -> Examination {
    let trial = path.join(".doctor");
    let written = fs::write(&trial, b"").and_then(|()| fs::remove_file(&trial));
    let path = path.display();
    match written {
        Ok(()) => good("state directory", format!("{path} takes files")),
        Err(error) => bad(
            "state directory",
            format!("{path} takes no file: {error}"),
            "make room on its disk, or name another as state_dir in [host]",
        ),
    }
}

/// A clock that stands before what was written already misleads certificates, logs and people.
fn clock(state_dir: &Path, now: Timestamp) -> Examination {
    let written = fs::read_dir(state_dir).into_iter().flatten().flatten();
    let newest =
        written.filter_map(|entry| Timestamp::try_from(entry.metadata().ok()?.modified().ok()?).ok()).max();
    match newest.map(|newest| newest.duration_since(now).as_secs()) {
        Some(behind) if behind > 0 => bad(
            "clock",
            format!("{behind} s before what berthd wrote last"),
            "let a time service set it: `timedatectl set-ntp true`",
        ),
        _ => good("clock", "not before anything that was written"),
    }
}

/// Docker's API before this version lacks what the plugin's calls rely on. Source: Docker Engine 20.10.
const DOCKER_API_MIN: (u32, u32) = (1, 41);

async fn docker(socket: &Path) -> Examination {
    let path = socket.display().to_string();
    let cure = "start it with `systemctl start docker`, or name its socket as api_socket in [docker]";
    let client = match Docker::connect_with_unix(&path, 5, bollard::API_DEFAULT_VERSION) {
        Ok(client) => client,
        Err(error) => return bad("docker", format!("does not answer at {path}: {error}"), cure),
    };
    match client.version().await {
        Err(error) => bad("docker", format!("does not answer at {path}: {error}"), cure),
        Ok(answer) => {
            let version = answer.version.unwrap_or_else(|| "of unknown version".into());
            let api = answer.api_version.unwrap_or_default();
            let found = format!("{version}, API {api}, at {path}");
            match api
                .split_once('.')
                .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)))
            {
                Some(spoken) if spoken >= DOCKER_API_MIN => good("docker", found),
                _ => bad("docker", found, "install Docker 20.10 or later"),
            }
        }
    }
}

async fn plugin_socket(path: &Path) -> Examination {
    let name = "plugin socket";
    let shown = path.display();
    match UnixStream::connect(path).await {
        Ok(_) => good(name, format!("{shown} is listened at")),
        Err(error) => bad(
            name,
            format!("{shown} cannot be reached: {error}"),
            "restart berthd, or berthd.socket if systemd holds it",
        ),
    }
}

/// Packets come in by the interfaces of our zones and must be forwarded from there.
fn forwarding(desk: &Desk) -> Vec<Examination> {
    let known = desk.known.borrow().clone();
    let Some(known) = known else {
        return vec![unknown("forwarding", "it is not known yet which interfaces count")];
    };
    let examine = |interface: &hostnet::IfName| {
        let file = format!("/proc/sys/net/ipv4/conf/{interface}/forwarding");
        match fs::read_to_string(&file) {
            Ok(value) if value.trim() == "1" => good("forwarding", format!("on at {interface}")),
            // The agent switches it on with the first container.
            Ok(_) if desk.reconciler.report().borrow().wanted.addresses.is_empty() => {
                good("forwarding", format!("off at {interface}, until the first container"))
            }
            Ok(_) => bad(
                "forwarding",
                format!("off at {interface}"),
                format!(
                    "something switched it off again: `sysctl -w net.ipv4.conf.{interface}.forwarding=1`"
                ),
            ),
            Err(error) => unknown("forwarding", format!("{file}: {error}")),
        }
    };
    known.interfaces.values().map(examine).collect()
}

/// The provider answers, shows our subnets, and would take an order.
async fn provider(desk: &Desk) -> Vec<Examination> {
    let Ok(config) = &desk.config else { return vec![unknown("provider", "the configuration has mistakes")] };
    let cloud = match desk.cloud() {
        Ok(cloud) => cloud,
        Err(silence) => return vec![unknown("provider", silence.because)],
    };
    let Some(known) = desk.known.borrow().clone() else {
        return vec![unknown("provider", "it has not said who this machine is")];
    };
    let mut examinations = Vec::new();
    for at in &known.identity.attachments {
        examinations.push(match cloud.subnets(&at.zone).await {
            Ok(subnets) => good(
                "provider",
                format!("{} answers; portable subnets in zone {}: {}", cloud.name(), at.zone, subnets.len()),
            ),
            Err(error) => failed("provider", &error),
        });
        for pool in config.pools.iter().filter(|pool| pool.subnets_max > 0 && is_on(pool, at.network)) {
            examinations.extend(order(&cloud, pool, at).await);
        }
    }
    examinations.extend(no_zone(config, &known.identity));
    examinations
}

fn is_on(pool: &PoolConfig, network: provider::Network) -> bool {
    match pool.network {
        Network::Private => network == provider::Network::Private,
        Network::Public => network == provider::Network::Public,
    }
}

/// Asks what an order would cost, which orders nothing and needs the same permissions.
async fn order(cloud: &Cloud, pool: &PoolConfig, at: &provider::Attachment) -> Option<Examination> {
    let request = OrderRequest { zone: at.zone.clone(), network: at.network, prefix: pool.prefix };
    let name = format!("orders of pool {}", pool.name);
    match cloud.verify_order(&request).await {
        Ok(quote) => {
            let fee = quote.monthly_fee.map_or_else(String::new, |fee| format!(", {fee} a month"));
            Some(good(&name, format!("{request} could be ordered{fee}")))
        }
        Err(ProviderError::NotOffered { .. }) => None,
        Err(error) => Some(failed(&name, &error)),
    }
}

/// A pool whose network this machine is not on can never serve it.
fn no_zone(config: &Config, identity: &provider::Identity) -> Vec<Examination> {
    let lost =
        config.pools.iter().filter(|pool| !identity.attachments.iter().any(|at| is_on(pool, at.network)));
    let examination = |pool: &PoolConfig| {
        bad(
            "pools",
            format!("pool {} is on a network that this machine has no interface on", pool.name),
            "change `network` of that pool, or attach the machine to that network",
        )
    };
    lost.map(examination).collect()
}

fn failed(name: &str, error: &ProviderError) -> Examination {
    match error.recourse() {
        Recourse::AskOperator(cure) => bad(name, with_causes(error), cure),
        Recourse::RetryAfter(_) | Recourse::LookAgain => unknown(name, with_causes(error)),
    }
}
