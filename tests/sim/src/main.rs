//! `berth-sim`: tells the story of one seed, or looks for a seed that breaks a promise.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use simulation::{Plan, Story, Sum, run, shrink};

/// A whole fleet in one process, with seeded faults.
#[derive(Debug, Parser)]
struct Arguments {
    /// The seed whose story is told; the first of many with --seeds.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds are tried, silently; the first that breaks a promise is made short and told.
    #[arg(long)]
    seeds: Option<u64>,
    /// How many hosts; chosen by the seed if not said.
    #[arg(long)]
    hosts: Option<usize>,
    /// How many acts before everything heals.
    #[arg(long)]
    steps: Option<usize>,
    /// Only these acts, by number.
    #[arg(long, value_delimiter = ',')]
    only: Option<Vec<usize>>,
    /// Milliseconds between two acts, at most; the mean is a quarter of it.
    #[arg(long)]
    pause: Option<u64>,
    /// Says after each of many seeds how far it is.
    #[arg(long)]
    progress: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seeds {
        None => tell(&arguments.plan(arguments.seed)),
        Some(seeds) => search(&arguments, seeds),
    }
}

impl Arguments {
    fn plan(&self, seed: u64) -> Plan {
        let plan = Plan::of(seed);
        Plan {
            hosts: self.hosts,
            steps: self.steps.unwrap_or(plan.steps),
            only: self.only.as_ref().map(|only| only.iter().copied().collect::<BTreeSet<_>>()),
            pause_max: self.pause.unwrap_or(plan.pause_max),
            ..plan
        }
    }
}

fn tell(plan: &Plan) -> ExitCode {
    let ended = run(plan, Story::told());
    for line in ended.story.lines() {
        println!("{line}");
    }
    println!("{} hosts, {} steps, {} s", ended.hosts, ended.steps, ended.millis / 1_000);
    match ended.broken {
        None => {
            println!("every promise was kept");
            ExitCode::SUCCESS
        }
        Some(broken) => {
            println!("broken: {broken}");
            ExitCode::FAILURE
        }
    }
}

fn search(arguments: &Arguments, seeds: u64) -> ExitCode {
    let begun = Instant::now();
    let mut sum = Sum::default();
    let mut broken: Vec<(u64, usize)> = Vec::new();
    for seed in arguments.seed..arguments.seed + seeds {
        let ended = run(&arguments.plan(seed), Story::silent());
        sum.add(&ended);
        if arguments.progress {
            eprintln!("seed {seed}, after {} s: {sum}", begun.elapsed().as_secs());
        }
        if let Some(promise) = ended.broken {
            println!("seed {seed} breaks a promise: {promise}");
            broken.push((seed, ended.acts));
        }
    }
    println!("{seeds} seeds: {sum}");
    println!("{} s; {}; reached:\n{}", begun.elapsed().as_secs(), memory(), sum.coverage());
    let Some((seed, acts)) = broken.first().copied() else { return ExitCode::SUCCESS };
    // Nothing after the act that broke it matters.
    let plan = Plan { steps: acts, ..arguments.plan(seed) };
    let short = shrink(&plan);
    tell(&short);
    let only: Vec<String> = short.only.iter().flatten().map(ToString::to_string).collect();
    println!("{} of {seeds} seeds break a promise; again: berth-sim --seed {seed}", broken.len());
    println!("  --steps {acts} --pause {} --only {}", plan.pause_max, only.join(","));
    ExitCode::FAILURE
}

/// How much memory this process had at most, as Linux tells it (proc_pid_status(5)).
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    format!("{} of memory at most", peak.map_or("unknown", str::trim))
}
