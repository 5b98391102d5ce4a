//! The agent killed in the middle of attaching and detaching.

use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use tests::lab::{Daemon, DockerHost};

use super::scene::{Scene, without_cooling};

/// The reconciler wants both witnesses to miss an endpoint for a minute, and looks every twenty seconds.
pub(crate) const REAPED: Duration = Duration::from_secs(150);

#[test]
fn an_agent_killed_in_the_middle_of_attach_and_detach_leaves_nothing_that_differs() -> Result<()> {
    let scene = Scene::set(DockerHost { sockets_held: true, ..without_cooling() })?;
    let host = scene.host();
    let kept = scene.run("kept", "")?;
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
        scene.vm_reaches(kept)?;
        host.try_sh("docker rm -f moving")?;
    }
    scene.settles_on(&[kept], REAPED)?;
    let next = scene.run("next", "")?;
    scene.vm_reaches(next)
}
