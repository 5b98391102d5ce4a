//! A fresh etcd for each cell: Debian's, on loopback, with its data on the disk and every write synced.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use etcd_client::Client;
use store::EtcdOptions;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::machine;

/// A start on a machine that does something else.
const READY: Duration = Duration::from_secs(30);

/// One member, that ends with the value. Three of them are in a lab.
pub(crate) struct Etcd {
    process: Child,
    endpoint: String,
    _data: TempDir,
}

impl Etcd {
    /// One member.
    pub(crate) async fn one() -> Result<Etcd> {
        let etcd = Etcd::start()?;
        timeout(READY, serves(&etcd.endpoint)).await.context("etcd does not serve")?;
        Ok(etcd)
    }

    fn start() -> Result<Etcd> {
        let data = machine::folder()?;
        let (clients, peers) = (loopback()?, loopback()?);
        let mut command = Command::new("etcd");
        command
            .args(["--name=m0", &format!("--data-dir={}", data.path().join("m0").display())])
            .args([format!("--listen-client-urls={clients}"), format!("--advertise-client-urls={clients}")])
            .args([format!("--listen-peer-urls={peers}"), format!("--initial-advertise-peer-urls={peers}")])
            .arg(format!("--initial-cluster=m0={peers}"))
            // As in a lab: an election because two processors were busy is no fault of the store.
            .args(["--heartbeat-interval=200", "--election-timeout=2000"])
            .args(["--log-level=error", "--logger=zap"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let process = command.spawn().context("etcd does not start; `make packages-test` installs it")?;
        Ok(Etcd { process, endpoint: clients, _data: data })
    }

    /// How our own store reaches it, with keys that begin so.
    pub(crate) fn options(&self, prefix: &str) -> EtcdOptions {
        let endpoints = vec![self.endpoint.clone()];
        EtcdOptions { endpoints, prefix: prefix.to_owned(), tls: None, user: None }
    }

    /// A connection of etcd's own client.
    pub(crate) async fn client(&self) -> Result<Client> {
        connect(std::slice::from_ref(&self.endpoint)).await
    }
}

async fn serves(endpoint: &str) {
    loop {
        if let Ok(mut client) = Client::connect([endpoint], None).await
            && let Ok(Ok(_)) = timeout(Duration::from_secs(1), client.get("any", None)).await
        {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) async fn connect(endpoints: &[String]) -> Result<Client> {
    Client::connect(endpoints, None).await.context("etcd is not reached")
}

fn loopback() -> Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("no free port")?;
    Ok(format!("http://127.0.0.1:{}", listener.local_addr()?.port()))
}

impl Drop for Etcd {
    fn drop(&mut self) {
        // By its handle: nothing else is meant. It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
