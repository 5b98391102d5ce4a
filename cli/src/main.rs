//! `berth` asks the agent of this host, and says whose word the answer is.
//!
//! Data goes to stdout, everything else to stderr. Exit code 0 is yes, 1 is no, 2 is "could not tell".

mod agent;
mod args;
mod page;
mod table;
mod time;
mod verb;

use agent::{Agent, AskError};
use args::{Args, Verb};
use clap::Parser;
use page::Page;
use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::parse();
    let agent = Agent::at(&args.socket);
    match answer(&agent, &args.verb).await {
        Ok(page) => page.print(args.output).into(),
        Err(error) => {
            error.print();
            error.verdict().into()
        }
    }
}

async fn answer(agent: &Agent, verb: &Verb) -> Result<Page, AskError> {
    match verb {
        Verb::Status => verb::status::status(agent).await,
        Verb::Pool { verb } => verb::pool::answer(agent, verb).await,
        Verb::Subnet { verb } => verb::subnet::answer(agent, verb).await,
        Verb::Address { verb } => verb::address::answer(agent, verb).await,
        Verb::Network { verb } => verb::network::answer(agent, verb).await,
        Verb::Service { verb } => verb::service::answer(agent, verb).await,
        Verb::Drain { what, undo, wait } => {
            let wanted = api::Drain { what: what.clone(), undo: *undo };
            verb::drain::drain(agent, &wanted, std::time::Duration::from_secs(*wait)).await
        }
        Verb::Name { name } => verb::name::name(agent, name).await,
        Verb::Order { verb } => verb::order::answer(agent, verb).await,
        Verb::Host { verb } => verb::host::answer(agent, verb).await,
        Verb::Cluster { verb } => verb::cluster::answer(agent, verb).await,
        Verb::Store { verb } => verb::store::answer(agent, verb).await,
        Verb::Check => verb::check::check(agent).await,
        Verb::Doctor => verb::doctor::doctor(agent).await,
        Verb::Completions { shell } => Ok(verb::manual::completions(*shell)),
        Verb::Man { directory } => verb::manual::pages(directory),
    }
}
