//! Searches one mix of the model that is said in words, and prints how far it came:
//! `hosts=2 addresses=2 kills=1 unknown=1`, or with a safeguard taken away: `without=epoch`.

#![expect(clippy::unwrap_used, reason = "the world of the tests, and it stops where it fails")]

use std::process::ExitCode;

#[path = "../tests/model/searched/mod.rs"]
mod searched;

use searched::{Event, Mix, Mutation, search};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (without, words): (Vec<&str>, Vec<&str>) =
        words.iter().flat_map(|word| word.split_whitespace()).partition(|word| word.starts_with("without="));
    let safeguard = without.first().map(|word| word.trim_start_matches("without="));
    let mutation = safeguard.map(Mutation::without);
    let Ok(mix) = Mix::parse(&words.join(" ")).inspect_err(|word| eprintln!("error: {word}")) else {
        return ExitCode::from(64);
    };
    if mutation == Some(None) {
        let known: Vec<&str> = Mutation::ALL.iter().map(|(name, _)| *name).collect();
        eprintln!("error: no such safeguard; there are {}", known.join(", "));
        return ExitCode::from(64);
    }
    let searched = search(mix, mutation.flatten());
    println!("{searched}");
    if searched.broken.is_some() || !searched.never(&[Event::Assigned]).is_empty() {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
