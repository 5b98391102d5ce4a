//! Who may ask what: by the user and groups of the process at the other end of the socket.

use ::api::{Problem, ProblemKind};
use axum::extract::connect_info::Connected;
use axum::serve::IncomingStream;
use nix::unistd::{Gid, Uid, User, getgrouplist};
use std::ffi::CString;
use tokio::net::UnixListener;

/// The process that asks, as the kernel vouches for it (`SO_PEERCRED`, unix(7)).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    credentials: Option<(Uid, Gid)>,
}

impl Connected<IncomingStream<'_, UnixListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, UnixListener>) -> Self {
        let credentials = stream.io().peer_cred().ok();
        let ids = |it: tokio::net::unix::UCred| (Uid::from_raw(it.uid()), Gid::from_raw(it.gid()));
        Self { credentials: credentials.map(ids) }
    }
}

/// Root may read and write; members of one group may read.
#[derive(Clone, Debug)]
pub struct Access {
    group_name: String,
    group: Option<Gid>,
}

impl Access {
    /// Lets members of `group` read. Without such a group only root may.
    pub fn new(group_name: impl Into<String>, group: Option<Gid>) -> Self {
        Self { group_name: group_name.into(), group }
    }

    /// Whether `peer` may read.
    pub fn may_read(&self, peer: &Peer) -> Result<(), Problem> {
        let Some((user, group)) = peer.credentials else { return Err(unknown_peer()) };
        let member = |allowed: Gid| allowed == group || groups_of(user, group).contains(&allowed);
        if user.is_root() || self.group.is_some_and(member) {
            return Ok(());
        }
        let name = &self.group_name;
        let hint = match self.group {
            Some(_) => {
                format!("ask as root, or join the group: `usermod -aG {name} USER`, then log in again")
            }
            None => format!("ask as root, or make the group: `groupadd {name}`, then restart berthd"),
        };
        Err(forbidden(format!("only root and the group {name} may ask; you are user {user}"), hint))
    }

    /// Whether `peer` may write.
    pub fn may_write(&self, peer: &Peer) -> Result<(), Problem> {
        let Some((user, _)) = peer.credentials else { return Err(unknown_peer()) };
        if user.is_root() {
            return Ok(());
        }
        Err(forbidden(
            format!("only root may change anything; you are user {user}"),
            "repeat it with sudo".into(),
        ))
    }
}

/// All groups of a user: the kernel vouches only for the one that the process runs under.
fn groups_of(user: Uid, group: Gid) -> Vec<Gid> {
    let name = User::from_uid(user).ok().flatten().and_then(|user| CString::new(user.name).ok());
    name.and_then(|name| getgrouplist(&name, group).ok()).unwrap_or_default()
}

fn unknown_peer() -> Problem {
    forbidden("the kernel does not say who asks".into(), "ask over the unix socket itself".into())
}

fn forbidden(error: String, hint: String) -> Problem {
    Problem { kind: ProblemKind::Forbidden, error, causes: Vec::new(), hint: Some(hint) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(user: u32, group: u32) -> Peer {
        Peer { credentials: Some((Uid::from_raw(user), Gid::from_raw(group))) }
    }

    #[test]
    fn root_may_do_everything_and_the_group_may_read() {
        let access = Access::new("berth", Some(Gid::from_raw(70_001)));
        assert!(access.may_read(&peer(0, 0)).is_ok() && access.may_write(&peer(0, 0)).is_ok());
        assert!(access.may_read(&peer(70_000, 70_001)).is_ok());
        let refused = access.may_write(&peer(70_000, 70_001)).unwrap_err();
        assert_eq!(refused.kind, ProblemKind::Forbidden);
    }

    #[test]
    fn who_is_not_in_the_group_may_not_even_read() {
        let access = Access::new("berth", Some(Gid::from_raw(70_001)));
        let refused = access.may_read(&peer(70_000, 70_000)).unwrap_err();
        assert_eq!(refused.error, "only root and the group berth may ask; you are user 70000");
    }

    #[test]
    fn without_the_group_or_without_credentials_nobody_but_root_gets_in() {
        let access = Access::new("berth", None);
        assert!(access.may_read(&peer(70_000, 0)).is_err());
        assert!(access.may_read(&Peer { credentials: None }).is_err());
        assert!(access.may_read(&peer(0, 5)).is_ok());
    }
}
