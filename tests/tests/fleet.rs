//! Several Docker hosts that share one etcd: real daemons, real kernels, real packets. Needs root.

#[path = "fleet/balancers.rs"]
mod balancers;
#[path = "fleet/boots.rs"]
mod boots;
#[path = "fleet/cut_off.rs"]
mod cut_off;
#[path = "fleet/evicted.rs"]
mod evicted;
#[path = "fleet/history.rs"]
mod history;
#[path = "fleet/inputs.rs"]
mod inputs;
#[path = "fleet/lost.rs"]
mod lost;
#[path = "fleet/memory.rs"]
mod memory;
#[path = "fleet/moved.rs"]
mod moved;
#[path = "fleet/moving.rs"]
mod moving;
#[path = "fleet/names.rs"]
mod names;
#[path = "fleet/outage.rs"]
mod outage;
#[path = "fleet/quorum.rs"]
mod quorum;
#[path = "fleet/scene.rs"]
mod scene;
#[path = "fleet/sharing.rs"]
mod sharing;
#[path = "fleet/storm.rs"]
mod storm;
#[path = "fleet/swarm.rs"]
mod swarm;
#[path = "fleet/zones.rs"]
mod zones;
