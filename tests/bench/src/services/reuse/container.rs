//! Containers as dockerd makes them: the calls on berthd's plugin socket, and a namespace with a server in it.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use ipnetwork::IpNetwork;
use serde_json::{Value, json};
use tests::lab::{Host, Lab};
use tests::plugin::call;

use super::PATIENCE;
use super::docker::Docker;
use crate::services::room::Room;

/// Docker's id of the network.
const NETWORK: &str = "c10dc10dc10dc10dc10dc10dc10dc10dc10dc10dc10dc10dc10dc10dc10dc10d";

/// The Docker network `cloud`.
pub(super) struct Network<'a> {
    host: &'a Host,
    docker: &'a Docker,
    /// The host's own network namespace.
    netns: PathBuf,
    pool: String,
    prefix: u8,
}

impl<'a> Network<'a> {
    pub(super) fn create(
        host: &'a Host,
        lab: &Lab,
        docker: &'a Docker,
        subnet: IpNetwork,
    ) -> Result<Network<'a>> {
        let netns = lab.node(host.name())?.netns().to_owned();
        let mut network = Network { host, docker, netns, pool: String::new(), prefix: subnet.prefix() };
        let asked = json!({ "AddressSpace": "berthlocal", "Pool": subnet, "SubPool": "", "Options": {}, "V6": false });
        let given = network.call("/IpamDriver.RequestPool", &asked)?;
        network.pool = given["PoolID"].as_str().context("no pool")?.to_owned();
        let options = json!({ "RequestAddressType": "com.docker.network.gateway" });
        let asked = json!({ "PoolID": network.pool, "Address": "", "Options": options });
        let gateway = network.call("/IpamDriver.RequestAddress", &asked)?["Address"].clone();
        network.call(
            "/NetworkDriver.CreateNetwork",
            &json!({
                "NetworkID": NETWORK,
                "Options": {
                    "com.docker.network.enable_ipv6": false, "com.docker.network.generic": {},
                },
                "IPv4Data": [{ "AddressSpace": "berthlocal", "Gateway": gateway, "Pool": subnet }],
                "IPv6Data": [],
            }),
        )?;
        docker.shows_network(json!({
            "Id": NETWORK, "Name": "cloud", "Scope": "local", "Driver": "berth", "EnableIPv6": false,
            "IPAM": { "Driver": "berth", "Options": {}, "Config": [{ "Subnet": subnet }] },
            "Internal": false, "Options": {}, "Labels": {},
        }));
        Ok(network)
    }

    fn call(&self, path: &str, body: &Value) -> Result<Value> {
        let (status, answer) = call(self.host, path, body.to_string().as_bytes())?;
        // An IPAM driver's errors and a network driver's have different names.
        let said = ["Err", "Error"].map(|name| answer[name].as_str().unwrap_or_default().to_owned());
        ensure!(status == 200 && said.iter().all(String::is_empty), "{path}: {answer}");
        Ok(answer)
    }

    /// An address as soon as one is free.
    fn request(&self) -> Result<IpAddr> {
        let asked = json!({ "PoolID": self.pool, "Address": "", "Options": null });
        let begun = Instant::now();
        loop {
            let given = self.call("/IpamDriver.RequestAddress", &asked);
            match given {
                Ok(given) => {
                    let address = given["Address"].as_str().and_then(|it| it.split('/').next());
                    let address = address.with_context(|| format!("no address in {given}"))?;
                    return address.parse().context("an address");
                }
                Err(error) => ensure!(begun.elapsed() < PATIENCE, "no address becomes free: {error:#}"),
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// A place for one container at a time.
pub(super) struct Slot<'a> {
    network: &'a Network<'a>,
    room: Room,
}

/// A container that runs.
pub(super) struct Container<'a> {
    network: &'a Network<'a>,
    id: String,
    address: IpAddr,
    asked: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    server: JoinHandle<()>,
}

impl<'a> Slot<'a> {
    pub(super) fn new(network: &'a Network<'a>) -> Result<Slot<'a>> {
        Ok(Slot { network, room: Room::new()? })
    }

    pub(super) fn start(&self, number: usize, service: &str) -> Result<Container<'a>> {
        let network = self.network;
        // Interfaces are called by the first digits of an id.
        let id = format!("{:016x}{number:048x}", (number as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let address = network.request()?;
        let within = format!("{address}/{}", network.prefix);
        let interface = json!({ "Address": within, "AddressIPv6": "", "MacAddress": "" });
        let made = network.call(
            "/NetworkDriver.CreateEndpoint",
            &json!({ "NetworkID": NETWORK, "EndpointID": id, "Interface": interface, "Options": {} }),
        )?;
        let joined = network.call(
            "/NetworkDriver.Join",
            &json!({ "NetworkID": NETWORK, "EndpointID": id, "SandboxKey": "", "Options": {} }),
        )?;
        let source = joined["InterfaceName"]["SrcName"].as_str().context("no interface")?;
        let gateway = joined["Gateway"].as_str().context("no gateway")?.to_owned();
        self.takes(source)?;
        let listener = self.room.run(move || {
            batch(&format!(
                "address add {within} dev eth0\nlink set eth0 up\nroute add default via {gateway} dev eth0\n"
            ))?;
            Ok(TcpListener::bind((address, 80))?)
        })?;
        let (asked, over) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let server = serve(listener, service, Arc::clone(&asked), Arc::clone(&over))?;
        network.docker.starts(
            &id,
            json!({
                "Id": id, "Names": [format!("/{service}-{number}")], "State": "running", "Status": "Up 1 second",
                "Labels": { "berth.service": service, "berth.port": "80" },
                "NetworkSettings": { "Networks": { "cloud": {
                    "NetworkID": NETWORK, "EndpointID": id, "IPAddress": address,
                    "MacAddress": made["Interface"]["MacAddress"],
                } } },
            }),
        );
        Ok(Container { network, id, address, asked, over, server })
    }

    /// Moves the interface from the host into the room, as `eth0`.
    fn takes(&self, source: &str) -> Result<()> {
        let status = Command::new("nsenter")
            .arg(format!("--net={}", self.network.netns.display()))
            .args(["ip", "link", "set", source, "netns", &self.room.id().to_string(), "name", "eth0"])
            .status()
            .context("cannot run nsenter")?;
        ensure!(status.success(), "cannot move {source}: {status}");
        Ok(())
    }
}

impl Container<'_> {
    pub(super) fn address(&self) -> IpAddr {
        self.address
    }

    /// How many were answered by it.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Its server dies, Docker tells so, and takes it apart.
    pub(super) fn dies(self) -> Result<()> {
        let Container { network, id, address, over, server, .. } = self;
        over.store(true, Ordering::Relaxed);
        server.join().map_err(|_| anyhow!("a server died"))?;
        network.docker.loses(&id);
        let endpoint = json!({ "NetworkID": NETWORK, "EndpointID": id });
        network.call("/NetworkDriver.Leave", &endpoint)?;
        network.call("/NetworkDriver.DeleteEndpoint", &endpoint)?;
        let address = json!({ "PoolID": network.pool, "Address": address });
        network.call("/IpamDriver.ReleaseAddress", &address).map(drop)
    }
}

/// Answers everybody with the service's name, until it is over.
fn serve(
    listener: TcpListener,
    service: &str,
    asked: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
) -> Result<JoinHandle<()>> {
    listener.set_nonblocking(true)?;
    let answer =
        format!("HTTP/1.0 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{service}", service.len());
    Ok(thread::spawn(move || {
        while !over.load(Ordering::Relaxed) {
            let Ok((mut stream, _)) = listener.accept() else {
                thread::sleep(Duration::from_millis(2));
                continue;
            };
            let answered = stream
                .set_nonblocking(false)
                .and_then(|()| stream.set_read_timeout(Some(Duration::from_millis(200))))
                .and_then(|()| stream.read(&mut [0; 512]))
                // A health check says nothing.
                .and_then(|read| {
                    if read == 0 { Ok(false) } else { stream.write_all(answer.as_bytes()).map(|()| true) }
                });
            if answered.is_ok_and(|answered| answered) {
                asked.fetch_add(1, Ordering::Relaxed);
            }
        }
    }))
}

/// Runs commands of `ip`, a line each, in this thread's namespace.
fn batch(lines: &str) -> Result<()> {
    let mut ip =
        Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn().context("cannot run ip")?;
    ip.stdin.take().context("no input")?.write_all(lines.as_bytes())?;
    let status = ip.wait()?;
    ensure!(status.success(), "{lines}: {status}");
    Ok(())
}
