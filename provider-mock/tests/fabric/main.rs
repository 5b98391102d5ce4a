//! The simulated cloud's real packets. Needs root, iproute2, nftables, haproxy, busybox, ping and curl; without root each test asks
//! sudo for itself, and fails where that is refused.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod balancers;
mod firewalls;

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid};
use provider_mock::{CloudSpec, Delays, GratuitousArp};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A running `berth-mock-cloud --fabric`. Ends with the test.
struct Fabric {
    name: String,
    folder: TempDir,
    process: Child,
}

const KEY: &str = "SL307608:simulated-key";

impl Fabric {
    fn start(name: &str, change: impl FnOnce(&mut CloudSpec)) -> Self {
        let mut spec = CloudSpec::small();
        spec.delays = Delays::NONE;
        change(&mut spec);
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("cloud.toml"), toml::to_string(&spec).unwrap()).unwrap();
        // Other runs of these tests on this machine have other names.
        let name = format!("{name}{}", std::process::id() % 100_000);
        let process = launch(&name, &folder);
        Self { name, folder, process }
    }

    fn restart(&mut self) {
        self.process = launch(&self.name, &self.folder);
    }

    fn end(&mut self, signal: Signal) {
        kill(Pid::from_raw(self.process.id().cast_signed()), signal).unwrap();
        self.process.wait().unwrap();
    }

    /// Runs a command inside one of the namespaces; what it prints, or nothing if it fails.
    fn inside(&self, member: &str, command: &str) -> Option<String> {
        let mut all = Command::new("ip");
        all.args(["netns", "exec", &format!("{}-{member}", self.name)]).args(command.split_whitespace());
        let output = all.output().unwrap();
        output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    fn must(&self, member: &str, command: &str) -> String {
        self.inside(member, command).unwrap_or_else(|| panic!("in {member}: {command}"))
    }

    /// Whether a ping is answered.
    fn pings(&self, from: &str, options: &str, to: &str) -> bool {
        self.inside(from, &format!("ping -c1 -W1 {options} {to}")).is_some()
    }

    /// Calls the API as a machine of the fabric does.
    fn api(&self, path: &str, arguments: Option<Value>) -> Value {
        let mut all = Command::new("ip");
        all.args(["netns", "exec", &format!("{}-host1", self.name), "curl", "-gsS", "-u", KEY]);
        all.arg(format!("http://10.0.80.11/rest/v3.1/{path}"));
        if let Some(arguments) = arguments {
            all.arg("-d").arg(json!({ "parameters": arguments }).to_string());
        }
        serde_json::from_slice(&all.output().unwrap().stdout).unwrap()
    }

    /// Calls the control endpoint.
    fn control(&self, method: &str, path: &str, body: Value) -> Value {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-X", method, "-H", "content-type: application/json", "-d", &body.to_string()]);
        curl.arg("--unix-socket")
            .arg(self.folder.path().join("control"))
            .arg(format!("http://control{path}"));
        serde_json::from_slice(&curl.output().unwrap().stdout).unwrap()
    }

    /// Orders 64 addresses and says the id of the subnet, which is 10.50.0.0/26 when nothing else was ordered.
    fn order(&self) -> Value {
        let container = json!({
            "complexType": "SoftLayer_Container_Product_Order_Network_Subnet",
            "packageId": 0, "prices": [{ "id": 13_985 }], "quantity": 1, "endPointVlanId": 1234,
        });
        self.api("SoftLayer_Product_Order/placeOrder", Some(json!([container])));
        let subnets = self.api("SoftLayer_Network_Vlan/1234/getSecondarySubnets", None);
        until("the router has the gateway", || {
            self.must("router", "ip address show dev v1234").contains("10.50.0.1/26")
        });
        subnets[0].clone()
    }

    /// The MAC that the router knows for an address.
    fn known_to_router(&self, address: &str) -> String {
        let neighbour = self.must("router", &format!("ip neighbour show {address}"));
        neighbour
            .split_whitespace()
            .skip_while(|word| *word != "lladdr")
            .nth(1)
            .unwrap_or_default()
            .to_owned()
    }

    fn mac(&self, machine: &str) -> String {
        self.must(machine, "cat /sys/class/net/eth0/address")
    }

    /// The address is the machine's, which says so by a gratuitous ARP.
    fn announce(&self, machine: &str, address: &str) {
        self.must(machine, &format!("ip address add {address} dev eth0"));
        // The kernel announces all addresses of an interface whose MAC is set, be it to the same.
        self.must(machine, "sysctl -qw net.ipv4.conf.eth0.arp_notify=1");
        let mac = self.mac(machine);
        self.must(machine, &format!("ip link set eth0 address {mac}"));
    }

    fn namespaces(&self) -> Vec<String> {
        let listed = Command::new("ip").args(["netns", "list"]).output().unwrap();
        let listed = String::from_utf8(listed.stdout).unwrap();
        let names = listed.lines().filter_map(|line| line.split_whitespace().next());
        names.filter(|name| name.starts_with(&format!("{}-", self.name))).map(str::to_owned).collect()
    }
}

impl Drop for Fabric {
    fn drop(&mut self) {
        if matches!(self.process.try_wait(), Ok(None)) {
            self.end(Signal::SIGTERM);
        }
    }
}

fn launch(name: &str, folder: &TempDir) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth-mock-cloud"));
    command.arg("--cloud").arg(folder.path().join("cloud.toml")).args(["--fabric", name]);
    command.arg("--control").arg(folder.path().join("control"));
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("ready api=http://10.0.80.11:80/rest/v3.1/"), "{line}");
    process
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(10), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a test as root: at once, or all of it again through sudo.
fn as_root(name: &str, test: impl FnOnce()) {
    if Uid::effective().is_root() {
        return test();
    }
    let this: PathBuf = std::env::current_exe().unwrap();
    let status = Command::new("sudo").arg("-n").arg(this).args([name, "--exact"]).status();
    assert!(status.is_ok_and(|status| status.success()), "real packets need root, and sudo did not give it");
}

#[test]
fn machines_reach_each_other_and_the_router_and_are_known_by_their_address() {
    as_root("machines_reach_each_other_and_the_router_and_are_known_by_their_address", || {
        let fabric = Fabric::start("reach", |_| ());
        assert!(fabric.pings("host1", "", "10.40.0.1"));
        assert!(fabric.pings("vm1", "", "10.40.0.11"));
        // The other VLAN, through the router.
        assert!(fabric.pings("metal1", "", "198.51.100.20"));
        assert_eq!(fabric.must("vm1", "ip route show default"), "default via 198.51.100.1 dev eth1");
        assert_eq!(fabric.mac("host1"), "06:00:0a:28:00:0b");
        let path = "http://10.0.80.11/rest/v3.1/SoftLayer_Resource_Metadata/getHostname.txt";
        for machine in ["host1", "vm1", "metal1"] {
            assert_eq!(fabric.must(machine, &format!("curl -sS {path}")), machine);
        }
    });
}

#[test]
fn a_subnet_works_from_its_delivery_to_its_reclaim() {
    as_root("a_subnet_works_from_its_delivery_to_its_reclaim", || {
        let fabric = Fabric::start("subnet", |_| ());
        let subnet = fabric.order();
        fabric.must("host1", "ip address add 10.50.0.5/26 dev eth0");
        // vm1 is on the same VLAN but not in the subnet: its packets go by the router.
        assert!(fabric.pings("vm1", "", "10.50.0.5"));
        let billed = fabric.api(&format!("SoftLayer_Network_Subnet/{}/getBillingItem", subnet["id"]), None);
        assert_eq!(fabric.api(&format!("SoftLayer_Billing_Item/{}/cancelService", billed["id"]), None), true);
        until("the router lost the gateway", || {
            !fabric.must("router", "ip address show dev v1234").contains("10.50.0.1/26")
        });
        assert_eq!(fabric.must("router", "ip neighbour show 10.50.0.5"), "");
    });
}

#[test]
fn the_router_believes_the_last_it_heard_for_hours_and_hears_an_announcement() {
    as_root("the_router_believes_the_last_it_heard_for_hours_and_hears_an_announcement", || {
        let fabric = Fabric::start("hears", |_| ());
        fabric.order();
        fabric.must("host1", "ip address add 10.50.0.5/26 dev eth0");
        assert!(fabric.pings("host1", "-I 10.50.0.5", "10.50.0.1"));
        assert_eq!(fabric.known_to_router("10.50.0.5"), fabric.mac("host1"));
        // The address moves without a word: the router goes on sending to where it was.
        fabric.must("host1", "ip address delete 10.50.0.5/26 dev eth0");
        fabric.must("metal1", "ip address add 10.50.0.5/26 dev eth0");
        assert!(!fabric.pings("router", "", "10.50.0.5"));
        assert_eq!(fabric.known_to_router("10.50.0.5"), fabric.mac("host1"));
        for (setting, least) in
            [("base_reachable_time_ms", 2 * 14_400_000), ("delay_first_probe_time", 14_400)]
        {
            let path = format!("cat /proc/sys/net/ipv4/neigh/v1234/{setting}");
            assert!(fabric.must("router", &path).parse::<u64>().unwrap() >= least, "{setting}");
        }
        fabric.must("metal1", "ip address delete 10.50.0.5/26 dev eth0");
        fabric.announce("metal1", "10.50.0.5/26");
        until("the router heard the announcement", || {
            fabric.known_to_router("10.50.0.5") == fabric.mac("metal1")
        });
        assert!(fabric.pings("router", "", "10.50.0.5"));
    });
}

#[test]
fn a_deaf_router_ignores_an_announcement_and_learns_from_a_question_for_its_own_address() {
    as_root("a_deaf_router_ignores_an_announcement_and_learns_from_a_question_for_its_own_address", || {
        let fabric = Fabric::start("deaf", |spec| spec.fabric.gratuitous_arp = GratuitousArp::Ignore);
        fabric.order();
        fabric.must("host1", "ip address add 10.50.0.5/26 dev eth0");
        assert!(fabric.pings("host1", "-I 10.50.0.5", "10.50.0.1"));
        fabric.must("host1", "ip address delete 10.50.0.5/26 dev eth0");
        let dropped = || {
            let rules = fabric.must("router", "nft list chain arp fabric input");
            let counted = rules.lines().find(|line| line.contains("request")).unwrap().split_whitespace();
            counted.skip_while(|word| *word != "packets").nth(1).unwrap().parse::<u64>().unwrap()
        };
        let before = dropped();
        fabric.announce("metal1", "10.50.0.5/26");
        until("the announcement reached the router", || dropped() > before);
        assert_eq!(fabric.known_to_router("10.50.0.5"), fabric.mac("host1"));
        assert!(fabric.pings("metal1", "-I 10.50.0.5", "10.50.0.1"));
        assert_eq!(fabric.known_to_router("10.50.0.5"), fabric.mac("metal1"));
    });
}

#[test]
fn a_machine_can_be_added_and_deleted_while_the_fabric_runs() {
    as_root("a_machine_can_be_added_and_deleted_while_the_fabric_runs", || {
        let fabric = Fabric::start("grow", |_| ());
        let late = json!({ "hostname": "late", "kind": "hardware", "vlan": 1234, "ip": "10.40.0.99" });
        let added = fabric.control("POST", "/machines", late);
        assert_eq!(added["ports"][0]["address"], "10.40.0.99");
        // Answered when the wires are there.
        assert!(fabric.pings("host1", "", "10.40.0.99"));
        fabric.control("DELETE", "/machines/late", json!(null));
        assert!(!fabric.namespaces().contains(&format!("{}-late", fabric.name)));
        let wrong = json!({ "hostname": "host1", "kind": "virtual", "vlan": 1234 });
        assert!(fabric.control("POST", "/machines", wrong)["error"].is_string());
    });
}

#[test]
fn nothing_is_left_after_the_end_nor_after_a_kill_and_a_new_start() {
    as_root("nothing_is_left_after_the_end_nor_after_a_kill_and_a_new_start", || {
        let mut fabric = Fabric::start("clean", |_| ());
        let late = json!({ "hostname": "late", "kind": "virtual", "vlan": 1234 });
        fabric.control("POST", "/machines", late);
        fabric.end(Signal::SIGKILL);
        assert_eq!(fabric.namespaces().len(), 7);
        fabric.restart();
        assert_eq!(fabric.namespaces().len(), 6);
        fabric.end(Signal::SIGINT);
        assert_eq!(fabric.namespaces(), Vec::<String>::new());
    });
}
