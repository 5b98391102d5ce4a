//! What to look at when a step failed.

use super::narrator::Narrator;
use super::scene::{METAL, Scene, VIRTUAL};
use crate::lab::{Daemon, Host};

/// Prints the ends of the logs that tell most, and the state of the networks.
pub(super) fn print(scene: &Scene, narrator: Narrator) {
    println!("\n   Evidence:");
    narrator.said(&scene.lab().cloud().log_tail());
    for host in scene.lab().hosts() {
        narrator.said(&host.log_tail(Daemon::Dockerd));
        narrator.said(&host.log_tail(Daemon::Berthd));
    }
    let network = "ip -br address; ip rule; ip route show table all | grep -v 'table local'; \
                   ip neighbour; ip neighbour show proxy; nft list ruleset";
    let hosts = scene.lab().hosts().map(Host::name);
    for name in hosts.chain([VIRTUAL, METAL, "router"]) {
        if let Ok(node) = scene.lab().node(name) {
            println!();
            narrator.command(name, network);
            let said = node.try_sh(network);
            narrator.said(&said.map_or_else(|error| error.to_string(), |said| said.stdout + &said.stderr));
        }
    }
}
