//! Requests through load balancers: real HAProxies, which do what the cloud has in force.

use std::collections::BTreeSet;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{Fabric, as_root, until};

const ADD: &str = "SoftLayer_Network_LBaaS_Member/addLoadBalancerMembers";
const EDIT: &str = "SoftLayer_Network_LBaaS_Member/updateLoadBalancerMembers";
const DROP: &str = "SoftLayer_Network_LBaaS_Member/deleteLoadBalancerMembers";
const MONITORS: &str = "SoftLayer_Network_LBaaS_HealthMonitor/updateLoadBalancerHealthMonitors";
const SERVICE: &str = "SoftLayer_Network_LBaaS_LoadBalancer";

/// A web server at one address of a machine, which answers with that address. Ends when dropped.
struct Server {
    process: Child,
    _site: TempDir,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// A balancer that was ordered, by its UUID, and where clients reach it.
struct Balancer {
    uuid: String,
    url: String,
}

impl Fabric {
    /// A web server on port 8080 of an address that a machine gets for it.
    fn serve(&self, machine: &str, address: &str) -> Server {
        let _ = self.inside(machine, &format!("ip address add {address}/26 dev eth0"));
        self.serve_again(machine, address)
    }

    fn serve_again(&self, machine: &str, address: &str) -> Server {
        let site = TempDir::new().unwrap();
        std::fs::write(site.path().join("index.html"), address).unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &format!("{}-{machine}", self.name), "busybox", "httpd", "-f", "-p"]);
        command.arg(format!("{address}:8080")).arg("-h").arg(site.path()).stderr(Stdio::null());
        let process = command.spawn().unwrap();
        let url = format!("http://{address}:8080/");
        until("the web server answers", || self.fetch(machine, &url).is_some());
        Server { process, _site: site }
    }

    fn fetch(&self, from: &str, url: &str) -> Option<String> {
        self.inside(from, &format!("curl -sS --fail --max-time 2 {url}"))
    }

    /// Orders a balancer with port 80 before port 8080 of its members, checked as often as can be.
    fn order_balancer(&self, name: &str, public: bool) -> Balancer {
        let subnets = self.api("SoftLayer_Account/getPrivateSubnets", None);
        let primary = subnets.as_array().unwrap().iter().find(|it| it["subnetType"] == "PRIMARY").unwrap();
        let order = json!({
            "complexType": "SoftLayer_Container_Product_Order_Network_LoadBalancer_AsAService",
            "packageId": 805, "prices": [{ "id": 10_805 }], "useHourlyPricing": true, "isPublic": public,
            "name": name, "subnets": [{ "id": primary["id"] }],
            "protocolConfigurations": [{
                "frontendProtocol": "HTTP", "frontendPort": 80, "backendProtocol": "HTTP", "backendPort": 8080,
                "loadBalancingMethod": "WEIGHTED_RR",
            }],
        });
        let receipt = self.api("SoftLayer_Product_Order/placeOrder", Some(json!([order])));
        assert!(receipt["orderId"].is_number(), "{receipt}");
        let shown = self.shown(name);
        let balancer = Balancer {
            uuid: shown["uuid"].as_str().unwrap().to_owned(),
            url: format!("http://{}/", shown["front"]["address"].as_str().unwrap()),
        };
        let monitor =
            self.balancer(&balancer)["listeners"][0]["defaultPool"]["healthMonitor"]["uuid"].clone();
        let often = json!([{ "healthMonitorUuid": monitor, "interval": 2, "timeout": 1, "maxRetries": 1 }]);
        self.change(&balancer, MONITORS, often);
        balancer
    }

    /// What `/state` tells of a balancer.
    fn shown(&self, name: &str) -> Value {
        let state = self.control("GET", "/state", json!(null));
        state["balancers"].as_array().unwrap().iter().find(|it| it["name"] == name).unwrap().clone()
    }

    fn balancer(&self, balancer: &Balancer) -> Value {
        let mask = "mask[members,listeners[defaultPool[healthMonitor]]]";
        self.api(&format!("{SERVICE}/getLoadBalancer?objectMask={mask}"), Some(json!([balancer.uuid])))
    }

    /// Makes a change; answered when it is accepted.
    fn accept(&self, balancer: &Balancer, method: &str, what: Value) -> Value {
        let answer = self.api(method, Some(json!([balancer.uuid, what])));
        assert!(answer["uuid"].is_string(), "{answer}");
        answer
    }

    /// Makes a change, and waits until packets go by it.
    fn change(&self, balancer: &Balancer, method: &str, what: Value) -> Value {
        let answer = self.accept(balancer, method, what);
        until("the change is in force", || self.balancer(balancer)["provisioningStatus"] == "ACTIVE");
        // Answered when the wires have followed.
        self.control("POST", "/clock/advance", json!({ "secs": 0 }));
        answer
    }

    fn add(&self, balancer: &Balancer, addresses: &[&str]) {
        let members: Vec<_> = addresses.iter().map(|it| json!({ "privateIpAddress": it })).collect();
        self.change(balancer, ADD, json!(members));
    }

    fn member(&self, balancer: &Balancer, address: &str) -> Value {
        let shown = self.balancer(balancer);
        let members = shown["members"].as_array().unwrap();
        members.iter().find(|it| it["address"] == address).unwrap()["uuid"].clone()
    }

    /// The members' health: `UP` or `DOWN`, in the order in which they were added.
    fn health(&self, balancer: &Balancer) -> Vec<String> {
        let path = format!("{SERVICE}/getLoadBalancerMemberHealth");
        let health = self.api(&path, Some(json!([balancer.uuid])));
        let members = health[0]["membersHealth"].as_array().unwrap();
        members.iter().map(|it| it["status"].as_str().unwrap().to_owned()).collect()
    }

    /// Who answers, in so many requests.
    fn answers(&self, from: &str, url: &str, requests: u32) -> BTreeSet<String> {
        (0..requests).filter_map(|_| self.fetch(from, url)).collect()
    }
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn the_internet_reaches_members_through_a_public_balancer_and_machines_through_a_private_one() {
    as_root(
        "balancers::the_internet_reaches_members_through_a_public_balancer_and_machines_through_a_private_one",
        || {
            let fabric = Fabric::start("lb", |_| ());
            fabric.order();
            let _servers = (fabric.serve("host1", "10.50.0.5"), fabric.serve("metal1", "10.50.0.6"));
            let members = ["10.50.0.5", "10.50.0.6"];
            let (public, private) = (fabric.order_balancer("out", true), fabric.order_balancer("in", false));
            fabric.add(&public, &members);
            fabric.add(&private, &members);
            assert_eq!(public.url, "http://198.51.100.62/");
            assert_eq!(fabric.answers("client", &public.url, 6), set(&members));
            assert_eq!(fabric.answers("vm1", &private.url, 6), set(&members));
            // Nobody outside has a way in but the public address.
            assert_eq!(fabric.fetch("client", &private.url), None);
            assert_eq!(fabric.fetch("client", "http://10.50.0.5:8080/"), None);
            until("both are up", || fabric.health(&public) == ["UP", "UP"]);
        },
    );
}

#[test]
fn a_change_carries_packets_when_it_is_in_force_and_not_before() {
    as_root("balancers::a_change_carries_packets_when_it_is_in_force_and_not_before", || {
        let fabric = Fabric::start("pend", |_| ());
        fabric.order();
        let _servers = (fabric.serve("host1", "10.50.0.5"), fabric.serve("metal1", "10.50.0.6"));
        let balancer = fabric.order_balancer("web", false);
        fabric.add(&balancer, &["10.50.0.5"]);
        let mut delays = serde_json::to_value(provider_mock::Delays::NONE).unwrap();
        delays["balancer_update_ms"] = json!(3_600_000);
        fabric.control("PUT", "/delays", delays);
        fabric.accept(&balancer, ADD, json!([{ "privateIpAddress": "10.50.0.6" }]));
        assert_eq!(fabric.answers("vm1", &balancer.url, 4), set(&["10.50.0.5"]));
        fabric.control("POST", "/clock/advance", json!({ "secs": 3600 }));
        assert_eq!(fabric.answers("vm1", &balancer.url, 4), set(&["10.50.0.5", "10.50.0.6"]));
        // A weight of zero takes it out, again at the end of the pending time.
        let member = fabric.member(&balancer, "10.50.0.5");
        fabric.accept(&balancer, EDIT, json!([{ "uuid": member, "weight": 0 }]));
        assert_eq!(fabric.answers("vm1", &balancer.url, 4), set(&["10.50.0.5", "10.50.0.6"]));
        fabric.control("POST", "/clock/advance", json!({ "secs": 3600 }));
        assert_eq!(fabric.answers("vm1", &balancer.url, 4), set(&["10.50.0.6"]));
    });
}

#[test]
fn a_member_that_fails_its_check_gets_no_requests_and_is_told_down_until_it_passes() {
    as_root(
        "balancers::a_member_that_fails_its_check_gets_no_requests_and_is_told_down_until_it_passes",
        || {
            let fabric = Fabric::start("check", |_| ());
            fabric.order();
            let _stays = fabric.serve("host1", "10.50.0.5");
            let fails = fabric.serve("metal1", "10.50.0.6");
            let balancer = fabric.order_balancer("web", false);
            fabric.add(&balancer, &["10.50.0.5", "10.50.0.6"]);
            until("both are up", || fabric.health(&balancer) == ["UP", "UP"]);
            drop(fails);
            until("one is down", || fabric.health(&balancer) == ["UP", "DOWN"]);
            assert_eq!(fabric.answers("vm1", &balancer.url, 4), set(&["10.50.0.5"]));
            // A reload does not forget it.
            fabric.change(
                &balancer,
                EDIT,
                json!([{ "uuid": fabric.member(&balancer, "10.50.0.5"), "weight": 7 }]),
            );
            assert_eq!(fabric.health(&balancer), ["UP", "DOWN"]);
            let statistics =
                fabric.api(&format!("{SERVICE}/getLoadBalancerStatistics"), Some(json!([balancer.uuid])));
            let counted = (&statistics["numberOfMembersUp"], &statistics["numberOfMembersDown"]);
            assert_eq!(counted, (&json!(1), &json!(1)));
            let _again = fabric.serve_again("metal1", "10.50.0.6");
            until("both are up again", || fabric.health(&balancer) == ["UP", "UP"]);
        },
    );
}

#[test]
fn no_request_fails_while_members_come_go_and_change() {
    as_root("balancers::no_request_fails_while_members_come_go_and_change", || {
        let fabric = Fabric::start("calm", |_| ());
        fabric.order();
        let _servers = (fabric.serve("host1", "10.50.0.5"), fabric.serve("metal1", "10.50.0.6"));
        let balancer = fabric.order_balancer("web", true);
        fabric.add(&balancer, &["10.50.0.5"]);
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let client = scope.spawn(|| {
                let mut asked = (0, 0);
                while !over.load(Ordering::Relaxed) {
                    asked.0 += 1;
                    asked.1 += u32::from(fabric.fetch("client", &balancer.url).is_none());
                }
                asked
            });
            for weight in 1..6 {
                fabric.add(&balancer, &["10.50.0.6"]);
                let member = fabric.member(&balancer, "10.50.0.5");
                fabric.change(&balancer, EDIT, json!([{ "uuid": member, "weight": weight }]));
                fabric.change(&balancer, DROP, json!([fabric.member(&balancer, "10.50.0.6")]));
            }
            over.store(true, Ordering::Relaxed);
            let (requests, failed) = client.join().unwrap();
            assert!(requests > 20, "only {requests} requests");
            assert_eq!(failed, 0, "of {requests}");
        });
    });
}

#[test]
fn a_cancelled_balancer_is_unplugged_and_a_killed_run_leaves_no_balancer_running() {
    as_root(
        "balancers::a_cancelled_balancer_is_unplugged_and_a_killed_run_leaves_no_balancer_running",
        || {
            let mut fabric = Fabric::start("end", |_| ());
            let (gone, left) = (fabric.order_balancer("gone", false), fabric.order_balancer("left", true));
            let balancers = |fabric: &Fabric| {
                let prefix = format!("{}-balancer-", fabric.name);
                fabric.namespaces().into_iter().filter(|it| it.starts_with(&prefix)).collect::<Vec<_>>()
            };
            assert_eq!(balancers(&fabric).len(), 2);
            fabric.api(&format!("{SERVICE}/cancelLoadBalancer"), Some(json!([gone.uuid])));
            until("it is unplugged", || balancers(&fabric).len() == 1);
            let pids = || {
                let listed =
                    Command::new("ip").args(["netns", "pids", &balancers(&fabric)[0]]).output().unwrap();
                let listed = String::from_utf8(listed.stdout).unwrap();
                listed.lines().map(|line| line.trim().to_owned()).collect::<Vec<_>>()
            };
            let running = pids();
            assert_eq!(running.len(), 2, "a master and a worker");
            assert!(fabric.fetch("client", &left.url).is_none(), "it has no members");
            fabric.end(Signal::SIGKILL);
            fabric.restart();
            assert_eq!(balancers(&fabric), Vec::<String>::new());
            let gone = |pid: &String| !std::path::Path::new("/proc").join(pid).exists();
            until("no HAProxy of before runs", || running.iter().all(gone));
        },
    );
}
