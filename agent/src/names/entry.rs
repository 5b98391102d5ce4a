//! What hosts tell each other of their containers' names.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipam::{Epoch, HostId};
use serde::{Deserialize, Serialize};
use store::Key;
use store::layout::Item;

/// How long a name may be as a text. Source: RFC 1035, section 2.3.4.
const NAME_MAX: usize = 253;

/// What a container is called: the value at `names/<address>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Entry {
    /// The host it runs on.
    pub(super) host: HostId,
    /// The number under which it has the address.
    pub(super) epoch: Epoch,
    /// Its name.
    pub(super) container: String,
    /// What it calls itself.
    pub(super) hostname: String,
}

/// That a container is called so: the value at `called/<label>/<address>`. It stands as long as the entry does: they
/// are written and removed together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CalledSo {
    /// The host it runs on.
    pub(super) host: HostId,
    /// The number under which it has the address.
    pub(super) epoch: Epoch,
}

impl Entry {
    /// What it is called in DNS: first what it calls itself, because that is what it looks up.
    pub(super) fn names(&self) -> Vec<String> {
        let (hostname, container) = (in_dns(&self.hostname), in_dns(&self.container));
        let container = container.filter(|name| hostname.as_ref() != Some(name));
        hostname.into_iter().chain(container).collect()
    }

    /// The keys that lead to it by its names.
    pub(super) fn keys(&self, address: IpAddr) -> BTreeSet<Key> {
        self.names().into_iter().map(|label| Item::Called { label, address }.key()).collect()
    }

    /// What stands at those keys.
    pub(super) fn called_so(&self) -> CalledSo {
        CalledSo { host: self.host.clone(), epoch: self.epoch }
    }
}

/// A name as DNS compares it; none if it cannot be one there.
fn in_dns(name: &str) -> Option<String> {
    let fits = name.len() <= NAME_MAX && name.split('.').all(|label| (1..=63).contains(&label.len()));
    (fits && name.bytes().all(|byte| byte.is_ascii_graphic())).then(|| name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use ipam::Generation;

    use super::*;

    fn entry(container: &str, hostname: &str) -> Entry {
        let epoch = Epoch { generation: Generation { number: 1, id: 1 }, take: 1, counter: 1 };
        Entry { host: "h1".into(), epoch, container: container.into(), hostname: hostname.into() }
    }

    #[test]
    fn what_a_container_calls_itself_comes_first_and_nothing_twice() {
        assert_eq!(entry("Web_1", "0123456789ab").names(), ["0123456789ab", "web_1"]);
        assert_eq!(entry("web", "WEB").names(), ["web"]);
        assert_eq!(entry("web", &"x".repeat(64)).names(), ["web"]);
        assert_eq!(entry("web", "").names(), ["web"]);
    }
}
