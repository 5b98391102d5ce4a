//! kill -9 right after an answer.

use std::io::{BufRead, BufReader, Write};

use super::*;

/// What the child says after each record that was appended.
const ANSWERED: &str = "answered ";

#[test]
fn what_was_answered_is_found_again_after_kill_9() {
    if let Some(directory) = child::role() {
        return append_until_killed(&directory);
    }
    let directory = TempDir::new().unwrap();
    // Each round goes on with the journal that the last kill left.
    for round in 0..12 {
        let answered = kill_after(&directory, 1 + round * 7 % 20);
        let found = records(&directory);
        assert!(found.len() as u64 >= answered, "answered {answered}, found {}", found.len());
        assert_eq!(found, notes(0..found.len() as u64));
    }
}

/// Appends one record after the other, for ever, and says each number once it is answered. Every tenth
/// compacts.
fn append_until_killed(directory: &Path) {
    let (mut journal, found) = Journal::open(directory.join("test.journal")).unwrap();
    for number in found.len() as u64.. {
        let durability = if number % 3 == 0 { Durability::Synced } else { Durability::Written };
        journal.append(&[note(number)], durability).unwrap();
        if number % 10 == 9 {
            journal.compact(&notes(0..number + 1)).unwrap();
        }
        let mut out = std::io::stdout();
        writeln!(out, "{ANSWERED}{number}").unwrap();
        out.flush().unwrap();
    }
}

/// How many records the child said were answered, when it was killed after `answers` of its own.
fn kill_after(directory: &TempDir, answers: usize) -> u64 {
    let mut child = child::command(directory.path()).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let number = |line: &str| line.split_once(ANSWERED).map(|(_, number)| number.parse::<u64>().unwrap());
    let mut last = None;
    while last.is_none_or(|(count, _)| count < answers) {
        let line = said.next().expect("the child goes on until it is killed").unwrap();
        if let Some(number) = number(&line) {
            last = Some((last.map_or(0, |(count, _)| count) + 1, number));
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it still said before it died was answered too. The last line may be cut off.
    let rest: Vec<String> = said.map_while(Result::ok).collect();
    let whole = rest.len().saturating_sub(1);
    let later = rest[..whole].iter().filter_map(|line| number(line)).last();
    later.or(last.map(|(_, number)| number)).map_or(0, |number| number + 1)
}
