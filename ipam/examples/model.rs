//! Searches one mix of the model that is said in words, and prints how far it came:
//! `hosts=2 addresses=2 kills=1 unknown=1`, with a safeguard taken away: `without=epoch`, or only the
//! worlds that so many acts reach: `near=12`.

#![expect(clippy::unwrap_used, reason = "the world of the tests, and it stops where it fails")]

use std::process::ExitCode;

#[path = "../tests/model/searched/mod.rs"]
mod searched;

use searched::{Event, Mix, Mutation, search, search_near};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (own, words): (Vec<&str>, Vec<&str>) = words
        .iter()
        .flat_map(|word| word.split_whitespace())
        .partition(|word| word.starts_with("without=") || word.starts_with("near="));
    let said = |name: &str| own.iter().find_map(|word| word.strip_prefix(name));
    let mutation = said("without=").map(Mutation::without);
    let Ok(near) = said("near=").map(str::parse).transpose() else {
        eprintln!("error: near= takes a number of acts");
        return ExitCode::from(64);
    };
    let Ok(mix) = Mix::parse(&words.join(" ")).inspect_err(|word| eprintln!("error: {word}")) else {
        return ExitCode::from(64);
    };
    if mutation == Some(None) {
        let known: Vec<&str> = Mutation::ALL.iter().map(|(name, _)| *name).collect();
        eprintln!("error: no such safeguard; there are {}", known.join(", "));
        return ExitCode::from(64);
    }
    let searched = match near {
        Some(acts) => search_near(mix, mutation.flatten(), acts),
        None => search(mix, mutation.flatten()),
    };
    println!("{searched}");
    if searched.broken.is_some() || !searched.never(&[Event::Assigned]).is_empty() {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
