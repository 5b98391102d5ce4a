//! history_lookup_p99_ms and its kin: what `make bench-ledger` measures, in a program of its own.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::Size;

pub(crate) fn measure(size: &Size) -> Result<()> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let done = Command::new(cargo)
        .args(["bench", "--quiet", "--package", "ledger", "--bench", "history"])
        .env("LEDGER_INTERVALS", size.of("10000000", "100000"))
        .status()
        .context("cargo is not there")?;
    ensure!(done.success(), "`make bench-ledger` failed");
    Ok(())
}
