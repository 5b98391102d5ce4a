//! The agent killed in the middle of attaching and detaching.

use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use tests::lab::{Daemon, DockerHost};

use tests::stage::{REAPED, Stage, without_cooling};

#[test]
fn an_agent_killed_in_the_middle_of_attach_and_detach_leaves_nothing_that_differs() -> Result<()> {
    let stage = Stage::set(DockerHost { sockets_held: true, ..without_cooling() })?;
    let host = stage.host();
    let kept = stage.run("kept", "")?;
    // How far into the command the agent is killed: each time a little later.
    for millis in [40, 120, 200, 300, 420, 560] {
        for command in
            ["docker run -d --name moving --network cloud busybox sleep 1000", "docker rm -f moving"]
        {
            thread::scope(|scope| -> Result<()> {
                // Some of these fail, which is right: their call was cut off.
                let moving = scope.spawn(|| host.try_sh(command));
                thread::sleep(Duration::from_millis(millis));
                host.kill(Daemon::Berthd)?;
                host.start(Daemon::Berthd)?;
                moving.join().map_err(|_| anyhow!("the thread panicked"))??;
                Ok(())
            })?;
        }
        stage.vm_reaches(kept)?;
        host.try_sh("docker rm -f moving")?;
    }
    stage.settles_on(&[kept], REAPED)?;
    let next = stage.run("next", "")?;
    stage.vm_reaches(next)
}
