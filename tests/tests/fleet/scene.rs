//! Docker hosts that share one etcd and one subnet, and the questions that tests ask of them.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use api::{Address, AddressState, CheckReport, Subnet};
use ipnetwork::{IpNetwork, Ipv4Network};
use serde_json::{Value, json};
use tests::lab::{BerthConfig, Daemon, Host, Lab, Layout, Pool, Process, StoreChoice, until};
use tests::plugin::{self, DOCKERS_PATIENCE};

/// An order takes seconds in the simulated cloud, a fleet on two processors its time.
const DELIVERY: Duration = Duration::from_secs(120);

/// Whatever the agents do without being asked.
pub(crate) const SOON: Duration = Duration::from_secs(60);

/// The reconciler wants both witnesses to miss an endpoint for a minute, and looks every fifteen seconds.
const REAPED: Duration = Duration::from_secs(180);

/// A host that is silent for so long has lost its sign of life in the store.
pub(crate) const SESSION: Duration = Duration::from_secs(10);

/// The usual container: a small web site that tells its visitors their address.
const SITE: &str = "busybox httpd -f -p 0.0.0.0:80 -h /www";

/// Hosts h1, h2 …, a virtual machine vm1 and a bare-metal server bm1 on one VLAN, and etcd.
pub(crate) struct Fleet {
    lab: Lab,
    up: Vec<String>,
    /// The one subnet.
    subnet: IpNetwork,
}

/// How large a fleet is.
pub(crate) struct Size {
    pub(crate) hosts: u32,
    pub(crate) members: usize,
    /// The prefix length of the one subnet.
    pub(crate) prefix: u8,
}

impl Size {
    /// The layout of a fleet of this size, with no cooling to speak of.
    pub(crate) fn layout(self) -> Layout {
        let pool =
            Pool { prefix: self.prefix, subnets_max: 1, free_min: 1, cooling_secs: 1, ..Pool::default() };
        Layout::fleet(self.hosts, self.members, &with(pool))
    }
}

/// The configuration of a host on the lab's etcd with this pool.
pub(crate) fn with(pool: Pool) -> BerthConfig {
    BerthConfig { store: StoreChoice::Etcd, pools: vec![pool], ..BerthConfig::default() }
}

impl Fleet {
    /// Sets it, with the Docker network `cloud` on every host.
    pub(crate) fn set(size: Size) -> Result<Fleet> {
        Fleet::over(size.layout())
    }

    /// The same for another layout.
    pub(crate) fn over(layout: Layout) -> Result<Fleet> {
        let all: Vec<String> = layout.hosts.keys().cloned().collect();
        Fleet::of(layout, &all.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The same with these hosts alone started.
    pub(crate) fn of(layout: Layout, up: &[&str]) -> Result<Fleet> {
        let lab = Lab::build(layout)?;
        lab.etcd().start()?;
        let up = up.iter().map(|name| (*name).to_owned()).collect();
        // Which one the cloud delivers is not known yet.
        let mut fleet = Fleet { lab, up, subnet: IpNetwork::V4(Ipv4Network::from(Ipv4Addr::UNSPECIFIED)) };
        // Made once, before all want it.
        fleet.lab.site()?;
        fleet.on_all(Host::start_all)?;
        let first = fleet.hosts().next().context("a fleet without hosts")?;
        first.sh("berth cluster init")?;
        fleet.subnet = fleet.delivered()?;
        let subnet = fleet.subnet;
        // Docker takes `--ip` only where the subnet was named.
        let create = format!("docker network create -d berth --ipam-driver berth --subnet {subnet} cloud");
        fleet.on_all(|host| host.sh(&create).map(drop))?;
        Ok(fleet)
    }

    pub(crate) fn lab(&self) -> &Lab {
        &self.lab
    }

    pub(crate) fn host(&self, name: &str) -> &Host {
        self.lab.host(name).expect("every test names hosts of its own layout")
    }

    /// The hosts that were started.
    pub(crate) fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.up.iter().map(|name| self.host(name))
    }

    /// Does the same on all hosts at once.
    pub(crate) fn on_all(&self, act: impl Fn(&Host) -> Result<()> + Sync) -> Result<()> {
        let act = &act;
        thread::scope(|scope| {
            let acts: Vec<_> = self.hosts().map(|host| scope.spawn(move || act(host))).collect();
            acts.into_iter().try_for_each(|it| it.join().map_err(|_| anyhow!("a thread panicked"))?)
        })
    }

    /// The one subnet.
    pub(crate) fn subnet(&self) -> IpNetwork {
        self.subnet
    }

    /// The one subnet, once every host knows it.
    fn delivered(&self) -> Result<IpNetwork> {
        let mut found = None;
        for host in self.hosts() {
            found = Some(
                until(DELIVERY, &format!("{} knows the subnet", host.name()), || {
                    // An agent that was just started does not know its pools yet.
                    let subnets: Vec<Subnet> = host.ask("subnet list").unwrap_or_default();
                    let open = subnets.iter().find(|subnet| subnet.counts.usable() > 0);
                    Ok(open.map(|subnet| subnet.subnet))
                })
                .with_context(|| host.log_tail(Daemon::Berthd))?,
            );
        }
        found.context("a fleet without hosts")
    }

    /// How many addresses the subnet has for containers: all but its own, the gateway's and the last.
    pub(crate) fn room(&self) -> usize {
        (1 << (32 - self.subnet.prefix())) - 3
    }

    /// Runs a container that stays, and answers its address.
    pub(crate) fn run(&self, host: &str, name: &str, options: &str) -> Result<IpAddr> {
        let host = self.host(host);
        host.sh(&format!("docker run -d --name {name} --network cloud {options} {SITE}"))
            .with_context(|| host.log_tail(Daemon::Berthd))?;
        host.address_of(name)
    }

    /// Runs one that stays, as soon as it is not refused any more.
    pub(crate) fn run_soon(&self, host: &str, name: &str, options: &str) -> Result<IpAddr> {
        let mut refused = String::new();
        until(SOON, &format!("{name} is not refused on {host}"), || {
            self.host(host).try_sh(&format!("docker rm -f {name}"))?;
            let run = format!("docker run -d --name {name} --network cloud {options} {SITE}");
            let said = self.host(host).try_sh(&run)?;
            refused = said.stderr.clone();
            said.is_success().then(|| self.host(host).address_of(name)).transpose()
        })
        .with_context(|| format!("{refused}{}", self.host(host).log_tail(Daemon::Berthd)))
    }

    /// Runs this many at once on each of these hosts, named h1-1, h1-2 …
    pub(crate) fn run_many(&self, plan: &[(&str, usize)]) -> Result<()> {
        let on_one = |host: &str, count: usize| {
            (1..=count).try_for_each(|number| self.run(host, &format!("{host}-{number}"), "").map(drop))
        };
        let on_one = &on_one;
        thread::scope(|scope| {
            let runs: Vec<_> =
                plan.iter().map(|(host, count)| scope.spawn(move || on_one(host, *count))).collect();
            runs.into_iter().try_for_each(|run| run.join().map_err(|_| anyhow!("a thread panicked"))?)
        })
    }

    /// Runs one that must be refused before Docker's patience ends. Answers what Docker's user reads.
    pub(crate) fn refused(&self, host: &str, options: &str) -> Result<String> {
        let begun = Instant::now();
        let run = format!("docker run --rm --network cloud {options} busybox true");
        let said = self.host(host).try_sh(&run)?;
        ensure!(!said.is_success(), "docker run {options} was not refused on {host}");
        let took = begun.elapsed();
        ensure!(took < DOCKERS_PATIENCE, "refused after {} s: {}", took.as_secs(), said.stderr);
        Ok(said.stderr)
    }

    /// Asks for an address and lets it go again, as dockerd would: how long the answer took, and it.
    pub(crate) fn request(&self, host: &str) -> Result<(Duration, Value)> {
        let pool = format!("default/{}", self.subnet);
        let ask = json!({ "PoolID": pool, "Address": "", "Options": null }).to_string();
        let begun = Instant::now();
        let (_, answer) = plugin::call(self.host(host), "/IpamDriver.RequestAddress", ask.as_bytes())?;
        let took = begun.elapsed();
        if let Some(address) = answer["Address"].as_str() {
            let address = address.split('/').next().unwrap_or_default();
            let back = json!({ "PoolID": pool, "Address": address }).to_string();
            plugin::call(self.host(host), "/IpamDriver.ReleaseAddress", back.as_bytes())?;
        }
        Ok((took, answer))
    }

    /// The virtual machine gets the container's page, and the container sees who asks.
    pub(crate) fn vm_reaches(&self, address: IpAddr) -> Result<()> {
        let vm = self.lab.node("vm1")?;
        let page = vm.sh(&format!("timeout 10 busybox wget -q -O - http://{address}/cgi-bin/whoami"))?;
        ensure!(page.trim() == format!("you are {}", vm.address()?), "{address} said: {page}");
        Ok(())
    }

    /// The virtual machine pings an address again and again, until the answer is asked for.
    pub(crate) fn ping(&self, address: IpAddr) -> Result<Ping> {
        self.ping_from("vm1", address)
    }

    /// Another machine does.
    pub(crate) fn ping_from(&self, machine: &str, address: IpAddr) -> Result<Ping> {
        let options = ["-i", "0.2", "-W", "5", &address.to_string()];
        Ok(Ping(self.lab.node(machine)?.spawn("ping", &options)?))
    }

    /// Which of a host's running containers has which address.
    pub(crate) fn containers(&self, host: &Host) -> Result<BTreeMap<IpAddr, String>> {
        let format = "{{.Name}}{{range .NetworkSettings.Networks}} {{.IPAddress}}{{end}}";
        let said = host.sh(&format!("docker ps -q | xargs -r docker inspect -f '{format}'"))?;
        let lines = said.lines().map(|line| {
            let (name, address) = line.split_once(' ').with_context(|| format!("no address: {line}"))?;
            Ok((address.trim().parse()?, name.trim_start_matches('/').to_owned()))
        });
        lines.collect()
    }

    /// Waits until, on every host, Docker, the kernel and berthd speak of the same addresses, no two hosts
    /// of the same one, and `berth check` is clean. Answers who has which.
    pub(crate) fn settles(&self) -> Result<BTreeMap<IpAddr, String>> {
        self.settles_within(SOON)
    }

    /// The same where the two witnesses must agree first that something is gone.
    pub(crate) fn settles_after_a_crash(&self) -> Result<BTreeMap<IpAddr, String>> {
        self.settles_within(REAPED)
    }

    fn settles_within(&self, limit: Duration) -> Result<BTreeMap<IpAddr, String>> {
        let mut last = String::new();
        let settled = until(limit, "all agree on who uses which address", || match self.agreed()? {
            Ok(users) => Ok(Some(users)),
            Err(difference) => {
                last = difference;
                Ok(None)
            }
        });
        settled.with_context(|| {
            let logs: Vec<String> = self.hosts().map(|host| host.log_tail(Daemon::Berthd)).collect();
            format!("{last}\n{}", logs.join("\n"))
        })
    }

    fn agreed(&self) -> Result<Result<BTreeMap<IpAddr, String>, String>> {
        let mut users = BTreeMap::new();
        for host in self.hosts() {
            let name = host.name();
            let containers = self.containers(host)?;
            let seen: Vec<IpAddr> = containers.keys().copied().collect();
            let proxied = proxied(host)?;
            // Right after a start there is no answer yet.
            let Ok(assigned) = assigned(host) else { return Ok(Err(format!("{name} has no answer"))) };
            if seen != proxied || seen != assigned {
                return Ok(Err(format!(
                    "{name}: Docker shows {seen:?}, the kernel answers for {proxied:?}, assigned are {assigned:?}"
                )));
            }
            for (address, container) in containers {
                if let Some(other) = users.insert(address, format!("{container} on {name}")) {
                    // Docker shows both as running: nothing will put that right.
                    return Err(anyhow!("{address} is used by {container} on {name} and by {other}"));
                }
            }
            let check: CheckReport = host.ask("check")?;
            if !check.findings.is_empty() {
                return Ok(Err(format!("{name}: {:#?}", check.findings)));
            }
        }
        Ok(Ok(users))
    }

    /// Fills the subnet from this host alone and empties it again: every address that is not in use
    /// elsewhere can be used, so none leaked.
    pub(crate) fn nothing_leaked(&self, host: &str, used_elsewhere: usize) -> Result<()> {
        let count = self.room() - used_elsewhere;
        for number in 1..=count {
            self.run_soon(host, &format!("fill-{number}"), "")
                .with_context(|| format!("the {number}. of {count} that there should be room for"))?;
        }
        self.settles()?;
        let names: Vec<String> = (1..=count).map(|number| format!("fill-{number}")).collect();
        self.host(host).sh(&format!("docker rm -f {}", names.join(" ")))?;
        self.settles().map(drop)
    }
}

/// The addresses that a host's kernel answers for on the VLAN.
pub(crate) fn proxied(host: &Host) -> Result<Vec<IpAddr>> {
    let said = host.sh("ip neighbour show proxy")?;
    let mut proxied: Vec<IpAddr> =
        said.lines().filter_map(|line| line.split_whitespace().next()?.parse().ok()).collect();
    proxied.sort();
    Ok(proxied)
}

/// The addresses that a host's berthd says are in use there.
pub(crate) fn assigned(host: &Host) -> Result<Vec<IpAddr>> {
    let addresses: Vec<Address> = host.ask("address list")?;
    let assigned = addresses.into_iter().filter(|it| it.state == AddressState::Assigned);
    Ok(assigned.map(|it| it.address).collect())
}

/// A running ping.
pub(crate) struct Ping(Process);

impl Ping {
    /// Ends it: each request was answered, and there were some.
    pub(crate) fn lost_nothing(mut self) -> Result<usize> {
        self.0.signal(nix::sys::signal::Signal::SIGINT)?;
        self.0.wait(SOON)?;
        let log = std::fs::read_to_string(self.0.log())?;
        // "412 packets transmitted, 412 received, 0% packet loss, time 82341ms"
        let counts: Vec<usize> = log
            .lines()
            .find(|line| line.contains("packets transmitted"))
            .into_iter()
            .flat_map(|line| line.split_whitespace().filter_map(|word| word.parse().ok()))
            .collect();
        let [sent, received, ..] = counts[..] else { return Err(anyhow!("ping said: {log}")) };
        ensure!(sent == received && sent > 0, "{} of {sent} packets lost:\n{log}", sent - received);
        Ok(sent)
    }
}
