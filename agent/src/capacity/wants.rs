//! Sweeps up the wants of hosts that are gone.

use ipam::role::{WantSeen, sweep_wants};
use ipam::{HostId, Want, Zone};
use provider::Provider;
use store::layout::{Item, Under};
use tracing::info;

use super::{look, role::Role, term::Term, trouble::Trouble, view::View};

impl<P: Provider> Role<P> {
    /// Removes the wants of the zone that nobody will answer, or nobody waits for.
    pub(super) async fn sweep_wants(&self, term: &Term, view: &View) -> Result<(), Trouble> {
        let zone = Zone(self.zone().to_string());
        let mut wants = Vec::new();
        for entry in self.parts.store.range(&Under::WantsIn { zone: zone.0.clone() }.prefix()).await?.entries
        {
            if let Some(Item::Want { holder, asker, .. }) = Item::of(&entry.key) {
                let at = look::read::<Want>(&entry)?;
                let revision = ipam::Revision(at.revision.0);
                wants.push(WantSeen {
                    holder: HostId(holder),
                    asker: HostId(asker),
                    want: at.value,
                    revision,
                });
            }
        }
        if let Some(transaction) = sweep_wants(&zone, &view.hosts, &wants) {
            let outcome = self.send(term, &transaction).await?;
            info!(%zone, wants = transaction.writes.len(), ?outcome, "swept wants of hosts that are gone");
        }
        Ok(())
    }
}
