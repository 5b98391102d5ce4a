//! Opens the ledger as soon as it is known who this host is.

use super::standing::Standing;
use crate::allocator::Allocator;
use crate::config::LedgerConfig;
use crate::ledger::{self, Limits};
use crate::troubles::with_causes;
use ::ledger::Shelf;
use ipam::HostId;
use std::sync::Arc;
use std::time::Duration;

const MIB: u64 = 1024 * 1024;

/// Keeps the ledger until the agent stops. Without its disk there is none, and nothing else suffers: the
/// journal keeps what it would have taken.
pub(super) fn keep(
    standing: &Standing,
    host: &HostId,
    allocator: &Allocator,
) -> impl Future<Output = ()> + Send + use<> {
    let opened = Shelf::open(standing.config.rim.host.ledger_dir());
    let running = match opened {
        Ok((shelf, unread)) => {
            for error in &unread {
                tracing::warn!(error = with_causes(error), "a part of the ledger is left out");
            }
            let parts = ledger::Parts {
                store: Arc::clone(&standing.store),
                clock: Arc::clone(&standing.clock),
                host: host.clone(),
                shelf,
                limits: limits(&standing.config.ledger),
            };
            let (ledger, keeper) = ledger::new(parts);
            standing.ledger.send_replace(Some(ledger));
            Some(keeper.run(allocator.clone(), standing.docker.clone(), standing.stop.clone()))
        }
        Err(error) => {
            tracing::error!(
                error = with_causes(&error),
                "no ledger is kept; what it lacks is in the journal"
            );
            None
        }
    };
    async move {
        if let Some(running) = running {
            running.await;
        }
    }
}

fn limits(config: &LedgerConfig) -> Limits {
    Limits {
        window: Duration::from_secs(u64::from(config.window_hours) * 3_600),
        store_bytes_max: u64::from(config.store_mib_max) * MIB,
        keep: Duration::from_secs(u64::from(config.keep_days) * 86_400),
        disk_bytes_max: u64::from(config.disk_mib_max) * MIB,
    }
}
