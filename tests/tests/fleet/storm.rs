//! Agents killed on every host while containers come and go, and the oracle over all that was written down.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use tests::lab::{Daemon, Host, Way};

use super::history::Observer;
use super::scene::{Fleet, Size};

/// How often an agent is killed, hosts in turn.
const KILLS: usize = 9;

/// Between two kills: enough for a call or two, so that each comes at another moment of a container's life.
const APART: Duration = Duration::from_millis(700);

#[test]
fn agents_killed_in_attach_storms_leak_nothing_and_history_shows_no_address_twice() -> Result<()> {
    let fleet = Fleet::set(Size { hosts: 3, members: 1, prefix: 28 })?;
    let observer = Observer::of(&fleet)?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| -> Result<()> {
        let storms: Vec<_> = fleet.hosts().map(|host| scope.spawn(|| attach(host, &over))).collect();
        let killed = kill_in_turn(&fleet);
        over.store(true, Ordering::Relaxed);
        for storm in storms {
            let started = storm.join().map_err(|_| anyhow!("a thread panicked"))??;
            ensure!(started > 0, "no container started on one of the hosts");
        }
        killed
    })?;
    fleet.on_all(|host| host.sh("docker ps -aq | xargs -r docker rm -f").map(drop))?;
    // What a killed agent was never told is freed by two witnesses, who want to miss it for a minute.
    ensure!(fleet.settles_after_a_crash()?.is_empty(), "something is left");
    fleet.nothing_leaked("h3", 0)?;
    observer.finds_nothing_wrong(&fleet)
}

/// Containers come and go until it is over; some fail, which is right: their call was cut off.
fn attach(host: &Host, over: &AtomicBool) -> Result<usize> {
    let mut started = 0;
    let mut number = 0;
    while !over.load(Ordering::Relaxed) {
        number += 1;
        let run = format!("docker run -d --name storm-{number} --network cloud busybox sleep 1000");
        started += usize::from(host.try_sh(&run)?.is_success());
        // A few stay, so that there is something to lose.
        if number > 3 {
            host.try_sh(&format!("docker rm -f storm-{}", number - 3))?;
        }
    }
    Ok(started)
}

fn kill_in_turn(fleet: &Fleet) -> Result<()> {
    let hosts: Vec<&Host> = fleet.hosts().collect();
    for (number, host) in hosts.iter().cycle().take(KILLS).enumerate() {
        thread::sleep(APART);
        // Every other time with the store's answer lost on the way.
        let link = fleet.lab().node(host.name())?;
        if number % 2 == 0 {
            fleet.lab().etcd().cut_off(link, Way::Out)?;
            thread::sleep(APART / 2);
        }
        host.kill(Daemon::Berthd)?;
        fleet.lab().etcd().mend(link)?;
        host.launch(Daemon::Berthd)?;
    }
    hosts.iter().try_for_each(|host| host.wait_ready(Daemon::Berthd))
}
