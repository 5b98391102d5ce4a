//! The agent as a unit of systemd: its log, its signals, and what it tells.

use sd_notify::NotifyState;
use std::io::{self, IsTerminal};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Starts the log on stderr, where the journal takes it. `RUST_LOG` says how much; `info` without it.
pub fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    // journald writes the time itself, and shows colours as noise.
    match (std::env::var_os("JOURNAL_STREAM").is_some(), io::stderr().is_terminal()) {
        (true, _) => log.with_ansi(false).without_time().init(),
        (false, colours) => log.with_ansi(colours).init(),
    }
}

/// Cancelled by SIGTERM or SIGINT.
pub fn stop_signal() -> io::Result<CancellationToken> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stopped.cancel();
    });
    Ok(stop)
}

/// Tells systemd that calls are answered, and from now on, as often as it asks for, that the agent lives.
pub fn ready() {
    tell(&[NotifyState::Ready]);
    let Some(patience) = sd_notify::watchdog_enabled() else { return };
    tokio::spawn(async move {
        // Twice as often as needed, so that one late tick is no death.
        let mut tick = tokio::time::interval(patience / 2);
        loop {
            tick.tick().await;
            tell(&[NotifyState::Watchdog]);
        }
    });
}

/// Tells systemd that the agent finishes what is under way.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot tell systemd how the agent is doing");
    }
}
