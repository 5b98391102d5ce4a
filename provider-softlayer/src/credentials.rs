//! The API user's name and key, from a file that only root can read.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use provider::Secret;
use serde::Deserialize;
use zeroize::Zeroizing;

/// Bytes that a credentials file may have: two short lines.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// An API user and its key.
#[derive(Debug, Clone)]
pub struct Credentials {
    pub(crate) username: String,
    pub(crate) api_key: Secret,
}

/// Why a credentials file is not used.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// It cannot be opened or read.
    #[error("cannot read the SoftLayer credentials in {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// Somebody other than root owns it.
    #[error("the SoftLayer credentials in {0} belong to user id {1}; run `chown root {0}`", path.display(), owner)]
    NotRoots {
        /// The file.
        path: PathBuf,
        /// Its owner's user id.
        owner: u32,
    },
    /// Others than its owner may use it.
    #[error("the SoftLayer credentials in {0} are open to others (mode {1:04o}); run `chmod 0600 {0}` and consider a new key", path.display(), mode)]
    TooOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is not the TOML that is expected. What it says is not repeated here: it holds a key.
    #[error(
        "the SoftLayer credentials in {} are not of the form\n    username = \"SL123456\"\n    api_key = \"…\"",
        path.display()
    )]
    Malformed {
        /// The file.
        path: PathBuf,
    },
}

impl Credentials {
    /// A user and its key, not from a file.
    pub fn new(username: impl Into<String>, api_key: Secret) -> Self {
        Self { username: username.into(), api_key }
    }

    /// Reads `username` and `api_key` from a TOML file.
    ///
    /// # Errors
    /// When the file cannot be read, does not belong to root, is readable by others, or says something else.
    pub fn read(path: &Path) -> Result<Self, CredentialsError> {
        let unreadable = |source| CredentialsError::Unreadable { path: path.to_owned(), source };
        let file = File::open(path).map_err(unreadable)?;
        // Of the opened file, not of the path: it cannot be exchanged in between.
        let about = file.metadata().map_err(unreadable)?;
        check_protection(path, about.uid(), about.mode() & 0o7777)?;
        let mut text = Zeroizing::new(String::new());
        file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(unreadable)?;
        parse(&text).ok_or_else(|| CredentialsError::Malformed { path: path.to_owned() })
    }
}

fn check_protection(path: &Path, owner: u32, mode: u32) -> Result<(), CredentialsError> {
    let path = path.to_owned();
    if owner != 0 {
        return Err(CredentialsError::NotRoots { path, owner });
    }
    if mode & 0o077 != 0 {
        return Err(CredentialsError::TooOpen { path, mode });
    }
    Ok(())
}

fn parse(text: &str) -> Option<Credentials> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Lines {
        username: String,
        api_key: String,
    }

    let Lines { username, api_key } = toml::from_str(text).ok()?;
    let filled = !username.trim().is_empty() && !api_key.trim().is_empty();
    filled.then(|| Credentials::new(username.trim(), Secret::new(api_key.trim())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "username = \"SL123456\"\napi_key = \"0123456789abcdef\"\n";

    #[test]
    fn a_key_is_read_and_never_shown() {
        let credentials = parse(GOOD).unwrap();
        assert_eq!(credentials.username, "SL123456");
        assert_eq!(credentials.api_key.expose(), "0123456789abcdef");
        assert!(!format!("{credentials:?}").contains("0123456789abcdef"));
    }

    #[test]
    fn an_incomplete_file_is_refused() {
        let broken =
            ["", "username = \"a\"", "username = \"a\"\napi_key = 12", "username = \" \"\napi_key = \"x\""];
        for text in broken {
            assert!(parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_command_to_run() {
        let path = Path::new("/etc/berth/softlayer.toml");
        for mode in [0o600, 0o400] {
            assert!(check_protection(path, 0, mode).is_ok());
        }
        for mode in [0o640, 0o604, 0o620, 0o660, 0o601] {
            let error = check_protection(path, 0, mode).unwrap_err().to_string();
            assert!(error.contains("chmod 0600 /etc/berth/softlayer.toml"), "{error}");
        }
    }

    #[test]
    fn a_file_that_is_not_roots_is_refused_with_the_command_to_run() {
        let error = check_protection(Path::new("/etc/berth/softlayer.toml"), 1000, 0o600).unwrap_err();
        assert!(error.to_string().contains("chown root /etc/berth/softlayer.toml"), "{error}");
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = Credentials::read(Path::new("/nonexistent/softlayer.toml")).unwrap_err();
        assert!(error.to_string().contains("/nonexistent/softlayer.toml"));
    }
}
