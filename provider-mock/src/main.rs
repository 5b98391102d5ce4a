//! `berth-mock-cloud`: a simulated cloud as a process, with real packets on request.
//!
//! Prints one line when it can be used, and stays until SIGTERM or SIGINT:
//!
//! ```text
//! ready api=http://10.0.80.11:80/rest/v3.1/ control=/run/lab/cloud.sock
//! ```

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use provider_mock::control::Control;
use provider_mock::fabric::{self, Fabric, FabricName, Wired};
use provider_mock::{CloudSpec, LiveCloud, SimulatedCloud};
use tokio::net::UnixListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// A simulated cloud that speaks SoftLayer's REST dialect.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// What the cloud is made of; provider-mock/examples/cloud.toml shows every key.
    #[arg(long, value_name = "FILE")]
    cloud: PathBuf,
    /// Lay real wires, in network namespaces NAME-fabric, NAME-router and NAME-HOSTNAME; needs root. The API then
    /// listens inside NAME-router.
    #[arg(long, value_name = "NAME", conflicts_with = "listen")]
    fabric: Option<FabricName>,
    /// Where the API listens when there is no fabric.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:18470")]
    listen: SocketAddr,
    /// Where to ask for faults: an address and port, or the path of a unix socket.
    #[arg(long, value_name = "ADDRESS:PORT|PATH")]
    control: Option<String>,
}

/// Exit status for a description that cannot be simulated (`EX_USAGE` of sysexits.h).
const WRONG_DESCRIPTION: u8 = 64;

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let options = Options::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();

    let live = match describe(&options) {
        Ok(live) => live,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(WRONG_DESCRIPTION));
        }
    };
    // Heard from now on, so that a signal in the middle of laying wires still removes them.
    let mut end =
        End { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? };
    let result = run(&options, live, &mut end).await;
    if let Some(name) = &options.fabric {
        fabric::remove(name).await?;
    }
    result.map(|()| ExitCode::SUCCESS)
}

/// The signals that end us.
struct End {
    terminate: Signal,
    interrupt: Signal,
}

impl End {
    async fn heard(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => (),
            _ = self.interrupt.recv() => (),
        }
    }
}

fn describe(options: &Options) -> anyhow::Result<LiveCloud> {
    let path = options.cloud.display();
    let text = std::fs::read_to_string(&options.cloud).with_context(|| format!("could not read {path}"))?;
    let spec = CloudSpec::from_toml(&text).with_context(|| format!("in {path}"))?;
    Ok(LiveCloud::new(spec)?)
}

async fn run(options: &Options, live: LiveCloud, end: &mut End) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let (listener, wires) = match &options.fabric {
        Some(name) => {
            let (listener, wires) = lay_wires(name, &live, stop.clone()).await?;
            (listener, Some(wires))
        }
        None => {
            let bound = TcpListener::bind(options.listen);
            (bound.with_context(|| format!("could not listen on {}", options.listen))?, None)
        }
    };
    let cloud = SimulatedCloud::start_on(live.clone(), listener)?;
    let wired = wires.as_ref().map(|wires| wires.wired.clone());
    let control = match &options.control {
        Some(place) => Some(serve_control(place, Control { live, wired }).await?),
        None => None,
    };
    println!("ready api={} control={}", cloud.endpoint(), options.control.as_deref().unwrap_or("none"));

    end.heard().await;

    if let Some(control) = control {
        control.abort();
    }
    if let Some(place) = options.control.as_deref().filter(|place| place.contains('/')) {
        std::fs::remove_file(place).with_context(|| format!("could not remove {place}"))?;
    }
    stop.cancel();
    if let Some(wires) = wires {
        wires.follower.await?;
    }
    Ok(())
}

/// The task that keeps the wires as the cloud has them.
struct Wires {
    follower: JoinHandle<()>,
    wired: watch::Receiver<Wired>,
}

/// Lays the wires of the cloud as it is, and has them follow it.
async fn lay_wires(
    name: &FabricName,
    live: &LiveCloud,
    stop: CancellationToken,
) -> anyhow::Result<(TcpListener, Wires)> {
    let mut fabric = Fabric::raise(name.clone(), live.fabric_spec()).await?;
    fabric.bring_to(live.topology()).await?;
    let listener = fabric.listen()?;
    let (sender, wired) = watch::channel(Wired::default());
    let follower = tokio::spawn(fabric.follow(live.clone(), sender, stop));
    Ok((listener, Wires { follower, wired }))
}

async fn serve_control(place: &str, control: Control) -> anyhow::Result<JoinHandle<()>> {
    let router = control.router();
    let cannot = || format!("could not listen on {place} for control");
    if place.contains('/') {
        // A killed run leaves its socket behind.
        let _ = std::fs::remove_file(place);
        let listener = UnixListener::bind(place).with_context(cannot)?;
        return Ok(tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the control endpoint stopped");
            }
        }));
    }
    let listener = tokio::net::TcpListener::bind(place).await.with_context(cannot)?;
    Ok(tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the control endpoint stopped");
        }
    }))
}
