//! `-p`: the one translation there is, and only where it is asked for.

use anyhow::{Result, ensure};
use tests::lab::DockerHost;

use tests::stage::{SOON, Stage};

#[test]
fn a_published_port_leads_to_its_container_as_long_as_that_runs() -> Result<()> {
    let stage = Stage::set(DockerHost::default())?;
    let address = stage.run("web", "-p 8080:80")?;
    let host = stage.lab().node("h1")?.address()?;
    let ask = format!("timeout 10 busybox wget -q -O - http://{host}:8080/cgi-bin/whoami");
    let vm = stage.lab().node("vm1")?.address()?;
    ensure!(stage.on_vm(&ask)?.trim() == format!("you are {vm}"), "the container does not see who asks");
    stage.vm_reaches(address)?;

    let second =
        stage.host().try_sh("docker run -d --name other --network cloud -p 8080:80 busybox sleep 1000")?;
    let says = format!("host port 8080 is taken by {address}");
    ensure!(!second.is_success() && second.stderr.contains(&says), "{}", second.stderr);

    stage.host().sh("docker rm -f web other")?;
    stage.settles_on(&[], SOON)?;
    ensure!(!stage.lab().node("vm1")?.try_sh(&ask)?.is_success(), "the port is still open");
    Ok(())
}
