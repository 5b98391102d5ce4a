//! What machine it ran on: a figure without it says nothing.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::thread::available_parallelism;
use std::time::Instant;

use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tempfile::TempDir;

use crate::Size;
use crate::report::{millis, quantile};

/// Where journals and etcd's data are while it is measured: on a disk, not on a tmpfs.
const DISK: &str = "/var/tmp";

/// A folder on the disk, removed with the value.
pub(crate) fn folder() -> Result<TempDir> {
    tempfile::Builder::new().prefix("berth-bench-").tempdir_in(DISK).context("no folder on the disk")
}

/// Hundreds of agents in one process: each has a connection, and a journal.
pub(crate) fn raise_limits() -> Result<()> {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most).context("cannot raise how many files may be open")
}

/// Cores, memory, kernel, what a synced write costs.
pub(crate) fn tell(_: &Size) -> Result<()> {
    let memory = fs::read_to_string("/proc/meminfo")?;
    let kib = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next());
    let gib = kib.and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0 / 1024.0;
    println!("# {} cores, {gib:.1} GiB, Linux {}", available_parallelism()?, kernel()?);
    let syncs = syncs(200)?;
    let (p50, p99) = (quantile(&syncs, 0.5), quantile(&syncs, 0.99));
    println!("# a write of 512 bytes with fdatasync: p50 {p50:.2} ms, p99 {p99:.2} ms");
    let mode = if cfg!(debug_assertions) { "debug: the figures mean nothing" } else { "release" };
    println!("# build: {mode}");
    std::io::stdout().flush().context("nobody reads")
}

fn kernel() -> Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned())
}

fn syncs(count: u64) -> Result<Vec<f64>> {
    let folder = folder()?;
    let file = File::create(folder.path().join("synced"))?;
    let sync = |number: u64| -> Result<f64> {
        let begun = Instant::now();
        file.write_all_at(&[7; 512], number * 512)?;
        file.sync_data()?;
        Ok(millis(begun.elapsed()))
    };
    (0..count).map(sync).collect()
}
