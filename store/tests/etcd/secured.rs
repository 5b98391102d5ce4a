//! An etcd with certificates on both sides and users with passwords, and what happens when one of them
//! ends.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use etcd_client::{
    Certificate, Client, ConnectOptions, Identity, Permission, PermissionType, RoleRevokePermissionOptions,
    TlsOptions,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use store::layout::{Item, Under};
use store::{EtcdOptions, EtcdStore, EtcdTls, EtcdUser, Revision, Store, StoreError, Transaction};
use tempfile::TempDir;

use crate::etcd::{Etcd, Place};

/// The key range that the user of our stores may use: `berth/` up to the first key after it.
const OURS: (&str, &str) = ("berth/", "berth0");

/// Of the user of our stores.
const PASSWORD: &str = "correct-horse";

/// One member that asks for certificates and passwords.
pub(crate) struct Secured {
    pub(crate) etcd: Etcd,
    authority: CertifiedIssuer<'static, KeyPair>,
    /// Certificates and secrets; etcd reads its own again with every connection.
    files: TempDir,
}

/// How long a certificate is good.
#[derive(Clone, Copy)]
enum Good {
    Now,
    Before,
}

impl Secured {
    pub(crate) async fn start() -> Secured {
        Secured::start_with(Good::Now).await
    }

    async fn start_with(server: Good) -> Secured {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let authority = CertifiedIssuer::self_signed(params, key).expect("an authority");
        let files = TempDir::new().expect("a directory for certificates");
        write(&files.path().join("ca.pem"), &authority.pem(), 0o644);
        let (certificate, key) = issue(&authority, server);
        write(&files.path().join("server.pem"), &certificate, 0o644);
        write(&files.path().join("server-key.pem"), &key, 0o600);
        let option = |name: &str, file: &str| format!("--{name}={}", files.path().join(file).display());
        let arguments = [
            option("cert-file", "server.pem"),
            option("key-file", "server-key.pem"),
            option("trusted-ca-file", "ca.pem"),
            "--client-cert-auth".to_owned(),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let etcd = Etcd::start(vec![Place::on_loopback("https")], &arguments);
        let secured = Secured { etcd, authority, files };
        secured.renew(Good::Now);
        if matches!(server, Good::Now) {
            secured.etcd.serves(secured.tls()).await;
            secured.make_users().await;
        }
        secured
    }

    fn file(&self, name: &str) -> PathBuf {
        self.files.path().join(name)
    }

    /// Writes a new certificate of our own.
    fn renew(&self, good: Good) {
        let (certificate, key) = issue(&self.authority, good);
        write(&self.file("ours.pem"), &certificate, 0o644);
        write(&self.file("ours-key.pem"), &key, 0o600);
    }

    fn set_password(&self, password: &str) {
        write(&self.file("password"), &format!("{password}\n"), 0o600);
    }

    fn tls(&self) -> ConnectOptions {
        let (certificate, key) = issue(&self.authority, Good::Now);
        let tls = TlsOptions::new()
            .ca_certificate(Certificate::from_pem(self.authority.pem()))
            .identity(Identity::from_pem(certificate, key));
        ConnectOptions::new().with_tls(tls)
    }

    async fn make_users(&self) {
        let mut client =
            Client::connect(self.etcd.endpoints(), Some(self.tls())).await.expect("before users");
        client.user_add("root", "root's", None).await.expect("a user");
        client.user_grant_role("root", "root").await.expect("a role");
        client.role_add("berth").await.expect("a role");
        grant(&mut client).await;
        client.user_add("berth", PASSWORD, None).await.expect("a user");
        client.user_grant_role("berth", "berth").await.expect("a role");
        client.auth_enable().await.expect("authentication");
        self.set_password(PASSWORD);
    }

    /// The operator.
    pub(crate) async fn root(&self) -> Client {
        let options = self.tls().with_user("root", "root's");
        Client::connect(self.etcd.endpoints(), Some(options)).await.expect("root may connect")
    }

    pub(crate) fn options(&self, prefix: &str) -> EtcdOptions {
        EtcdOptions {
            tls: Some(EtcdTls {
                ca: self.file("ca.pem"),
                identity: Some((self.file("ours.pem"), self.file("ours-key.pem"))),
            }),
            user: Some(EtcdUser { name: "berth".to_owned(), password_file: self.file("password") }),
            ..self.etcd.options(prefix)
        }
    }

    fn store(&self) -> EtcdStore {
        EtcdStore::new(self.options("berth/test/"))
    }
}

async fn grant(client: &mut Client) {
    let ours = Permission::new(PermissionType::Readwrite, OURS.0).with_range_end(OURS.1);
    client.role_grant_permission("berth", ours).await.expect("a permission");
}

fn issue(authority: &CertifiedIssuer<'static, KeyPair>, good: Good) -> (String, String) {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("an address");
    if let Good::Before = good {
        (params.not_before, params.not_after) = (date_time_ymd(2020, 1, 1), date_time_ymd(2020, 2, 1));
    }
    let key = KeyPair::generate().expect("a key");
    let certificate = params.signed_by(&key, authority).expect("a certificate");
    (certificate.pem(), key.serialize_pem())
}

fn write(path: &Path, text: &str, mode: u32) {
    fs::write(path, text).expect("it can be written");
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is ours");
}

fn put() -> Transaction {
    Transaction::new().put(Item::Pool("a".into()).key(), vec![1])
}

#[tokio::test]
async fn a_password_that_was_changed_is_told_and_read_again_without_a_restart() {
    let secured = Secured::start().await;
    let store = secured.store();
    store.commit(put()).await.expect("it may write");
    secured.root().await.user_change_password("berth", "another").await.expect("it is changed");
    // Tokens that were given before are forgotten by etcd.
    let denied = store.commit(put()).await;
    assert!(matches!(denied, Err(StoreError::Denied(_))), "{denied:?}");
    let watch = store.watch(&Under::Pools.prefix(), Revision(0)).await;
    assert!(matches!(watch, Err(StoreError::Denied(_))), "{watch:?}");
    secured.set_password("another");
    store.commit(put()).await.expect("the new password was read");
}

#[tokio::test]
async fn rights_that_were_taken_away_are_told_and_nothing_is_written() {
    let secured = Secured::start().await;
    let store = secured.store();
    store.commit(put()).await.expect("it may write");
    let mut root = secured.root().await;
    let range = RoleRevokePermissionOptions::new().with_range_end(OURS.1);
    root.role_revoke_permission("berth", OURS.0, Some(range)).await.expect("revoked");
    let before = root.get("berth/test/pools/a", None).await.expect("root reads").kvs()[0].mod_revision();
    for _ in 0..2 {
        let denied = store.commit(put()).await;
        assert!(matches!(denied, Err(StoreError::Denied(_))), "{denied:?}");
    }
    let read = store.get(&Item::Pool("a".into()).key()).await;
    assert!(matches!(read, Err(StoreError::Denied(_))), "{read:?}");
    let after = root.get("berth/test/pools/a", None).await.expect("root reads").kvs()[0].mod_revision();
    assert_eq!(before, after);
    grant(&mut root).await;
    store.commit(put()).await.expect("it may write again");
}

#[tokio::test]
async fn a_user_may_not_leave_its_prefix() {
    let secured = Secured::start().await;
    let stranger = EtcdStore::new(secured.options("elsewhere/"));
    let denied = stranger.commit(put()).await;
    assert!(matches!(denied, Err(StoreError::Denied(_))), "{denied:?}");
}

#[tokio::test]
async fn our_certificate_that_expired_is_told_and_a_renewed_one_read_without_a_restart() {
    let secured = Secured::start().await;
    secured.renew(Good::Before);
    let store = secured.store();
    let refused = store.commit(put()).await;
    assert!(matches!(refused, Err(StoreError::Certificate(_))), "{refused:?}");
    secured.renew(Good::Now);
    store.commit(put()).await.expect("the renewed certificate was read");
}

#[tokio::test]
async fn etcds_certificate_that_expired_is_told() {
    let secured = Secured::start_with(Good::Before).await;
    secured.set_password(PASSWORD);
    let refused = async {
        loop {
            match secured.store().commit(put()).await {
                // It is still starting.
                Err(StoreError::Unavailable(_)) => tokio::task::yield_now().await,
                answer => return answer,
            }
        }
    };
    let refused = tokio::time::timeout(std::time::Duration::from_secs(20), refused).await.expect("in time");
    assert!(matches!(refused, Err(StoreError::Certificate(_))), "{refused:?}");
}

#[tokio::test]
async fn a_secret_that_others_may_read_is_not_used() {
    let secured = Secured::start().await;
    write(&secured.file("password"), PASSWORD, 0o644);
    let refused = secured.store().commit(put()).await;
    assert!(matches!(refused, Err(StoreError::Credentials { .. })), "{refused:?}");
    assert!(!format!("{refused:?}").contains(PASSWORD), "{refused:?}");
}
