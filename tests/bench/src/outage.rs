//! outage_simulated_1h_doubles, _leaks: an hour without the store in the simulated fleet, within a boot.
//! outage_real_5min_packets_lost: five minutes without etcd under running containers, in a lab.

use std::thread::{self, sleep};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use nix::sys::signal::Signal;
use tests::lab::{Lab, Process};

use crate::report::say_once;
use crate::{Size, labs};

/// An hour.
const HOUR_MILLIS: u64 = 3_600_000;

pub(crate) fn simulated(size: &Size) -> Result<()> {
    let seeds = size.of(5, 1);
    let (mut doubles, mut leaks, mut others, mut hours) = (0, 0, 0, 0);
    // No time is measured: side by side.
    let stories = thread::scope(|scope| {
        let told = |seed| scope.spawn(move || (seed, simulation::outage(seed, 10, HOUR_MILLIS)));
        let stories: Vec<_> = (1..=seeds).map(told).collect();
        stories.into_iter().map(|story| story.join()).collect::<Result<Vec<_>, _>>()
    });
    for (seed, ended) in stories.map_err(|_| anyhow!("a story of an outage died"))? {
        hours += ended.millis * ended.hosts as u64 / HOUR_MILLIS;
        let Some(broken) = ended.broken else { continue };
        eprintln!("outage of seed {seed}: {broken}");
        // The promises have names: S1 is about two users of one address, L1 and L4 about what is left over.
        match &broken {
            _ if broken.contains("S1") => doubles += 1,
            _ if broken.contains("L1") || broken.contains("L4") || broken.contains("L2") => leaks += 1,
            _ => others += 1,
        }
    }
    say_once("outage_simulated_1h_doubles", "addresses", f64::from(doubles));
    say_once("outage_simulated_1h_leaks", "addresses", f64::from(leaks));
    say_once("outage_simulated_1h_other_promises_broken", "promises", f64::from(others));
    say_once("outage_simulated_1h_host_hours", "hours", hours as f64);
    Ok(())
}

pub(crate) fn real(size: &Size) -> Result<()> {
    let lab = Lab::build(labs::layout(2, 1, 28))?;
    labs::start(&lab, "")?;
    let mut pings = Vec::new();
    for (host, name) in [("h1", "web"), ("h2", "other")] {
        let host = lab.host(host)?;
        host.sh(&format!("docker run -d --name {name} --network cloud busybox sleep 1000000"))?;
        let address = host.address_of(name)?.to_string();
        // The gateway knows it once it has answered.
        lab.node("vm1")?.sh(&format!("ping -c 3 -i 0.2 {address}"))?;
        pings.push(lab.node("vm1")?.spawn("ping", &["-i", "0.2", "-W", "5", &address])?);
    }
    lab.etcd().kill()?;
    sleep(Duration::from_secs(size.of(300, 10)));
    lab.etcd().start()?;
    sleep(Duration::from_secs(5));
    let (mut sent, mut lost) = (0, 0);
    for ping in &mut pings {
        let (of_sent, of_received) = counts(ping)?;
        sent += of_sent;
        lost += of_sent - of_received;
    }
    say_once("outage_real_5min_packets_lost", "packets", lost as f64);
    say_once("outage_real_5min_packets_sent", "packets", sent as f64);
    Ok(())
}

/// How many requests a ping sent, and how many were answered.
fn counts(ping: &mut Process) -> Result<(usize, usize)> {
    ping.signal(Signal::SIGINT)?;
    ping.wait(Duration::from_secs(20))?;
    let log = std::fs::read_to_string(ping.log())?;
    // "412 packets transmitted, 412 received, 0% packet loss, time 82341ms"
    let line = log.lines().find(|line| line.contains("packets transmitted")).context("ping says nothing")?;
    let mut numbers = line.split_whitespace().filter_map(|word| word.parse().ok());
    numbers.next().zip(numbers.next()).with_context(|| format!("ping says {line}"))
}
