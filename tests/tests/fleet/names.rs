//! Names and policy over hosts: a container finds and reaches a service wherever its members are.

use anyhow::{Result, ensure};
use tests::lab::until;
use tests::names::{answered_at, found};

use super::scene::{Fleet, SOON, Size};

/// `web` accepts the members of `front`, and nobody else.
const WEB: &str = "name = \"web\"\n[[port]]\nport = 80\n[[policy]]\nfrom = [\"service/front\"]\n";

#[test]
fn a_service_on_another_host_is_found_and_reached_by_whom_it_lets_in_also_while_the_store_is_away()
-> Result<()> {
    let fleet = Fleet::set(Size { hosts: 2, members: 1, prefix: 28 })?;
    let (h1, h2) = (fleet.host("h1"), fleet.host("h2"));
    let dns = format!("--dns {}", answered_at(h2)?);
    let web = fleet.run("h1", "web", "--hostname web-box -l berth.service=web -l berth.port=80")?.to_string();
    fleet.run("h2", "front", &format!("{dns} -l berth.service=front -l berth.port=80"))?;
    fleet.run("h2", "other", &dns)?;
    h1.sh(&format!("berth service apply -f - <<'END'\n{WEB}\nEND\n"))?;

    found(h2, "front", "web.lab.internal", &[&web])?;
    found(h2, "front", "web.containers.lab.internal", &[&web])?;
    found(h2, "front", &web, &["web-box"])?;
    let reaches = |container: &str| -> Result<bool> {
        let ask = format!("docker exec {container} timeout 3 busybox wget -q -O - http://web.lab.internal/");
        Ok(h2.try_sh(&ask)?.is_success())
    };
    until(SOON, "front reaches web, and other does not", || {
        Ok((reaches("front")? && !reaches("other")?).then_some(()))
    })?;

    fleet.lab().etcd().kill()?;
    ensure!(reaches("front")? && !reaches("other")?, "the store is not asked for what stands");
    fleet.lab().etcd().start()?;
    h1.sh("docker rm -f web")?;
    found(h2, "front", "web.lab.internal", &[])?;
    found(h2, "front", "web.containers.lab.internal", &[])
}
