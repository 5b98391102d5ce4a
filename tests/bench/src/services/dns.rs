//! dns_qps_per_core, dns_p99_ms: one agent's answers over loopback to the name of a service with three members; the
//! 99th percentile at half of what it can.

use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use tests::balancers::run_web;
use tests::lab::{Daemon, Host, Lab, until};
use tests::names::answered_at;

use crate::report::{median, millis, quantile, say};
use crate::{Size, labs};

/// Questions under way at once where it is asked for all that it can.
const WINDOW: u16 = 64;

/// Ticks of a processor's time that the kernel counts in a second. Source: sysconf(3), `_SC_CLK_TCK` on Linux.
const TICKS: f64 = 100.0;

/// Who asks, beside berthd.
#[derive(Args)]
pub(crate) struct Asker {
    /// Where berthd answers.
    #[arg(long)]
    at: SocketAddr,
    #[arg(long)]
    seconds: u64,
    /// Questions a second; as many as it can, if 0.
    #[arg(long, default_value_t = 0)]
    rate: u64,
}

pub(crate) fn measure(size: &Size) -> Result<()> {
    let lab = Lab::build(labs::layout(1, 1, 26))?;
    labs::start(&lab, "")?;
    let host = lab.host("h1")?;
    for name in ["one", "two", "three"] {
        run_web(host, name, "cloud")?;
    }
    until(Duration::from_secs(30), "all take part", || {
        Ok((host.sh("berth service show web")?.matches(" yes ").count() == 3).then_some(()))
    })?;
    let at = format!("{}:53", answered_at(host)?);
    let seconds = size.of(5, 1);
    let (mut per_core, mut all, mut p99) = (Vec::new(), Vec::new(), Vec::new());
    // In the first round berthd begins to follow the service.
    for round in 0..=size.of(7, 1) {
        let before = processor_seconds(host)?;
        let qps = ask(&lab, &at, seconds, 0)?;
        let used = processor_seconds(host)? - before;
        let slow = ask(&lab, &at, seconds, (qps / 2.0) as u64)?;
        if round > 0 {
            per_core.push(qps * seconds as f64 / used);
            all.push(qps);
            p99.push(slow);
        }
    }
    say("dns_qps_per_core", "1/s", &per_core);
    say("dns_qps", "1/s", &all);
    say("dns_p99_ms", "ms", &p99);
    ensure!(median(&all) > 0.0, "nothing was answered");
    Ok(())
}

/// The figure that an asker on the host prints.
fn ask(lab: &Lab, at: &str, seconds: u64, rate: u64) -> Result<f64> {
    let program = std::env::current_exe()?;
    let (seconds, rate) = (seconds.to_string(), rate.to_string());
    let arguments = ["dns", "--at", at, "--seconds", &seconds, "--rate", &rate];
    let mut asker = lab.node("h1")?.spawn(&program.display().to_string(), &arguments)?;
    let status = until(Duration::from_secs(60), "the asker ends", || asker.ended())?;
    ensure!(status.success(), "the asker failed: {}", asker.log_tail());
    std::fs::read_to_string(asker.log())?.trim().parse().context("the asker says no number")
}

/// The processor time that berthd has used so far: fields 14 and 15 of proc_pid_stat(5).
fn processor_seconds(host: &Host) -> Result<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", host.pid(Daemon::Berthd)?))?;
    let (_, fields) = stat.rsplit_once(") ").context("no name in stat")?;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<f64>);
    Ok(ticks.sum::<Result<f64, _>>()? / TICKS)
}

impl Asker {
    pub(crate) fn run(self) -> Result<()> {
        let socket = UdpSocket::bind((if self.at.is_ipv4() { "0.0.0.0" } else { "::" }, 0))?;
        socket.connect(self.at)?;
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
        let span = Duration::from_secs(self.seconds);
        println!("{}", if self.rate == 0 { flood(&socket, span)? } else { pace(&socket, span, self.rate)? });
        Ok(())
    }
}

/// Answers a second, with a window of questions always under way.
fn flood(socket: &UdpSocket, span: Duration) -> Result<f64> {
    let (begun, mut answers, mut buffer) = (Instant::now(), 0_u64, [0; 512]);
    for id in 0..WINDOW {
        socket.send(&question(id))?;
    }
    while begun.elapsed() < span {
        match socket.recv(&mut buffer) {
            Ok(length) => {
                ensure!(is_answer(&buffer[..length]), "no answer: {:?}", &buffer[..length]);
                answers += 1;
                socket.send(&question(u16::from_be_bytes([buffer[0], buffer[1]])))?;
            }
            Err(error) => ensure!(answers > 0, "nobody answers: {error}"),
        }
    }
    Ok(answers as f64 / begun.elapsed().as_secs_f64())
}

/// The 99th percentile of the time to an answer, in milliseconds, at so many questions a second. One that is not
/// answered counts as a second.
fn pace(socket: &UdpSocket, span: Duration, rate: u64) -> Result<f64> {
    let begun = Instant::now();
    let sent: Vec<AtomicU64> = (0..=u16::MAX).map(|_| AtomicU64::new(0)).collect();
    let total = rate * span.as_secs();
    thread::scope(|scope| {
        let listening = scope.spawn(|| {
            let (mut taken, mut buffer) = (Vec::new(), [0; 512]);
            while let Ok(length) = socket.recv(&mut buffer) {
                if is_answer(&buffer[..length]) {
                    let asked =
                        sent[usize::from(u16::from_be_bytes([buffer[0], buffer[1]]))].load(Ordering::Relaxed);
                    let now = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
                    taken.push(millis(Duration::from_nanos(now.saturating_sub(asked))));
                }
            }
            taken
        });
        for number in 0..total {
            let due = begun + Duration::from_nanos(number * 1_000_000_000 / rate);
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let id = (number % 65_536) as u16;
            let now = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
            sent[usize::from(id)].store(now, Ordering::Relaxed);
            socket.send(&question(id))?;
        }
        let mut taken = listening.join().map_err(|_| anyhow::anyhow!("the listener died"))?;
        taken.resize(taken.len().max(total as usize), 1_000.0);
        Ok(quantile(&taken, 0.99))
    })
}

/// The A records of `web.lab.internal`, asked with recursion desired. Format: RFC 1035, section 4.1.
pub(super) fn question(id: u16) -> Vec<u8> {
    let mut packet = id.to_be_bytes().to_vec();
    packet.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in ["web", "lab", "internal"] {
        packet.push(label.len() as u8);
        packet.extend(label.bytes());
    }
    packet.extend([0, 0, 1, 0, 1]);
    packet
}

/// Whether it says three addresses: no error, and as many answers.
fn is_answer(packet: &[u8]) -> bool {
    packet.len() > 12 && packet[3] & 0x0f == 0 && packet[6..8] == [0, 3]
}
