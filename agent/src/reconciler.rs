//! The reconciler: looks at book, assignments, Docker and kernel, and brings them in line.
//!
//! Plugin calls nudge it and wait for the kernel to be right ([`Reconciler::bring`]); a timer makes sure
//! that nothing is missed. It is the one place that changes the host's network.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

/// A handle on the reconciler's task. Clones reach the same task.
#[derive(Debug, Clone)]
pub struct Reconciler {
    nudges: mpsc::Sender<oneshot::Sender<Result<(), Arc<BringError>>>>,
}
