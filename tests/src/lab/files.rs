//! The files a Docker host finds when it boots, and the network it finds again after a power cut.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::cloud::Cloud;
use super::layout::DockerHost;

/// Writes what is in the host's /etc; the keeper lays it over the machine's own.
pub(super) fn lay_out(
    home: &Path,
    options: &DockerHost,
    cloud: &Cloud,
    cgroup: &str,
    name: &str,
) -> Result<()> {
    let etc = home.join("etc");
    for folder in ["docker", "containerd", "berth"] {
        fs::create_dir_all(etc.join(folder))?;
    }
    fs::create_dir_all(home.join("state"))?;
    fs::write(etc.join("hostname"), format!("{name}\n"))?;
    // Nobody answers, and says so at once: lookups in a lab must not wait.
    fs::write(etc.join("resolv.conf"), "nameserver 127.0.0.1\n")?;
    fs::write(etc.join("docker/daemon.json"), docker_options(home, options, cgroup, name).to_string())?;
    fs::write(etc.join("containerd/config.toml"), containerd_options(home))?;

    let credentials = etc.join("berth/softlayer.toml");
    fs::write(&credentials, cloud.credentials())?;
    fs::set_permissions(&credentials, Permissions::from_mode(0o600))?;
    Ok(())
}

/// Writes berthd's configuration into a host that is on; `root` is its root folder.
pub(super) fn write_config(root: &Path, text: &str) -> Result<()> {
    let path = root.join("etc/berth/berth.toml");
    fs::write(&path, text).with_context(|| format!("could not write {}", path.display()))
}

fn docker_options(home: &Path, options: &DockerHost, cgroup: &str, name: &str) -> serde_json::Value {
    json!({
        "data-root": home.join("docker"),
        "hosts": ["unix:///run/docker.sock"],
        "containerd": "/run/containerd/containerd.sock",
        "bridge": if options.iptables { "" } else { "none" },
        "iptables": options.iptables,
        "ip6tables": false,
        "live-restore": options.live_restore,
        "cgroup-parent": format!("/{cgroup}/{name}"),
        // The other driver would ask the machine's systemd to make groups.
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
    })
}

fn containerd_options(home: &Path) -> String {
    let home = home.display();
    format!(
        r#"version = 2
root = "{home}/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.grpc.v1.cri"]

[grpc]
address = "/run/containerd/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
path = "{home}/opt"
"#
    )
}

/// Notes the routes that the cloud gave the machine.
pub(super) fn remember_routes(netns: &Path, home: &Path) -> Result<()> {
    in_netns(netns, &format!("ip route save table main >{}/routes", home.display()))
}

/// Puts the network back to what the cloud gave: a power cut forgets all that a kernel was told.
pub(super) fn forget_network(netns: &Path, home: &Path) -> Result<()> {
    let script = r#"
        nft flush ruleset
        for link in $(ip -o link | sed -E 's/^[0-9]+: ([^:@]+).*/\1/'); do
            case $link in lo | eth*) ;; *) ip link delete "$link" 2>/dev/null || true ;; esac
        done
        ip rule flush
        ip rule add priority 32766 table main
        ip rule add priority 32767 table default
        for table in $(ip -o route show table all | sed -nE 's/.* table ([^ ]+).*/\1/p' | sort -u); do
            case $table in local) ;; *) ip route flush table "$table" ;; esac
        done
        ip -o neigh show proxy | while read -r address _ device _; do
            ip neigh delete proxy "$address" dev "$device"
        done
        ip neigh flush all
        echo 0 >/proc/sys/net/ipv4/ip_forward
        ip route flush table main
        "#;
    in_netns(netns, &format!("set -e\n{script}\nip route restore <{}/routes", home.display()))
}

fn in_netns(netns: &Path, script: &str) -> Result<()> {
    let mut command = Command::new("/usr/bin/nsenter");
    command.arg(format!("--net={}", netns.display())).args(["--", "/bin/sh", "-c", script]);
    let output = command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "could not set up the network of {}: {said}", netns.display());
    Ok(())
}
