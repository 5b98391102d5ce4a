//! The conformance suite, over each kind of etcd. One etcd keeps all promises, each below a prefix of its own.

use store::EtcdStore;

use crate::etcd::Etcd;
use crate::namespaces::Namespaces;
use crate::secured::Secured;

/// A store below a prefix of its own, in an etcd where nothing of an earlier promise is still to happen.
async fn fresh(etcd: &Etcd, promise: &str) -> EtcdStore {
    settle(&mut etcd.client().await).await;
    EtcdStore::new(etcd.options(&format!("berth/{promise}/")))
}

/// Ends the sessions of earlier promises: some promises are about the revision of the whole store.
async fn settle(client: &mut etcd_client::Client) {
    let leases = client.leases().await.expect("etcd lists its leases");
    for lease in leases.leases() {
        // One that lapsed in the meantime is gone, which is what is wanted.
        let _ = client.lease_revoke(lease.id()).await;
    }
}

#[tokio::test]
async fn one_member_keeps_every_promise() {
    let etcd = Etcd::single().await;
    store::keep_every_promise!(|promise| fresh(&etcd, promise));
}

#[test]
fn three_members_in_namespaces_keep_every_promise() {
    Namespaces::with("promises", 3, |namespaces| async move {
        let etcd = namespaces.etcd(&[]).await;
        store::keep_every_promise!(|promise| fresh(&etcd, promise));
    });
}

#[tokio::test]
async fn an_etcd_with_certificates_and_a_password_keeps_every_promise() {
    let secured = Secured::start().await;
    let fresh = async |promise: &str| {
        settle(&mut secured.root().await).await;
        EtcdStore::new(secured.options(&format!("berth/{promise}/")))
    };
    store::keep_every_promise!(|promise| fresh(promise));
}
