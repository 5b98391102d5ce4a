//! Doing something inside a network namespace: on a thread that goes there and never comes back.

use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;

use nix::sched::{CloneFlags, setns};

/// Runs `work` inside the namespace that `ip netns` knows by this name.
pub(super) fn inside<T: Send>(namespace: &str, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let namespace = File::open(Path::new("/run/netns").join(namespace))?;
    thread::scope(|scope| {
        let there = scope.spawn(|| {
            setns(namespace, CloneFlags::CLONE_NEWNET)?;
            work()
        });
        there.join().unwrap_or_else(|_| Err(io::Error::other("the thread in the namespace panicked")))
    })
}
