//! Containers as Docker's users run them: real dockerd, real kernel, simulated cloud. Needs root.

#[path = "docker/balancers.rs"]
mod balancers;
#[path = "docker/bridge_driver.rs"]
mod bridge_driver;
#[path = "docker/compose.rs"]
mod compose;
#[path = "docker/crashes.rs"]
mod crashes;
#[path = "docker/firewalls.rs"]
mod firewalls;
#[path = "docker/habits.rs"]
mod habits;
#[path = "docker/names.rs"]
mod names;
#[path = "docker/networks.rs"]
mod networks;
#[path = "docker/policy.rs"]
mod policy;
#[path = "docker/ports.rs"]
mod ports;
#[path = "docker/restarts.rs"]
mod restarts;
#[path = "docker/services.rs"]
mod services;
