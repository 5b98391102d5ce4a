//! Bad input and faults: what each gets. Real dockerd, real kernel, a simulated cloud that fails on request.
//! Needs root.

#[path = "faults/configuration.rs"]
mod configuration;
#[path = "faults/disk.rs"]
mod disk;
#[path = "faults/killed.rs"]
mod killed;
#[path = "faults/orders.rs"]
mod orders;
#[path = "faults/plugin_socket.rs"]
mod plugin_socket;
#[path = "faults/provider.rs"]
mod provider;
#[path = "faults/reboot.rs"]
mod reboot;
