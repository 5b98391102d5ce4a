//! How values are written: JSON, with the version of the form beside it.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::Key;

/// The form in which this build writes values, and the newest that it reads.
pub const VERSION: u32 = 1;

/// A stored value cannot be read, or a value cannot be stored.
#[derive(Debug, thiserror::Error)]
pub enum ValueError {
    /// Written by a newer Berth.
    #[error("{key} is written in form {found}, this Berth reads up to {VERSION}; upgrade this host's Berth")]
    Newer {
        /// Where it is stored.
        key: Key,
        /// The form it has.
        found: u32,
    },
    /// Not written by Berth, or damaged.
    #[error("what is stored under {key} is not what belongs there; look at it with `berth check`")]
    Unreadable {
        /// Where it is stored.
        key: Key,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// The value has no JSON form.
    #[error("the value for {key} cannot be written as JSON")]
    Unwritable {
        /// Where it was to be stored.
        key: Key,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

#[derive(Serialize)]
struct Written<'a, T> {
    version: u32,
    value: &'a T,
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Deserialize)]
struct Value<T> {
    value: T,
}

/// The bytes for `value` under `key`: `{"version":1,"value":…}`.
pub fn encode<T: Serialize>(key: &Key, value: &T) -> Result<Vec<u8>, ValueError> {
    serde_json::to_vec(&Written { version: VERSION, value })
        .map_err(|source| ValueError::Unwritable { key: key.clone(), source })
}

/// The value that was written as `bytes` under `key`.
pub fn decode<T: DeserializeOwned>(key: &Key, bytes: &[u8]) -> Result<T, ValueError> {
    let unreadable = |source| ValueError::Unreadable { key: key.clone(), source };
    // The version first: a newer value may not even have the fields that we look for.
    let Version { version } = serde_json::from_slice(bytes).map_err(unreadable)?;
    if version > VERSION {
        return Err(ValueError::Newer { key: key.clone(), found: version });
    }
    let Value { value } = serde_json::from_slice(bytes).map_err(unreadable)?;
    Ok(value)
}
