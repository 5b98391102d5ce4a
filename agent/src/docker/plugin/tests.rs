//! dockerd's calls, replayed over a real socket as 20.10.24 sends them: empty `Host`, no body in the
//! handshake, null for empty maps.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use expect_test::expect;
use hostnet::{FakeKernel, IfName, InterfaceSeen, Kernel, Mac, Observed};
use ipam::Usage;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::*;
use crate::docker::events::{Attachment, Container, SeenNetwork, Sight, Watched};
use crate::docker::testing::FakeAddresses;
use crate::docker::{Book, NetworkId, OutOfOrder, Stage};
use crate::reconciler::{Announcer, Parts, Reconciler};

mod bad_input;
mod bridge_driver;
mod evicted;
mod faults;
mod life;

/// Docker's identifiers, as long as it makes them.
const N: &str = "4f1c9a52e0b7d3684f1c9a52e0b7d3684f1c9a52e0b7d3684f1c9a52e0b7d368";
const E: &str = "aa11c9a52e0b7d3684f1c9a52e0b7d3684f1c9a52e0b7d3684f1c9a52e0b7d36";
const E2: &str = "bb22c9a52e0b7d3684f1c9a52e0b7d3684f1c9a52e0b7d3684f1c9a52e0b7d36";

const POOL: &str = "default/10.50.0.0/26";

/// An agent's Docker side on a real socket, over a kernel that is a value.
struct Agent {
    addresses: FakeAddresses,
    kernel: Arc<FakeKernel>,
    reconciler: Reconciler,
    book: Book,
    docker: watch::Sender<Watched>,
    stop: CancellationToken,
    served: JoinHandle<std::io::Result<()>>,
    _interfaces: watch::Sender<crate::wanted::Interfaces>,
    dir: TempDir,
}

/// Tells nobody anything.
struct Mute;

impl Announcer for Mute {
    fn arrived(&self, _: hostnet::neighbour::Arrival) {}
    fn left(&self, _: std::net::IpAddr) {}
    fn moved(&self, _: IfName, _: std::net::IpAddr, _: Mac) {}
}

/// The same kernel for several agents, one after the other.
struct Shared(Arc<FakeKernel>);

impl Kernel for Shared {
    async fn observe(&self) -> Result<Observed, hostnet::ObserveError> {
        self.0.observe().await
    }

    async fn apply(&self, change: &hostnet::Change) -> Result<(), hostnet::ApplyError> {
        self.0.apply(change).await
    }
}

fn kernel() -> Arc<FakeKernel> {
    let seen = |address: &str| InterfaceSeen {
        mac: Some(Mac([2, 0, 0, 0, 0, 1])),
        mtu: 1500,
        address: Some(address.parse().unwrap()),
    };
    let name = |name: &str| IfName::parse(name).unwrap();
    let interfaces = [(name("eth0"), seen("10.40.0.11")), (name("brcloud"), seen("10.40.0.12"))];
    Arc::new(FakeKernel::with(interfaces.into()))
}

impl Agent {
    async fn start() -> Agent {
        let addresses = FakeAddresses::with(&["10.50.0.0/26"]);
        Agent::over(addresses, kernel(), tempfile::tempdir().unwrap(), CALL_DEADLINE).await
    }

    async fn over(
        addresses: FakeAddresses,
        kernel: Arc<FakeKernel>,
        dir: TempDir,
        deadline: Duration,
    ) -> Agent {
        let book = Book::open(&dir.path().join("docker.journal")).unwrap();
        let eth0 = IfName::parse("eth0").unwrap();
        let (interfaces_sender, interfaces) = watch::channel(BTreeMap::from([("vlan".into(), eth0)]));
        let (docker, docker_watched) = watch::channel(Watched::default());
        let stop = CancellationToken::new();
        let parts = Parts {
            addresses: addresses.clone(),
            book: book.clone(),
            kernel: Shared(Arc::clone(&kernel)),
            announcer: Mute,
            interfaces,
            docker: docker_watched.clone(),
            policy: watch::channel(None).1,
            unnamed: Default::default(),
        };
        let reconciler = Reconciler::start(parts, stop.clone());
        let driver =
            Driver::new(addresses.clone(), book.clone(), reconciler.clone(), docker_watched, Vec::new);
        let served = tokio::spawn(serve_within(listen(&dir), driver, stop.clone(), deadline));
        let _interfaces = interfaces_sender;
        Agent { addresses, kernel, reconciler, book, docker, stop, served, _interfaces, dir }
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("berth.sock")
    }

    /// Ends the agent as SIGTERM does, and starts another over the same disk and kernel.
    async fn restart(self) -> Agent {
        let Agent { addresses, kernel, stop, served, dir, book, reconciler, .. } = self;
        stop.cancel();
        served.await.unwrap().unwrap();
        drop((book, reconciler));
        std::fs::remove_file(dir.path().join("berth.sock")).unwrap();
        until(|| Book::open(&dir.path().join("docker.journal")).is_ok()).await;
        Agent::over(addresses, kernel, dir, CALL_DEADLINE).await
    }

    async fn call(&self, path: &str, body: Value) -> Value {
        let (status, answer) = send(&self.socket(), path, body.to_string().as_bytes()).await;
        assert_eq!(status, 200, "{path} {body}: {answer}");
        answer
    }

    /// `docker network create -d berth --ipam-driver berth --subnet 10.50.0.0/26 cloud`
    async fn create_network(&self) {
        self.create_network_with(json!({})).await;
    }

    async fn create_network_with(&self, options: Value) {
        let pool = json!({"AddressSpace": "berthlocal", "Pool": "10.50.0.0/26", "SubPool": "", "Options": {}, "V6": false});
        assert_eq!(self.call("/IpamDriver.RequestPool", pool).await["PoolID"], POOL);
        let gateway = json!({"PoolID": POOL, "Address": "", "Options": {"RequestAddressType": "com.docker.network.gateway"}});
        assert_eq!(self.call("/IpamDriver.RequestAddress", gateway).await["Address"], "10.50.0.1/26");
        let mut all = json!({"com.docker.network.enable_ipv6": false, "com.docker.network.generic": {}});
        all.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        assert_eq!(self.call("/NetworkDriver.CreateNetwork", network(all, json!({}))).await, json!({}));
    }

    /// `docker run --ip …`, up to the running container. Answers what Join said.
    async fn run(&self, endpoint: &str, address: &str, ports: Value) -> Value {
        self.run_from(POOL, endpoint, address, ports).await
    }

    async fn run_from(&self, pool: &str, endpoint: &str, address: &str, ports: Value) -> Value {
        let answer = self
            .call("/IpamDriver.RequestAddress", json!({"PoolID": pool, "Address": address, "Options": null}))
            .await;
        let address = answer["Address"].clone();
        let created =
            self.call("/NetworkDriver.CreateEndpoint", endpoint_call(endpoint, address, "", &ports)).await;
        assert!(created["Interface"]["MacAddress"].is_string(), "{created}");
        let options = json!({"com.docker.network.portmap": ports});
        let joined = self
            .call(
                "/NetworkDriver.Join",
                json!({"NetworkID": N, "EndpointID": endpoint,
                "SandboxKey": "/var/run/docker/netns/788f3b087fd7", "Options": options}),
            )
            .await;
        // What dockerd does with the link that Join named.
        self.kernel.meanwhile(|seen| {
            if let Some(port) = seen.ports.get_mut(&IfName::port(endpoint)) {
                port.container_end = None;
            }
        });
        let external = json!({"NetworkID": N, "EndpointID": endpoint, "Options": options});
        assert_eq!(self.call("/NetworkDriver.ProgramExternalConnectivity", external).await, json!({}));
        let info = json!({"NetworkID": N, "EndpointID": endpoint});
        assert!(self.call("/NetworkDriver.EndpointOperInfo", info).await["Value"].is_object());
        joined
    }

    /// `docker stop`
    async fn stop(&self, endpoint: &str, address: &str) {
        for call in ["RevokeExternalConnectivity", "Leave", "DeleteEndpoint"] {
            let body = json!({"NetworkID": N, "EndpointID": endpoint});
            assert_eq!(self.call(&format!("/NetworkDriver.{call}"), body).await, json!({}));
        }
        let release = json!({"PoolID": POOL, "Address": address});
        assert_eq!(self.call("/IpamDriver.ReleaseAddress", release).await, json!({}));
    }

    async fn observed(&self) -> Observed {
        self.kernel.observe().await.unwrap()
    }

    async fn addresses_answered_for(&self) -> Vec<String> {
        self.observed().await.proxies.iter().map(|proxy| proxy.address.to_string()).collect()
    }

    /// Shows the reconciler one look at Docker, taken at this second.
    fn docker_shows(&self, at_secs: u64, containers: Vec<Container>) {
        self.docker_shows_all(at_secs, containers, Vec::new());
    }

    fn docker_shows_all(&self, at_secs: u64, containers: Vec<Container>, networks: Vec<SeenNetwork>) {
        let at = ipam::Timestamp(at_secs * 1000);
        let sight = Arc::new(Sight { at, containers, networks });
        self.docker.send_replace(Watched { sight: Some(sight), silent: None });
    }
}

fn listen(dir: &TempDir) -> UnixListener {
    UnixListener::bind(dir.path().join("berth.sock")).unwrap()
}

fn network(options: Value, aux: Value) -> Value {
    json!({"NetworkID": N, "Options": options, "IPv6Data": [], "IPv4Data": [
        {"AddressSpace": "berthlocal", "Gateway": "10.50.0.1/26", "Pool": "10.50.0.0/26", "AuxAddresses": aux}]})
}

fn endpoint_call(endpoint: &str, address: Value, mac: &str, ports: &Value) -> Value {
    json!({"NetworkID": N, "EndpointID": endpoint,
        "Interface": {"Address": address, "AddressIPv6": "", "MacAddress": mac},
        "Options": {"com.docker.network.endpoint.exposedports": [], "com.docker.network.portmap": ports}})
}

fn port(host_port: u16, container_port: u16) -> Value {
    json!([{"Proto": 6, "IP": "", "Port": container_port, "HostIP": "", "HostPort": host_port, "HostPortEnd": host_port}])
}

fn container(name: &str, endpoint: &str, address: &str) -> Container {
    let attachment = Attachment {
        network: NetworkId(N.to_owned()),
        network_name: "cloud".to_owned(),
        endpoint: Some(endpoint.into()),
        address: Some(address.parse().unwrap()),
        mac: None,
    };
    Container {
        id: format!("{name}-id"),
        name: name.to_owned(),
        labels: BTreeMap::new(),
        running: true,
        readiness: api::Readiness::Ready,
        ending: false,
        attachments: vec![attachment],
    }
}

/// One call as dockerd sends it.
async fn send(socket: &PathBuf, path: &str, body: &[u8]) -> (u16, Value) {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: \r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: {}\r\n\
         Accept: application/vnd.docker.plugins.v1.2+json\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The agent may answer before it has read a body that is too long.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer to {path}: {text:?}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap_or_else(|_| panic!("{path}: {text}")))
}

/// Waits for something that another task does; gives up after ten seconds.
async fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if condition() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited ten seconds for nothing");
}
