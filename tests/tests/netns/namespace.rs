//! Network namespaces that a test made, and threads that live in one.

use std::fs::File;
use std::panic::resume_unwind;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, process, thread};

use nix::sched::{CloneFlags, setns};
use tokio::runtime::Builder;

/// How the names of our namespaces begin; the test's process id follows.
const PREFIX: &str = "berth-netns-";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A namespace, deleted when dropped. Needs root: where there is none, the test fails and says so.
pub(crate) struct Namespace {
    pub(crate) name: String,
}

impl Namespace {
    pub(crate) fn new(role: &str) -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        if number == 0 {
            sweep();
        }
        let namespace = Self { name: format!("{PREFIX}{}-{number}-{role}", process::id()) };
        run("ip", &["netns", "add", &namespace.name]);
        namespace.ip("link set lo up");
        namespace
    }

    /// Runs `ip` here, with these words.
    pub(crate) fn ip(&self, words: &str) {
        let words = words.split_whitespace();
        run("ip", &["-n", &self.name].into_iter().chain(words).collect::<Vec<_>>());
    }

    /// What `ip -j` says here.
    pub(crate) fn ip_json(&self, words: &str) -> Vec<serde_json::Value> {
        let words = words.split_whitespace();
        let said = run("ip", &["-j", "-d", "-n", &self.name].into_iter().chain(words).collect::<Vec<_>>());
        if said.trim().is_empty() { Vec::new() } else { serde_json::from_str(&said).unwrap() }
    }

    /// Runs a program here and answers whether it succeeded, and what it said.
    pub(crate) fn try_run(&self, words: &str) -> (bool, String) {
        let words = words.split_whitespace();
        let output = Command::new("ip").args(["netns", "exec", &self.name]).args(words).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Loads nft rules here.
    pub(crate) fn nft(&self, rules: &str) {
        let (good, said) = self.try_run(&format!("nft {rules}"));
        assert!(good, "nft {rules}: {said}");
    }

    /// Sets a switch under `/proc/sys/net/ipv4`.
    pub(crate) fn sysctl(&self, path: &str, value: &str) {
        self.enter(|| fs::write(format!("/proc/sys/net/ipv4/{path}"), value).unwrap());
    }

    /// Sets a switch of IPv6.
    pub(crate) fn sysctl_ipv6(&self, path: &str, value: &str) {
        self.enter(|| fs::write(format!("/proc/sys/net/ipv6/{path}"), value).unwrap());
    }

    /// Reads one.
    pub(crate) fn read_sysctl(&self, path: &str) -> String {
        self.enter(|| fs::read_to_string(format!("/proc/sys/net/ipv4/{path}")).unwrap().trim().to_owned())
    }

    /// Can this address be pinged from here?
    pub(crate) fn pings(&self, address: &str) -> bool {
        self.try_run(&format!("ping -c 1 -W 1 {address}")).0
    }

    /// Runs on a thread of its own, which is in this namespace: a namespace belongs to a thread.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let inside = || {
                let file = File::open(format!("/run/netns/{}", self.name)).unwrap();
                setns(file, CloneFlags::CLONE_NEWNET).expect("no right to enter a namespace: run as root");
                work()
            };
            scope.spawn(inside).join().unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    /// The same for a future; the runtime's threads are in this namespace, too.
    pub(crate) fn block_on<T: Send, F: Future<Output = T>>(&self, work: impl FnOnce() -> F + Send) -> T {
        self.enter(|| {
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(work())
        })
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Not asserted: a panic on the way out would hide the first.
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

/// Removes what tests left behind that were killed.
fn sweep() {
    let Ok(entries) = fs::read_dir("/run/netns") else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()) else { continue };
        if !fs::exists(format!("/proc/{pid}")).unwrap() {
            let _ = Command::new("ip").args(["netns", "del", &name]).status();
        }
    }
}

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program} does not start: {error}; install iproute2"));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {said}; is this root?", arguments.join(" "));
    String::from_utf8(output.stdout).unwrap()
}
