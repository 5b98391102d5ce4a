//! rolling_failed_requests: every container of a service is replaced by `berth drain` and `docker rm`, while four
//! users ask through the virtual address as fast as they can.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Result, anyhow};
use tests::balancers::{is_served_by, run_web};
use tests::lab::Lab;

use super::served;
use crate::report::say_once;
use crate::{Size, labs};

/// Who ask at once.
const USERS: usize = 4;

/// How many ask one after the other before it is looked whether that is enough.
const ROUND: usize = 50;

pub(crate) fn measure(size: &Size) -> Result<()> {
    let containers = size.of(6, 2);
    let lab = Lab::build(labs::layout(1, 1, 26))?;
    let front = served(&lab, containers, "")?;
    let over = AtomicBool::new(false);
    let (sent, failed) = thread::scope(|scope| {
        let ask = || {
            let mut counts = (0, 0);
            while !over.load(Ordering::Relaxed) {
                let failures = asked(&lab, &front)?;
                counts = (counts.0 + ROUND, counts.1 + failures);
            }
            Ok::<_, anyhow::Error>(counts)
        };
        let users: Vec<_> = (0..USERS).map(|_| scope.spawn(ask)).collect();
        let replaced = replace_all(&lab, &front, containers);
        over.store(true, Ordering::Relaxed);
        let mut all = (0, 0);
        for user in users {
            let (sent, failed) = user.join().map_err(|_| anyhow!("a user died"))??;
            all = (all.0 + sent, all.1 + failed);
        }
        replaced.map(|()| all)
    })?;
    say_once("rolling_failed_requests", "requests", failed as f64);
    say_once("rolling_requests", "requests", sent as f64);
    Ok(())
}

/// Puts a new container beside each old one, and lets the old one go once it gets nothing more.
fn replace_all(lab: &Lab, front: &str, containers: usize) -> Result<()> {
    let host = lab.host("h1")?;
    let mut now: Vec<String> = (0..containers).map(|number| format!("web-{number}")).collect();
    for number in 0..containers {
        let new = format!("new-{number}");
        run_web(host, &new, "cloud")?;
        let old = std::mem::replace(&mut now[number], new);
        let both: Vec<&str> = now.iter().map(String::as_str).chain([old.as_str()]).collect();
        is_served_by(lab, host, "vm1", front, &both)?;
        host.sh(&format!("berth drain {old} && docker rm -f {old}"))?;
    }
    Ok(())
}

/// How many of some requests failed.
fn asked(lab: &Lab, front: &str) -> Result<usize> {
    let ask = format!("timeout 3 busybox wget -q -O /dev/null http://{front}/ || echo failed");
    let said = lab.node("vm1")?.sh(&format!("for i in $(seq {ROUND}); do {ask}; done"))?;
    Ok(said.lines().count())
}
