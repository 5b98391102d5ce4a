//! Members of services that an evicted host left behind: they keep its addresses from being used again, and it cannot
//! remove them any more.

use std::net::IpAddr;

use provider::Provider;
use services::Member;
use store::Transaction;
use store::layout::{Item, Under};
use tracing::{info, warn};

use super::status::chain;
use super::term::Term;
use super::{role::Role, trouble::Trouble};

impl<P: Provider> Role<P> {
    /// Removes them at these addresses, which are in quarantine.
    pub(super) async fn remove_members(&mut self, term: &Term, addresses: impl IntoIterator<Item = IpAddr>) {
        for address in addresses {
            match self.remove_members_at(term, address).await {
                Ok(0) => {}
                Ok(count) => {
                    info!(%address, count, "removed what an evicted host left of it in services");
                    self.look_again = true;
                }
                Err(error) => warn!(%address, error = %chain(&error), "cannot remove it from its services"),
            }
        }
    }

    /// How many there were. What a load balancer's owner wrote is the owner's to remove.
    async fn remove_members_at(&self, term: &Term, address: IpAddr) -> Result<usize, Trouble> {
        let store = self.parts.store.clone();
        let mut removed = 0;
        for entry in store.range(&Under::DependentsOf(address).prefix()).await?.entries {
            let Some(Item::Dependent { object, .. }) = Item::of(&entry.key) else { continue };
            let Some(service) = Member::service_of(&object) else { continue };
            let member = Item::Member { service: service.to_owned(), address }.key();
            // While its endpoint is closed nobody writes either of them.
            let transaction = Transaction::new()
                .absent(Item::Endpoint(address).key())
                .unchanged(entry.key.clone(), entry.revision)
                .delete(entry.key)
                .delete(member);
            self.commit(term, transaction).await?;
            removed += 1;
        }
        Ok(removed)
    }
}
