//! `berth-sim`: tells the story of one seed, or looks for a seed that breaks a promise.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Parser;
use simulation::{Coverage, Plan, Story, run, shrink};

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
    /// Milliseconds between two acts, at most.
    #[arg(long)]
    pause: Option<u64>,
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
    let (mut coverage, mut host_millis, mut steps) = (Coverage::default(), 0, 0);
    for seed in arguments.seed..arguments.seed + seeds {
        let plan = arguments.plan(seed);
        let ended = run(&plan, Story::silent());
        coverage.add(&ended.coverage);
        host_millis += ended.millis * ended.hosts as u64;
        steps += ended.steps;
        if let Some(broken) = ended.broken {
            println!("seed {seed} breaks a promise: {broken}");
            let short = shrink(&plan);
            tell(&short);
            let only: Vec<String> = short.only.iter().flatten().map(ToString::to_string).collect();
            println!("again: berth-sim --seed {seed} --only {}", only.join(","));
            return ExitCode::FAILURE;
        }
    }
    println!(
        "{seeds} seeds, {steps} steps, {} simulated host-hours; reached:\n{coverage}",
        host_millis / 3_600_000
    );
    ExitCode::SUCCESS
}
