//! `berth-lab`: a simulated cloud with real Docker hosts, on the command line.

mod shell;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use clap::{Parser, Subcommand};
use tests::lab::{Lab, Layout, remains, until_interrupted};
use tests::story::{self, Story};

/// A simulated cloud with real Docker hosts, in namespaces of its own.
///
/// Nothing of this machine's own network or Docker is touched. Needs root.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Tells a story, then stays up until Ctrl-C.
    Run {
        #[command(flatten)]
        size: Size,
    },
    /// Goes through the same story alone; exit status 0, or what failed and the evidence.
    Smoke {
        #[command(flatten)]
        size: Size,
    },
    /// A shell, or one command, on a machine of a lab that is up.
    Shell {
        /// The machine: h1, vm1, bm1, etcd1, router.
        machine: String,
        /// Which lab, if several are up.
        #[arg(long)]
        lab: Option<String>,
        /// The command; without it, a shell.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Removes what killed labs left behind.
    Clean,
    /// Builds a lab without daemons, prints its id and folder, and waits to be ended.
    #[command(hide = true)]
    Hold,
}

#[derive(clap::Args)]
struct Size {
    /// Docker hosts: 1, or 3 to 9 that share an etcd.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, value_parser = hosts)]
    hosts: u32,
}

impl Size {
    fn story(&self) -> Story {
        if self.hosts == 1 { Story::OneHost } else { Story::Fleet(self.hosts) }
    }
}

/// The story of a fleet has a host that stays, one that inherits and one that dies.
fn hosts(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(hosts @ (1 | 3..=9)) => Ok(hosts),
        _ => Err("1, or 3 to 9".to_owned()),
    }
}

fn main() -> ExitCode {
    let result = match Arguments::parse().verb {
        Verb::Run { size } => run(size.story()),
        Verb::Smoke { size } => smoke(size.story()),
        Verb::Shell { machine, lab, command } => shell::enter(&machine, lab.as_deref(), &command),
        Verb::Clean => clean(),
        Verb::Hold => hold(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(story: Story) -> Result<()> {
    let scene = story::tell(story)?;
    shell::how_to_go_on(scene.lab());
    until_interrupted()
}

fn smoke(story: Story) -> Result<()> {
    let start = Instant::now();
    let scene = story::tell(story)?;
    drop(scene);
    println!("\nsmoke: all {} steps hold, {} s", story.steps().len(), start.elapsed().as_secs());
    Ok(())
}

fn clean() -> Result<()> {
    match remains::clean()?.as_slice() {
        [] => println!("nothing to clean"),
        ids => println!("removed what was left of: {}", ids.join(", ")),
    }
    for id in remains::living()? {
        println!("lab {id} is in use and stays");
    }
    Ok(())
}

fn hold() -> Result<()> {
    let lab = Lab::build(Layout::one_host())?;
    println!("{}\n{}", lab.id(), lab.dir().display());
    until_interrupted()
}
