//! An etcd of one member or several. It ends with the value, by its own process handles.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use etcd_client::{Client, ConnectOptions};
use store::{EtcdOptions, EtcdStore};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

/// An election, and a start on a machine that does something else.
const PATIENCE: Duration = Duration::from_secs(30);

/// One member.
pub(crate) struct Member {
    name: String,
    /// What starts it, again if need be.
    command: Vec<String>,
    pub(crate) endpoint: String,
    process: Option<Child>,
}

/// One member or several, that are one etcd.
pub(crate) struct Etcd {
    pub(crate) members: Vec<Member>,
    _data: TempDir,
}

/// Where a member listens, and what it is started with.
pub(crate) struct Place {
    /// The command that goes before `etcd`: in a namespace, `ip netns exec NAME`.
    pub(crate) within: Vec<String>,
    pub(crate) client: String,
    pub(crate) peer: String,
}

impl Etcd {
    /// One member on loopback.
    pub(crate) async fn single() -> Etcd {
        Etcd::single_with(&[]).await
    }

    /// The same with more arguments.
    pub(crate) async fn single_with(arguments: &[&str]) -> Etcd {
        let etcd = Etcd::start(vec![Place::on_loopback("http")], arguments);
        etcd.serves(ConnectOptions::new()).await;
        etcd
    }

    /// Starts a member at each place. Returns before they serve.
    pub(crate) fn start(places: Vec<Place>, arguments: &[&str]) -> Etcd {
        let data = TempDir::new().expect("a directory for etcd");
        let all = (0..).zip(&places).map(|(number, place)| format!("m{number}={}", place.peer));
        let all = all.collect::<Vec<String>>().join(",");
        let members = (0..).zip(&places).map(|(number, place): (usize, _)| {
            Member::start(&format!("m{number}"), place, &all, data.path(), arguments)
        });
        let members = members.collect();
        Etcd { members, _data: data }
    }

    pub(crate) fn endpoints(&self) -> Vec<String> {
        self.members.iter().map(|member| member.endpoint.clone()).collect()
    }

    /// Options without TLS and user.
    pub(crate) fn options(&self, prefix: &str) -> EtcdOptions {
        EtcdOptions { endpoints: self.endpoints(), prefix: prefix.to_owned(), tls: None, user: None }
    }

    pub(crate) fn store(&self) -> EtcdStore {
        EtcdStore::new(self.options("berth/test/"))
    }

    /// A client of etcd's own, of one member that runs.
    pub(crate) async fn client(&self) -> Client {
        let running = self.members.iter().find(|member| member.process.is_some()).expect("one runs");
        Client::connect([&running.endpoint], None).await.expect("etcd can be reached")
    }

    /// Waits until every member that runs serves linearizable reads.
    pub(crate) async fn serves(&self, options: ConnectOptions) {
        for member in self.members.iter().filter(|member| member.process.is_some()) {
            timeout(PATIENCE, member.serves(&options)).await.expect("etcd serves");
        }
    }

    /// The member that leads.
    pub(crate) async fn leader(&mut self) -> &mut Member {
        let mut leads = None;
        for (at, member) in self.members.iter().enumerate() {
            let mut client = Client::connect([&member.endpoint], None).await.expect("it is reached");
            let status = client.status().await.expect("it says how it is");
            let me = status.header().expect("an answer has a header").member_id();
            leads = leads.or((status.leader() == me).then_some(at));
        }
        &mut self.members[leads.expect("one of them leads")]
    }
}

impl Place {
    pub(crate) fn on_loopback(scheme: &str) -> Place {
        let url = |scheme: &str| format!("{scheme}://127.0.0.1:{}", free_port());
        Place { within: Vec::new(), client: url(scheme), peer: url("http") }
    }
}

impl Member {
    fn start(name: &str, place: &Place, all: &str, data: &Path, arguments: &[&str]) -> Member {
        let etcd = std::env::var("ETCD").unwrap_or_else(|_| "etcd".to_owned());
        let data = data.join(name).to_str().expect("a plain path").to_owned();
        let with = |option: &str, value: &str| format!("--{option}={value}");
        let command: Vec<String> = place
            .within
            .iter()
            .cloned()
            .chain([
                etcd,
                with("name", name),
                with("data-dir", &data),
                with("listen-client-urls", &place.client),
                with("advertise-client-urls", &place.client),
                with("listen-peer-urls", &place.peer),
                with("initial-advertise-peer-urls", &place.peer),
                with("initial-cluster", all),
                with("log-level", "error"),
                with("logger", "zap"),
                // Nobody's power fails here.
                "--unsafe-no-fsync".to_owned(),
            ])
            .chain(arguments.iter().map(|argument| (*argument).to_owned()))
            .collect();
        let mut member =
            Member { name: name.to_owned(), command, endpoint: place.client.clone(), process: None };
        member.start_again();
        member
    }

    /// Starts it with the data it has.
    pub(crate) fn start_again(&mut self) {
        let started = Command::new(&self.command[0])
            .args(&self.command[1..])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.process = Some(started.expect("etcd starts; `dev/install-packages test` installs it"));
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it is ours to kill");
            process.wait().expect("it ends");
        }
    }

    async fn serves(&self, options: &ConnectOptions) {
        loop {
            let options = options.clone().with_connect_timeout(Duration::from_secs(1));
            if let Ok(mut client) = Client::connect([&self.endpoint], Some(options)).await
                && let Ok(Ok(_)) = timeout(Duration::from_secs(1), client.get("any", None)).await
            {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
    }
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            // By its handle: nothing else is meant.
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("it is bound").port()
}
