//! What every store promises, kept by real etcds on this machine: one member, three in namespaces, with TLS
//! and passwords, and under faults. Needs root (for the namespaces) and etcd; `ETCD` may name another one.

mod etcd;
mod full;
mod links;
mod namespaces;
mod promises;
mod proxy;
mod quorum;
mod secured;
mod tally;
