//! An etcd of one member, on loopback, with its data in a directory of its own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use store::EtcdOptions;

/// Ends with the value.
pub(crate) struct Member {
    process: Child,
    endpoint: String,
    _data: TempDir,
}

impl Member {
    pub(crate) async fn start() -> Member {
        let data = TempDir::new().expect("a directory for etcd");
        let (client, peer) = (free_url(), free_url());
        let process = Command::new("etcd")
            .arg("--data-dir")
            .arg(data.path())
            .args(["--unsafe-no-fsync", "--log-level=error", "--logger=zap"])
            .args(["--listen-client-urls", &client, "--advertise-client-urls", &client])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &format!("default={peer}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("etcd starts; `dev/install-packages test` installs it");
        let member = Member { process, endpoint: client, _data: data };
        member.serves().await;
        member
    }

    pub(crate) fn options(&self, prefix: &str) -> EtcdOptions {
        EtcdOptions {
            endpoints: vec![self.endpoint.clone()],
            prefix: prefix.to_owned(),
            tls: None,
            user: None,
        }
    }

    async fn serves(&self) {
        let serving = async {
            loop {
                if let Ok(mut client) = etcd_client::Client::connect([&self.endpoint], None).await
                    && client.get("a", None).await.is_ok()
                {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), serving).await.expect("etcd serves");
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // By its handle: nothing else is meant.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn free_url() -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    format!("http://{}", listener.local_addr().expect("it is bound"))
}
