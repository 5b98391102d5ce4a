//! The conformance suite, over an etcd of one member.

use store::EtcdStore;
use tokio::sync::{Mutex, MutexGuard};

use crate::member::Member;

/// One at a time: some promises are about the revision of the whole store.
static ALONE: Mutex<()> = Mutex::const_new(());

async fn fresh() -> (EtcdStore, (Member, MutexGuard<'static, ()>)) {
    let alone = ALONE.lock().await;
    let member = Member::start().await;
    let store = EtcdStore::new(member.options("berth/test/"));
    (store, (member, alone))
}

store::conformance!(fresh);
