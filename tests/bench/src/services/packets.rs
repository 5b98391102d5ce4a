//! policy_pps_10_vs_5000: how many packets that begin something a host lets through with ten endpoints, against five
//! thousand. They come from a client that only the last look-up lets in, to a server that never answers, so that each
//! is new. Both policies stand in turn, round by round.

use std::fs;
use std::net::UdpSocket;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use hostnet::{HostNet, Netlink, Protocol, bring_to};

use super::policy::{ENDPOINTS, alone, policy};
use super::room::Room;
use crate::Size;
use crate::agents::on_runtime;
use crate::report::say;

const FEW: u32 = 10;

/// One of the endpoints of either policy, and who is in its second opening alone.
const SERVER: &str = "10.50.0.3";
const CLIENT: &str = "192.0.2.7";
const PORT: u16 = 8_003;

/// What runs in a network namespace of its own.
#[derive(Args)]
pub(crate) struct Alone {
    #[arg(long)]
    rounds: u32,
}

pub(crate) fn measure(size: &Size) -> Result<()> {
    alone("packets", &["--rounds", size.of("7", "2")])
}

impl Alone {
    pub(crate) fn run(self) -> Result<()> {
        fs::write("/proc/sys/net/ipv4/ip_forward", "1")?;
        let client = Machine::beside("c", CLIENT, "192.0.2.1/24")?;
        let server = Machine::beside("s", SERVER, "10.50.255.254/16")?;
        // Nobody reads: what does not fit is dropped without a word.
        let _silent = server.run(|| Ok(UdpSocket::bind((SERVER, PORT))?))?;
        let (mut few, mut many, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        on_runtime(async {
            let kernel = Netlink::open()?;
            for _ in 0..self.rounds {
                bring(&kernel, FEW).await?;
                let with_few = rate(&client, &server)?;
                bring(&kernel, ENDPOINTS).await?;
                let with_many = rate(&client, &server)?;
                few.push(with_few);
                many.push(with_many);
                ratios.push(with_few / with_many);
            }
            Ok(())
        })?;
        say("policy_pps_10_vs_5000", "ratio", &ratios);
        say("policy_pps_10", "packets/s", &few);
        say("policy_pps_5000", "packets/s", &many);
        Ok(())
    }
}

async fn bring(kernel: &Netlink, endpoints: u32) -> Result<()> {
    let net = HostNet { policy: Some(policy(endpoints, Protocol::Udp)), ..HostNet::default() };
    let brought = bring_to(kernel, &net).await?;
    ensure!(brought.is_complete(), "{brought:#?}");
    Ok(())
}

/// How many packets a second come through.
fn rate(client: &Machine, server: &Machine) -> Result<f64> {
    let before = server.run(|| received("eth0"))?;
    let spent = client.run(|| {
        let socket = UdpSocket::bind((CLIENT, 0))?;
        socket.connect((SERVER, PORT))?;
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(2) {
            for _ in 0..256 {
                socket.send(b"new")?;
            }
        }
        Ok(begun.elapsed())
    })?;
    let came = server.run(|| received("eth0"))? - before;
    ensure!(came > 0, "nothing came through");
    Ok(came as f64 / spent.as_secs_f64())
}

/// Packets that an interface of this thread's namespace received.
fn received(name: &str) -> Result<u64> {
    let text = fs::read_to_string("/proc/thread-self/net/dev")?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix(&format!("{name}:")));
    let packets = line.and_then(|line| line.split_whitespace().nth(1)).context("no such interface")?;
    Ok(packets.parse()?)
}

/// A machine that is joined to this one by a pair of interfaces.
struct Machine(Room);

impl Machine {
    fn beside(name: &str, address: &str, gateway: &str) -> Result<Machine> {
        let room = Room::new()?;
        ip(&format!("link add {name}0 type veth peer name eth0 netns {}", room.id()))?;
        ip(&format!("address add {gateway} dev {name}0"))?;
        ip(&format!("link set {name}0 up"))?;
        let (router, length) = gateway.split_once('/').context("no prefix")?;
        let words = [
            format!("address add {address}/{length} dev eth0"),
            "link set eth0 up".to_owned(),
            format!("route add default via {router}"),
        ];
        room.run(move || words.iter().try_for_each(|words| ip(words)))?;
        Ok(Machine(room))
    }

    fn run<T: Send + 'static>(&self, job: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        self.0.run(job)
    }
}

fn ip(words: &str) -> Result<()> {
    let status = Command::new("ip").args(words.split_whitespace()).status().context("cannot run ip")?;
    ensure!(status.success(), "ip {words}: {status}");
    Ok(())
}
