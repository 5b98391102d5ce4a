//! A simulated cloud: SoftLayer's subnets, VLANs, machines, orders, metadata and load balancers over its own REST
//! dialect; slow, forgetful, throttled and faulty on request; deterministic by seed.
//!
//! In a test, inside the process:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use provider_mock::{CloudSpec, Effect, Fault, SimulatedCloud};
//! let cloud = SimulatedCloud::start(CloudSpec::small()).await?;
//! // A client of SoftLayer is pointed at `cloud.endpoint()`; the test holds the other end.
//! cloud.live().inject(Fault::once("placeOrder", Effect::CutAfter));
//! cloud.live().advance(std::time::Duration::from_secs(3600));
//! # Ok(()) }
//! ```
//!
//! As a process: `berth-mock-cloud --cloud provider-mock/examples/cloud.toml`, with real packets when
//! `--fabric NAME` is given. What is simulated is IPv4 only, and of SoftLayer only what hosts, VLANs,
//! portable subnets and what stands before containers need; a method that is not simulated is refused as SoftLayer refuses an unknown one.

mod clock;
pub mod cloud;
mod connection;
pub mod control;
pub mod fabric;
mod fault;
mod live;
mod server;
mod softlayer;

pub use cloud::machine::PowerState;
pub use cloud::spec::{
    AccountSpec, CloudSpec, DatacenterSpec, Delays, FabricSpec, GratuitousArp, Limits, LocalBalancerSpec,
    MachineKind, MachineSpec, NetworkSpace, SpecError, SubnetSpec, UserSpec, VlanSpec,
};
pub use fault::{Effect, Fault, FaultId};
pub use live::{LiveCloud, Request};
pub use server::{SimulatedCloud, StartError};
