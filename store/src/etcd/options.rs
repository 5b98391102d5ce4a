//! Where etcd is, and how it knows us.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use etcd_client::{Certificate, ConnectOptions, Identity, TlsOptions};
use zeroize::Zeroizing;

use crate::StoreError;

/// Bytes that a file of certificates, a key or a password may have.
const FILE_BYTES_MAX: u64 = 256 * 1024;

/// Where etcd is, and how it knows us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdOptions {
    /// One URL for each member, `http://HOST:PORT` or, with `tls`, `https://HOST:PORT`. At least one.
    pub endpoints: Vec<String>,
    /// What every key begins with: clusters that share an etcd differ in it. Ends with `/`.
    pub prefix: String,
    /// With TLS, and then with all members.
    pub tls: Option<EtcdTls>,
    /// The user of etcd's own authentication.
    pub user: Option<EtcdUser>,
}

/// The files of TLS, in PEM. They are read again for every new connection: a renewed certificate needs no
/// restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdTls {
    /// The authorities that may have signed etcd's certificate.
    pub ca: PathBuf,
    /// Our certificate and its private key, where etcd asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// A user of etcd's own authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdUser {
    /// Its name.
    pub name: String,
    /// A file with its password, which only root may read.
    pub password_file: PathBuf,
}

impl EtcdOptions {
    /// How to connect, with everything that is in files read now.
    pub(super) fn connect(&self) -> Result<ConnectOptions, StoreError> {
        let mut options = ConnectOptions::new();
        if let Some(tls) = &self.tls {
            options = options.with_tls(tls.read()?);
        }
        if let Some(user) = &self.user {
            let password = read(&user.password_file, Readers::Root)?;
            options = options.with_user(&user.name, password.trim_end_matches(['\r', '\n']));
        }
        Ok(options)
    }
}

impl EtcdTls {
    fn read(&self) -> Result<TlsOptions, StoreError> {
        let ca = read(&self.ca, Readers::Anybody)?;
        let mut options = TlsOptions::new().ca_certificate(Certificate::from_pem(ca.as_bytes()));
        if let Some((certificate, key)) = &self.identity {
            let (certificate, key) = (read(certificate, Readers::Anybody)?, read(key, Readers::Root)?);
            options = options.identity(Identity::from_pem(certificate.as_bytes(), key.as_bytes()));
        }
        Ok(options)
    }
}

/// Who may read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readers {
    Anybody,
    Root,
}

fn read(path: &Path, readers: Readers) -> Result<Zeroizing<String>, StoreError> {
    let unreadable = |source: io::Error| StoreError::Credentials {
        path: path.to_owned(),
        problem: "cannot be read; berthd looks again at its next try",
        source: Some(source),
    };
    let file = File::open(path).map_err(unreadable)?;
    // Of the opened file, not of the path: it cannot be exchanged in between.
    let about = file.metadata().map_err(unreadable)?;
    if readers == Readers::Root {
        check_protection(path, about.uid(), about.mode())?;
    }
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

fn check_protection(path: &Path, owner: u32, mode: u32) -> Result<(), StoreError> {
    let problem = match (owner, mode & 0o077) {
        (0, 0) => return Ok(()),
        (0, _) => "holds a secret and is open to others; run `chmod 0600` on it and consider a new secret",
        _ => "holds a secret and does not belong to root; run `chown root` on it",
    };
    Err(StoreError::Credentials { path: path.to_owned(), problem, source: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_others_may_read_or_own_is_refused_with_what_to_do() {
        let path = Path::new("/etc/berth/etcd-password");
        assert!(check_protection(path, 0, 0o100_600).is_ok());
        assert!(check_protection(path, 0, 0o100_400).is_ok());
        let open = check_protection(path, 0, 0o100_640).unwrap_err().to_string();
        assert!(open.contains("/etc/berth/etcd-password") && open.contains("chmod 0600"), "{open}");
        let foreign = check_protection(path, 1000, 0o100_600).unwrap_err().to_string();
        assert!(foreign.contains("chown root"), "{foreign}");
    }
}
