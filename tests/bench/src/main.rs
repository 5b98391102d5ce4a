//! `berth-bench`: measures what Berth promises in figures, beside plain baselines on the same etcd.
//!
//! It prints lines `name value unit [low high]` and asserts nothing: what a figure should be stands in
//! `docs/benchmarks.md`. What is measured is the production code; each file is a row of that page, or a few
//! that belong together.

mod agents;
mod baselines;
mod count;
mod decision;
mod etcd;
mod evict;
mod exact_fit;
mod fleet;
mod history;
mod journalled;
mod labs;
mod machine;
mod net;
mod outage;
mod report;
mod services;
mod socket;
mod storm;
mod stranded;
mod take;
mod want;

use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};
use clap::{Parser, Subcommand};

/// Measures Berth beside plain baselines. Needs root and etcd.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    part: Option<Part>,
    /// Of which issue the cells are.
    #[arg(long, value_enum, default_value = "ipam")]
    of: Issue,
    /// Only these cells.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Small sizes, to see that everything runs. The figures mean nothing.
    #[arg(long)]
    small: bool,
    /// Where the curves of stranded addresses are drawn.
    #[arg(long)]
    svg: Option<PathBuf>,
}

/// Cells belong together by what they are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Issue {
    /// Addresses: issue B.
    Ipam,
    /// What follows a container: issue C.
    Services,
}

/// What runs on a machine of a lab, started by this very program.
#[derive(Subcommand)]
enum Part {
    #[command(hide = true)]
    Socket(socket::Probe),
    #[command(hide = true)]
    Dns(services::dns::Asker),
    #[command(hide = true)]
    Policy(services::policy::Alone),
    #[command(hide = true)]
    Packets(services::packets::Alone),
    #[command(hide = true)]
    Owner(services::owner_rss::Owner),
    #[command(hide = true)]
    Fill(fleet::Fill),
    #[command(hide = true)]
    Traffic(fleet::Traffic),
}

/// How large everything is.
#[derive(Clone, Debug)]
struct Size {
    small: bool,
    svg: Option<PathBuf>,
}

impl Size {
    /// The first, unless all is to be small.
    fn of<T>(&self, full: T, small: T) -> T {
        if self.small { small } else { full }
    }
}

/// A cell: its name, and what prints its figures.
type Cell = (&'static str, fn(&Size) -> Result<()>);

/// One after the other: each has the machine for itself.
const CELLS: &[Cell] = &[
    ("machine", machine::tell),
    ("assign_pure", decision::measure),
    ("assign_journalled", journalled::measure),
    ("assign_socket", socket::measure),
    ("take", take::measure),
    ("want", want::measure),
    ("storm", storm::measure),
    ("exact_fit", exact_fit::measure),
    ("stranded", stranded::measure),
    ("outage_simulated", outage::simulated),
    ("fleet", fleet::measure),
    ("history", history::measure),
];

/// What follows a container.
const SERVICES: &[Cell] = &[
    ("machine", machine::tell),
    ("misdelivered_simulated", services::misdelivered::simulated),
    ("register", services::register::measure),
    ("owner_rss", services::owner_rss::measure),
    ("policy", services::policy::measure),
    ("packets", services::packets::measure),
    ("dns", services::dns::measure),
    ("kill", services::kill::measure),
    ("rolling", services::rolling::measure),
    ("misdelivered_real", services::reuse::measure),
];

/// These wait for most of their time, each for its own lab: side by side.
const WAITING: &[Cell] = &[("evict", evict::measure), ("outage_real", outage::real)];

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match arguments.part {
        Some(Part::Socket(probe)) => probe.run(),
        Some(Part::Dns(asker)) => asker.run(),
        Some(Part::Policy(alone)) => alone.run(),
        Some(Part::Packets(alone)) => alone.run(),
        Some(Part::Owner(owner)) => owner.run(),
        Some(Part::Fill(fill)) => fill.run(),
        Some(Part::Traffic(traffic)) => traffic.run(),
        None => measure(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Every cell that is asked for. One that fails does not keep the others from being measured.
fn measure(arguments: &Arguments) -> Result<()> {
    let Arguments { of, only, small, svg, .. } = arguments;
    let (cells, waiting) = match of {
        Issue::Ipam => (CELLS, WAITING),
        Issue::Services => (SERVICES, &[][..]),
    };
    let all = || cells.iter().chain(waiting);
    if let Some(unknown) = only.iter().find(|name| all().all(|(known, _)| known != name)) {
        let known: Vec<&str> = all().map(|(name, _)| *name).collect();
        return Err(anyhow!("there is no cell {unknown}: {}", known.join(", ")));
    }
    machine::raise_limits()?;
    let size = Size { small: *small, svg: svg.clone() };
    let asked = |name: &str| only.is_empty() || only.iter().any(|only| only == name);
    let mut failed = Vec::new();
    for (name, cell) in cells.iter().filter(|(name, _)| asked(name)) {
        failed.extend(run(name, *cell, &size));
    }
    let failed_waiting: Vec<String> = thread::scope(|scope| {
        let size = &size;
        let cells: Vec<_> = waiting
            .iter()
            .filter(|(name, _)| asked(name))
            .map(|(name, cell)| scope.spawn(move || run(name, *cell, size)))
            .collect();
        cells.into_iter().filter_map(|cell| cell.join().ok().flatten()).collect()
    });
    failed.extend(failed_waiting);
    if failed.is_empty() { Ok(()) } else { Err(anyhow!("not measured: {}", failed.join(", "))) }
}

fn run(name: &str, cell: fn(&Size) -> Result<()>, size: &Size) -> Option<String> {
    let begun = Instant::now();
    let done = cell(size);
    println!("# {name} took {:.0} s", begun.elapsed().as_secs_f64());
    let error = done.err()?;
    eprintln!("error: {name}: {error:#}");
    Some(name.to_owned())
}
