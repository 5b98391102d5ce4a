//! What `ipam` promises, by name: on one host, between hosts, under every fault that can be had
//! without a kernel, and under any sequence of them.

mod museum;
mod one_host;
mod properties;
mod world;
