//! A namespace for each member and one for us, with a bridge between them.

use std::fs::File;
use std::panic::resume_unwind;
use std::process::Command;
use std::rc::Rc;
use std::thread;

use etcd_client::ConnectOptions;
use nix::sched::{CloneFlags, setns};
use tokio::runtime::Builder;

use crate::etcd::{Etcd, Place};

/// Removed with the value.
pub(crate) struct Namespaces {
    ours: String,
    members: Vec<String>,
}

impl Namespaces {
    /// Runs a test on a thread that is in our namespace.
    pub(crate) fn with<F: Future<Output = ()>>(
        name: &str,
        members: usize,
        test: impl FnOnce(Rc<Namespaces>) -> F + Send,
    ) {
        let namespaces = Namespaces::make(name, members);
        thread::scope(|scope| {
            let running = scope.spawn(|| {
                namespaces.enter();
                let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
                runtime.block_on(test(Rc::new(namespaces)));
            });
            running.join().unwrap_or_else(|panic| resume_unwind(panic));
        });
    }

    fn make(name: &str, members: usize) -> Namespaces {
        let named = |which: &str| format!("etcd-{}-{name}-{which}", std::process::id());
        let ours = named("us");
        let namespaces =
            Namespaces { members: (0..members).map(|it| named(&it.to_string())).collect(), ours };
        let ours = &namespaces.ours;
        ip(&format!("netns add {ours}"));
        ip(&format!("-n {ours} link set lo up"));
        ip(&format!("-n {ours} link add br0 type bridge"));
        ip(&format!("-n {ours} addr add 10.99.0.254/24 dev br0"));
        ip(&format!("-n {ours} link set br0 up"));
        for (at, member) in namespaces.members.iter().enumerate() {
            ip(&format!("netns add {member}"));
            ip(&format!("-n {member} link set lo up"));
            ip(&format!("-n {ours} link add m{at} type veth peer name eth0 netns {member}"));
            ip(&format!("-n {ours} link set m{at} master br0 up"));
            ip(&format!("-n {member} addr add {}/24 dev eth0", address(at)));
            ip(&format!("-n {member} link set eth0 up"));
        }
        namespaces
    }

    fn enter(&self) {
        let namespace = File::open(format!("/run/netns/{}", self.ours)).expect("it was made");
        setns(namespace, CloneFlags::CLONE_NEWNET).expect("the right to enter it: run this as root");
    }

    /// Starts a member in each namespace, and waits until they serve.
    pub(crate) async fn etcd(&self, arguments: &[&str]) -> Etcd {
        let place = |(at, member): (usize, &String)| Place {
            within: ["ip", "netns", "exec", member].map(str::to_owned).to_vec(),
            client: format!("http://{}:2379", address(at)),
            peer: format!("http://{}:2380", address(at)),
        };
        let etcd = Etcd::start(self.members.iter().enumerate().map(place).collect(), arguments);
        etcd.serves(ConnectOptions::new()).await;
        etcd
    }

    /// Takes a member off the bridge: packets vanish, nobody is told.
    pub(crate) fn cut(&self, member: usize) {
        ip(&format!("-n {} link set m{member} nomaster", self.ours));
    }

    /// Puts it back.
    pub(crate) fn heal(&self, member: usize) {
        ip(&format!("-n {} link set m{member} master br0", self.ours));
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for namespace in self.members.iter().chain([&self.ours]) {
            let _ = Command::new("ip").args(["netns", "del", namespace]).status();
        }
    }
}

fn address(member: usize) -> String {
    format!("10.99.0.{}", member + 1)
}

fn ip(arguments: &str) {
    let done = Command::new("ip").args(arguments.split(' ')).output().expect("ip is installed");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "ip {arguments}: {said}; run this as root");
}
