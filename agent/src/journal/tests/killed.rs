//! kill -9 right after an answer.

use super::*;

#[test]
fn what_was_answered_is_found_again_after_kill_9() {
    if let Some(directory) = child::role() {
        return append_until_killed(&directory);
    }
    let directory = TempDir::new().unwrap();
    // Each round goes on with the journal that the last kill left.
    for round in 0..12 {
        let answered = child::kill_after(directory.path(), 1 + round * 7 % 20);
        let last: u64 = answered.last().unwrap().parse().unwrap();
        let found = records(&directory);
        assert!(found.len() as u64 > last, "{last} was answered, and there are {}", found.len());
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
        child::say_answered(&number.to_string());
    }
}
