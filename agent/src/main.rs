//! berthd: configuration, look, build, say what was bound, run, drain.

use agent::assembly;
use agent::config::{Config, DEFAULT_PATH, Rejected};
use agent::migrate;
use agent::sockets::{Passed, Sockets};
use agent::unit;
use anyhow::Context;
use clap::Parser;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// How long calls under way may take to finish after a signal to stop: longer than any of them may take.
const DRAIN_MAX: Duration = Duration::from_secs(20);

/// The exit code of a bad configuration. Source: `EX_USAGE` of sysexits(3).
const BAD_CONFIGURATION: u8 = 64;

/// The Berth agent: gives containers of this Docker host addresses of the cloud's own subnets.
#[derive(Parser)]
#[command(name = "berthd", version)]
struct Args {
    /// The configuration.
    #[arg(long, value_name = "FILE", default_value = DEFAULT_PATH)]
    config: PathBuf,
    /// Check the configuration, list every mistake, and exit: 0 if there is none, 64 otherwise.
    #[arg(long, group = "instead")]
    check: bool,
    /// Make lost or damaged journals anew from the store, Docker and the kernel, say what was found, and
    /// exit. berthd must be stopped, Docker must run; running containers feel nothing.
    #[arg(long, group = "instead")]
    rebuild: bool,
    /// Freeze the store of the configuration OLD, copy it into the store of --config, start that as a new
    /// generation, and exit. berthd must be stopped; running containers feel nothing.
    #[arg(long, value_name = "OLD", group = "instead")]
    migrate_store: Option<PathBuf>,
    /// Put a backup (`berth store backup`) into the empty store of --config, if this host did nothing since
    /// it was taken, and exit. berthd must be stopped; running containers feel nothing.
    #[arg(long, value_name = "FILE", group = "instead")]
    restore_store: Option<PathBuf>,
}

impl Args {
    /// Whether something is to be done instead of serving.
    fn is_command(&self) -> bool {
        self.check || self.rebuild || self.migrate_store.is_some() || self.restore_store.is_some()
    }
}

fn main() -> ExitCode {
    let args = Args::parse();
    let config = Config::load(&args.config);
    let passed = Passed::from_environment();
    match &config {
        Ok(_) if args.check => {
            println!("{} has no mistakes", args.config.display());
            return ExitCode::SUCCESS;
        }
        // Where dockerd's calls wait in a socket that systemd holds, somebody must refuse them.
        Err(rejected) if args.is_command() || !passed.has_plugin() => {
            eprintln!("error: {}", rejected.mistakes);
            eprintln!("hint: `berthd --check --config {}` tells when it is right", args.config.display());
            return ExitCode::from(BAD_CONFIGURATION);
        }
        _ => {}
    }
    unit::log();
    let ended = match config {
        Ok(config) if args.is_command() => command(&args, &config),
        config => run(config, passed),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn command(args: &Args, config: &Config) -> anyhow::Result<()> {
    if let Some(path) = &args.migrate_store {
        let old = Config::load(path).map_err(|rejected| anyhow::anyhow!("{}", rejected.mistakes))?;
        println!("{}", migrate::migrate(&old, config).await?);
    } else if let Some(file) = &args.restore_store {
        println!("{}", migrate::restore(file, config).await?);
    } else {
        println!("{}", agent::rebuild::rebuild(config).await?);
    }
    Ok(())
}

#[tokio::main]
async fn run(config: Result<Config, Box<Rejected>>, passed: Passed) -> anyhow::Result<()> {
    let stop = unit::stop_signal().context("cannot listen for signals")?;
    let rim = config.as_ref().map_or_else(|rejected| &rejected.rim, |config| &config.rim);
    let sockets = Sockets::take(passed, rim)?;
    for bound in [&sockets.plugin, &sockets.api] {
        tracing::info!(path = %bound.path.display(), origin = ?bound.origin, "listening");
    }
    if let Err(rejected) = &config {
        tracing::error!("taking releases only: {}", rejected.mistakes);
    }
    let running = assembly::start(config, sockets, stop.clone()).await?;
    unit::ready();

    stop.cancelled().await;
    unit::stopping();
    tracing::info!("finishing the calls under way");
    if tokio::time::timeout(DRAIN_MAX, running.ended()).await.is_err() {
        tracing::warn!("some calls did not finish within {} s", DRAIN_MAX.as_secs());
    }
    Ok(())
}
