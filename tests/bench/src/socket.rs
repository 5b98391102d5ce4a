//! assign_socket_vs_txn_ratio: RequestAddress on the plugin socket of a real berthd beside one transaction, on the
//! same etcd of three members, from the same machine of a lab.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use serde_json::{Value, json};
use tests::lab::{Lab, until};

use crate::agents::on_runtime;
use crate::baselines::put_if_absent;
use crate::report::{median, micros, say};
use crate::{Size, etcd, labs};

/// Longer than an address of the lab's pool cools.
const COOLED: Duration = Duration::from_millis(1_500);

/// What runs beside berthd.
#[derive(Args)]
pub(crate) struct Probe {
    /// berthd's plugin socket, as seen from outside the lab.
    #[arg(long)]
    socket: PathBuf,
    /// The pool, as berthd called it when dockerd asked.
    #[arg(long)]
    pool: String,
    /// The members of etcd.
    #[arg(long, value_delimiter = ',')]
    endpoints: Vec<String>,
    #[arg(long)]
    rounds: usize,
    /// Addresses and transactions in a round.
    #[arg(long)]
    pairs: usize,
}

pub(crate) fn measure(size: &Size) -> Result<()> {
    let lab = Lab::build(labs::layout(1, 3, 24))?;
    let subnet = labs::start(&lab, "")?;
    let host = lab.host("h1")?;
    let program = std::env::current_exe()?;
    let socket = host.outside("/run/docker/plugins/berth.sock")?;
    let (pool, endpoints) = (format!("default/{subnet}"), lab.etcd().endpoints().join(","));
    let (rounds, pairs) = (size.of("9", "2"), size.of("100", "10"));
    let mut probe = lab.node("h1")?.spawn(
        &program.display().to_string(),
        &[
            "socket",
            "--socket",
            &socket.display().to_string(),
            "--pool",
            &pool,
            "--endpoints",
            &endpoints,
            "--rounds",
            rounds,
            "--pairs",
            pairs,
        ],
    )?;
    let status = until(Duration::from_secs(120), "the probe ends", || probe.ended())?;
    ensure!(status.success(), "the probe failed: {}", probe.log_tail());
    print!("{}", std::fs::read_to_string(probe.log())?);
    Ok(())
}

impl Probe {
    /// Interleaved: an address, a transaction, an address …
    pub(crate) fn run(self) -> Result<()> {
        on_runtime(async {
            let mut client = etcd::connect(&self.endpoints).await?.kv_client();
            let (mut ratio, mut assign_us, mut single_us) = (Vec::new(), Vec::new(), Vec::new());
            for round in 0..=self.rounds {
                let (mut assigns, mut singles, mut addresses) = (Vec::new(), Vec::new(), Vec::new());
                for number in 0..self.pairs {
                    let begun = Instant::now();
                    addresses.push(self.request()?);
                    assigns.push(micros(begun.elapsed()));
                    let begun = Instant::now();
                    put_if_absent(&mut client, &format!("plain/{round}/{number}"), "bench").await?;
                    singles.push(micros(begun.elapsed()));
                }
                for address in addresses {
                    self.release(&address)?;
                }
                sleep(COOLED);
                // In the first round berthd learns how much is asked of it.
                if round > 0 {
                    ratio.push(median(&singles) / median(&assigns));
                    assign_us.push(median(&assigns));
                    single_us.push(median(&singles));
                }
            }
            say("assign_socket_vs_txn_ratio", "times", &ratio);
            say("assign_socket_p50_us", "us", &assign_us);
            say("assign_single_txn_3_members_p50_us", "us", &single_us);
            Ok(())
        })
    }

    fn request(&self) -> Result<String> {
        let ask = json!({ "PoolID": self.pool, "Address": "", "Options": null });
        let answer = self.call("/IpamDriver.RequestAddress", &ask)?;
        let address = answer["Address"].as_str().with_context(|| format!("no address: {answer}"))?;
        Ok(address.split('/').next().unwrap_or_default().to_owned())
    }

    fn release(&self, address: &str) -> Result<()> {
        let ask = json!({ "PoolID": self.pool, "Address": address });
        self.call("/IpamDriver.ReleaseAddress", &ask).map(drop)
    }

    /// One call over a connection of its own: berthd closes it with the answer.
    fn call(&self, path: &str, body: &Value) -> Result<Value> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(Duration::from_secs(15)))?;
        let body = body.to_string();
        let length = body.len();
        write!(stream, "POST {path} HTTP/1.1\r\nHost: plugin\r\nContent-Length: {length}\r\n\r\n{body}")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (_, body) = answer.split_once("\r\n\r\n").context("an answer without a body")?;
        serde_json::from_str(body).context("an answer that is no JSON")
    }
}
