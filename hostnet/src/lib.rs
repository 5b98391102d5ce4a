//! Bridges, veths, routes, neighbours and nftables on this host.
