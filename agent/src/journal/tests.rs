pub(crate) mod child;
mod full_disk;
mod killed;

use serde::Deserialize;
use tempfile::TempDir;

use super::*;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    number: u64,
    text: String,
}

fn note(number: u64) -> Note {
    Note { number, text: format!("note {number}") }
}

fn notes(numbers: std::ops::Range<u64>) -> Vec<Note> {
    numbers.map(note).collect()
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("test.journal")
}

fn open(directory: &TempDir) -> Result<(Journal<Note>, Vec<Note>), JournalError> {
    loop {
        match Journal::open(file(directory)) {
            // A child that another test is just starting has, for a moment, every lock of this process.
            Err(JournalError::InUse { .. }) => std::thread::yield_now(),
            opened => return opened,
        }
    }
}

fn records(directory: &TempDir) -> Vec<Note> {
    open(directory).unwrap().1
}

/// A closed journal of three notes: its directory, and its bytes.
fn three_notes() -> (TempDir, Vec<u8>) {
    let directory = TempDir::new().unwrap();
    let (mut journal, _) = open(&directory).unwrap();
    for number in 0..3 {
        journal.append(&[note(number)], Durability::Written).unwrap();
    }
    let content = std::fs::read(file(&directory)).unwrap();
    (directory, content)
}

/// Where each of the three notes ends.
fn ends() -> Vec<usize> {
    let lengths =
        notes(0..3).iter().map(|note| frame::encode_all(&[note]).ok().unwrap().len()).collect::<Vec<_>>();
    lengths
        .iter()
        .scan(frame::HEADER_BYTES as usize, |end, length| {
            *end += length;
            Some(*end)
        })
        .collect()
}

#[test]
fn records_come_back_in_the_order_they_were_appended() {
    let directory = TempDir::new().unwrap();
    let (mut journal, found) = open(&directory).unwrap();
    assert_eq!(found, []);
    journal.append(&notes(0..2), Durability::Written).unwrap();
    journal.append(&[], Durability::Synced).unwrap();
    journal.append(&notes(2..5), Durability::Synced).unwrap();
    drop(journal);
    let (mut journal, found) = open(&directory).unwrap();
    assert_eq!(found, notes(0..5));
    journal.append(&notes(5..6), Durability::Written).unwrap();
    drop(journal);
    assert_eq!(records(&directory), notes(0..6));
}

#[test]
fn a_journal_cut_off_at_any_byte_keeps_every_whole_record_and_goes_on() {
    let (directory, content) = three_notes();
    for length in frame::HEADER_BYTES as usize..=content.len() {
        std::fs::write(file(&directory), &content[..length]).unwrap();
        let whole = ends().iter().filter(|end| **end <= length).count() as u64;
        let (mut journal, found) = open(&directory).unwrap();
        assert_eq!(found, notes(0..whole), "cut off at {length}");
        journal.append(&[note(whole)], Durability::Written).unwrap();
        drop(journal);
        assert_eq!(records(&directory), notes(0..whole + 1), "cut off at {length}");
    }
}

#[test]
fn a_journal_without_its_whole_header_is_refused() {
    let (directory, content) = three_notes();
    for length in 0..frame::HEADER_BYTES as usize {
        std::fs::write(file(&directory), &content[..length]).unwrap();
        let refused = open(&directory).unwrap_err();
        assert!(matches!(refused, JournalError::Damaged { offset: 0, .. }), "{length}: {refused}");
    }
}

#[test]
fn a_flipped_bit_anywhere_is_refused_and_the_file_left_as_it_is() {
    let (directory, content) = three_notes();
    let disk = OpenOptions::new().write(true).open(file(&directory)).unwrap();
    for at in 0..content.len() {
        for bit in 0..8 {
            let mut damaged = content.clone();
            damaged[at] ^= 1 << bit;
            disk.write_all_at(&damaged[at..=at], at as u64).unwrap();
            let refused = open(&directory).map(|(_, found)| found).unwrap_err();
            assert!(matches!(refused, JournalError::Damaged { .. }), "bit {bit} of byte {at}: {refused}");
            assert_eq!(std::fs::read(file(&directory)).unwrap(), damaged);
        }
        disk.write_all_at(&content[at..=at], at as u64).unwrap();
    }
    assert_eq!(records(&directory), notes(0..3));
}

#[test]
fn damage_says_where_it_is_and_how_to_rebuild() {
    let (directory, mut content) = three_notes();
    content[ends()[0] + 20] ^= 1;
    std::fs::write(file(&directory), &content).unwrap();
    let said = open(&directory).unwrap_err().to_string();
    assert!(said.contains(&format!("damaged at byte {}", ends()[0])), "{said}");
    assert!(said.contains("berthd --rebuild") && said.contains("test.journal"), "{said}");
}

#[test]
fn a_hole_that_power_loss_left_at_the_end_is_cut_off() {
    let (directory, content) = three_notes();
    let last = ends()[1];
    // From any byte of the last record on, also with more room behind it.
    for kept in last..content.len() {
        for room in [0, 1, 4096] {
            let mut holed = content[..kept].to_vec();
            holed.resize(content.len() + room, 0);
            std::fs::write(file(&directory), &holed).unwrap();
            let found = records(&directory);
            assert_eq!(found, notes(0..2), "from byte {kept}, {room} more");
        }
    }
    let mut holed = content.clone();
    holed.resize(content.len() + 4096, 0);
    std::fs::write(file(&directory), &holed).unwrap();
    assert_eq!(records(&directory), notes(0..3));
}

#[test]
fn a_hole_with_records_behind_it_is_refused() {
    let (directory, mut content) = three_notes();
    content[ends()[0]..ends()[1]].fill(0);
    std::fs::write(file(&directory), &content).unwrap();
    assert!(matches!(open(&directory), Err(JournalError::Damaged { .. })));
}

#[test]
fn what_is_no_journal_is_refused() {
    let directory = TempDir::new().unwrap();
    std::fs::write(file(&directory), b"a shopping list that is longer than a header").unwrap();
    let said = open(&directory).unwrap_err().to_string();
    assert!(said.contains("this is not a journal"), "{said}");
}

#[test]
fn a_journal_of_another_kind_is_refused() {
    let (directory, _) = three_notes();
    let refused = Journal::<u64>::open(file(&directory)).unwrap_err();
    assert!(matches!(refused, JournalError::Record { number: 1, .. }), "{refused}");
}

#[test]
fn a_newer_file_and_a_newer_record_are_refused() {
    let directory = TempDir::new().unwrap();
    let mut header = b"berthjnl".to_vec();
    header.extend(2u32.to_le_bytes());
    header.extend(crc32c::crc32c(&header).to_le_bytes());
    let payload = br#"{"form":2,"shape":"unknown"}"#;
    let length = (payload.len() as u32).to_le_bytes();
    let mut record = frame::header();
    record.extend(
        [length, crc32c::crc32c(&length).to_le_bytes(), crc32c::crc32c(payload).to_le_bytes()].concat(),
    );
    record.extend(payload);
    for content in [header, record] {
        std::fs::write(file(&directory), content).unwrap();
        let refused = open(&directory).unwrap_err();
        assert!(matches!(refused, JournalError::Newer { found: 2, known: 1, .. }), "{refused}");
    }
}

#[test]
fn a_journal_that_is_open_is_refused_a_second_time_also_after_a_compaction() {
    let directory = TempDir::new().unwrap();
    let (mut journal, _) = open(&directory).unwrap();
    let second = || Journal::<Note>::open(file(&directory));
    assert!(matches!(second(), Err(JournalError::InUse { .. })));
    journal.compact(&[note(1)]).unwrap();
    assert!(matches!(second(), Err(JournalError::InUse { .. })));
    drop(journal);
    assert_eq!(records(&directory), [note(1)]);
}

#[test]
fn a_compacted_journal_has_the_snapshot_and_what_came_after() {
    let directory = TempDir::new().unwrap();
    let (mut journal, _) = open(&directory).unwrap();
    journal.append(&notes(0..100), Durability::Written).unwrap();
    let grown = journal.bytes();
    journal.compact(&notes(99..100)).unwrap();
    assert!(journal.bytes() < grown / 50);
    assert_eq!(journal.bytes(), std::fs::metadata(file(&directory)).unwrap().len());
    journal.append(&notes(100..102), Durability::Written).unwrap();
    drop(journal);
    assert_eq!(records(&directory), notes(99..102));
}

#[test]
fn a_compaction_that_was_interrupted_changes_nothing() {
    let (directory, content) = three_notes();
    std::fs::write(beside(&file(&directory)), &content[..20]).unwrap();
    assert_eq!(records(&directory), notes(0..3));
    assert!(!beside(&file(&directory)).exists());
}

#[test]
fn a_record_too_large_is_refused_with_all_that_came_with_it() {
    let directory = TempDir::new().unwrap();
    let (mut journal, _) = open(&directory).unwrap();
    let of_bytes = |bytes| Note { number: 0, text: "x".repeat(bytes) };
    let overhead = serde_json::to_vec(&serde_json::json!({"form": 1, "record": of_bytes(0)})).unwrap().len();
    let largest = of_bytes(RECORD_BYTES_MAX - overhead);
    let refused = journal.append(&[note(1), of_bytes(RECORD_BYTES_MAX - overhead + 1)], Durability::Written);
    assert!(matches!(refused, Err(JournalError::TooLarge { .. })), "{refused:?}");
    journal.append(std::slice::from_ref(&largest), Durability::Written).unwrap();
    drop(journal);
    assert_eq!(records(&directory), [largest]);
}

#[test]
fn a_journal_that_cannot_be_made_says_where() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("missing/test.journal");
    let said = Journal::<Note>::open(path).unwrap_err().to_string();
    assert!(said.contains("missing/test.journal"), "{said}");
}

#[test]
fn only_its_owner_may_read_it() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, _) = three_notes();
    let mode = std::fs::metadata(file(&directory)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn what_a_failed_append_left_behind_is_cut_off_before_the_next() {
    let (directory, content) = three_notes();
    let (mut journal, _) = open(&directory).unwrap();
    journal.file.write_all_at(&content[30..], journal.length).unwrap();
    journal.untidy = true;
    journal.append(&[note(3)], Durability::Written).unwrap();
    drop(journal);
    assert_eq!(records(&directory), notes(0..4));
}

#[test]
fn after_a_failed_sync_every_record_moves_to_a_new_file_before_the_next() {
    use std::os::unix::fs::MetadataExt;
    let (directory, _) = three_notes();
    let (mut journal, _) = open(&directory).unwrap();
    let suspect = std::fs::metadata(file(&directory)).unwrap().ino();
    journal.suspect = true;
    journal.append(&[note(3)], Durability::Synced).unwrap();
    assert_ne!(std::fs::metadata(file(&directory)).unwrap().ino(), suspect);
    journal.append(&[note(4)], Durability::Synced).unwrap();
    drop(journal);
    assert_eq!(records(&directory), notes(0..5));
}

#[test]
fn a_suspect_file_that_no_longer_shows_its_records_is_not_added_to() {
    let (directory, content) = three_notes();
    let (mut journal, _) = open(&directory).unwrap();
    journal.suspect = true;
    journal.file.write_all_at(&[0; 8], content.len() as u64 - 8).unwrap();
    let refused = journal.append(&[note(3)], Durability::Written);
    assert!(matches!(refused, Err(JournalError::Damaged { .. })), "{refused:?}");
}
