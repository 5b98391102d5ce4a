//! A node: one machine's network, with a shell in it and a link that can be cut.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result};

use super::capture::Capture;
use super::keeper::Keeper;
use super::namespaces::{Namespaces, Said};
use super::place::Place;
use super::process::Process;

/// The network of a machine, the router or the fabric.
#[derive(Debug)]
pub struct Node {
    name: String,
    netns: PathBuf,
    /// Where logs of what runs here go.
    dir: PathBuf,
    inside: Namespaces,
    /// Numbers the logs.
    started: AtomicU32,
}

/// Which way a link is cut, as the node sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Nothing arrives any more.
    In,
    /// Nothing leaves any more.
    Out,
    /// Neither.
    Both,
}

impl Node {
    pub(super) fn new(name: &str, place: &Place, keeper: &Keeper) -> Node {
        let netns = place.netns(name);
        let inside = Namespaces { keeper: keeper.first(), network: Some(netns.clone()), host: false };
        let dir = place.dir().to_owned();
        Node { name: name.to_owned(), netns, dir, inside, started: AtomicU32::new(0) }
    }

    /// Its name in the layout.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its network namespace, for `nsenter --net=PATH`.
    pub fn netns(&self) -> &std::path::Path {
        &self.netns
    }

    /// Runs a shell script that must succeed; returns its standard output.
    ///
    /// # Errors
    /// All that it said, if it failed. A script has two minutes.
    pub fn sh(&self, script: &str) -> Result<String> {
        self.try_sh(script)?.success_of(script)
    }

    /// Runs a shell script and returns how it ended and what it said.
    ///
    /// # Errors
    /// It could not be run at all.
    pub fn try_sh(&self, script: &str) -> Result<Said> {
        self.inside.sh(script)
    }

    /// The machine's own address on its first VLAN.
    ///
    /// # Errors
    /// It has none, as the fabric.
    pub fn address(&self) -> Result<Ipv4Addr> {
        let said = self.sh("ip -4 -o address show dev eth0")?;
        // "2: eth0    inet 10.40.0.11/24 brd …"
        let address = said.split_whitespace().nth(3).and_then(|word| word.split('/').next()?.parse().ok());
        address.with_context(|| format!("{} has no address on eth0: {said}", self.name))
    }

    /// Starts a program that runs until it is dropped.
    ///
    /// # Errors
    /// It could not be started, or ended at once.
    pub fn spawn(&self, program: &str, args: &[&str]) -> Result<Process> {
        let mut command = self.inside.command(program);
        command.args(args);
        self.start(program, command)
    }

    /// Captures what matches a pcap filter on an interface (`any` for all), from now on.
    ///
    /// # Errors
    /// tcpdump did not start, for instance because of the filter.
    pub fn capture(&self, interface: &str, filter: &str) -> Result<Capture> {
        Capture::start(&self.inside, interface, filter, self.next_log("tcpdump"))
    }

    /// Cuts the link of an interface; the other end still sees a carrier.
    ///
    /// # Errors
    /// nft refused.
    pub fn cut(&self, interface: &str, way: Way) -> Result<()> {
        self.mend(interface)?;
        let table = table(interface);
        let hooks: &[&str] = match way {
            Way::In => &["ingress"],
            Way::Out => &["egress"],
            Way::Both => &["ingress", "egress"],
        };
        let chain = |hook: &&str| {
            format!(
                "add chain netdev {table} {hook} \
                 {{ type filter hook {hook} device {interface} priority -500; policy drop; }}\n"
            )
        };
        let chains: String = hooks.iter().map(chain).collect();
        self.sh(&format!("nft -f - <<'END'\nadd table netdev {table}\n{chains}END\n")).map(drop)
    }

    /// Mends the link of an interface; one that is whole stays so.
    ///
    /// # Errors
    /// nft refused.
    pub fn mend(&self, interface: &str) -> Result<()> {
        let table = table(interface);
        self.sh(&format!("nft add table netdev {table}; nft delete table netdev {table}")).map(drop)
    }

    /// Cuts this machine's own talk with one other machine; what either says to anybody else, and what it
    /// forwards for containers, goes on.
    ///
    /// # Errors
    /// nft refused, or the other has no address.
    pub fn cut_from(&self, other: &Node, way: Way) -> Result<()> {
        self.mend_with(other)?;
        let (table, address) = (table(&other.name), other.address()?);
        let drop_in = format!("add rule inet {table} in ip saddr {address} drop\n");
        let drop_out = format!("add rule inet {table} out ip daddr {address} drop\n");
        let rules = match way {
            Way::In => drop_in,
            Way::Out => drop_out,
            Way::Both => drop_in + &drop_out,
        };
        self.sh(&format!(
            "nft -f - <<'END'\nadd table inet {table}\n\
             add chain inet {table} in {{ type filter hook input priority -500; }}\n\
             add chain inet {table} out {{ type filter hook output priority -500; }}\n{rules}END\n"
        ))
        .map(drop)
    }

    /// Mends what [`Node::cut_from`] cut; nothing to mend is no mistake.
    ///
    /// # Errors
    /// nft refused.
    pub fn mend_with(&self, other: &Node) -> Result<()> {
        let table = table(&other.name);
        self.sh(&format!("nft add table inet {table}; nft delete table inet {table}")).map(drop)
    }

    fn start(&self, program: &str, command: Command) -> Result<Process> {
        let log = self.next_log(program.rsplit('/').next().unwrap_or(program));
        Process::start(&format!("{program} on {}", self.name), command, &log)
    }

    fn next_log(&self, program: &str) -> PathBuf {
        let number = self.started.fetch_add(1, Ordering::Relaxed);
        self.dir.join(format!("{}.{program}.{number}.log", self.name))
    }
}

/// Our own table, so that neither berthd's nor Docker's is touched.
fn table(from: &str) -> String {
    format!("lab_cut_{}", from.replace(|letter: char| !letter.is_ascii_alphanumeric(), "_"))
}
