//! What was taken from this host while in use must fall silent at once, not at the reconciler's next look.

use crate::allocator::Allocator;
use crate::reconciler::Reconciler;
use std::time::Duration;

/// Changes come in bursts: one look serves them all.
const BURST: Duration = Duration::from_millis(100);

/// Wakes the reconciler whenever the allocator shows revoked addresses. Returns when it has ended.
pub(super) async fn follow(allocator: &Allocator, reconciler: &Reconciler) {
    let mut changes = allocator.changes();
    while changes.changed().await.is_ok() {
        tokio::time::sleep(BURST).await;
        changes.mark_unchanged();
        let Ok(revoked) = allocator.has_revoked().await else { return };
        if revoked {
            reconciler.nudge();
        }
    }
}
