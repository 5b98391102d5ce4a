//! The promises of the capacity role.

mod anew;
mod doubt;
mod evict;
mod eviction;
mod fake_cloud;
mod opening;
mod operator;
mod ordering;
mod owner;
mod quarantine;
mod returning;
mod simulated_cloud;
mod world;

use std::time::Duration;

use provider::ClusterTags;

use super::{OrderKey, Timing};
use world::World;

const FIRST: &str = "10.60.0.0/28";

fn first_order() -> OrderKey {
    OrderKey("default-1234-1".into())
}

fn opened(world: &World, at: usize) -> bool {
    ClusterTags::of("demo").unwrap().mark_opened(&world.cloud.lock().subnets[at])
}

/// D and R together, and a little more.
fn until_silence() -> Duration {
    let timing = Timing::default();
    timing.call_max + timing.staleness_max + Duration::from_secs(1)
}
