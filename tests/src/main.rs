//! `berth-lab`: the lab on the command line.

use anyhow::Result;
use clap::{Parser, Subcommand};
use tests::lab::{Lab, Layout, remains, until_interrupted};

/// A simulated cloud with a real Docker host, in namespaces of its own.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Removes what killed labs left behind.
    Clean,
    /// Builds a lab without daemons, prints its id and folder, and waits to be ended.
    #[command(hide = true)]
    Hold,
}

fn main() -> Result<()> {
    match Arguments::parse().verb {
        Verb::Clean => clean(),
        Verb::Hold => {
            let lab = Lab::build(Layout::one_host())?;
            println!("{}\n{}", lab.id(), lab.dir().display());
            until_interrupted()
        }
    }
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
