use super::*;
use crate::journal::JournalError;

fn network(id: &str) -> Network {
    Network {
        id: NetworkId(id.into()),
        pool: "default".into(),
        zone: "vlan".into(),
        subnet: "10.50.0.0/26".parse().unwrap(),
        internal: false,
        mtu: None,
    }
}

fn write(book: &Book, records: Vec<Record>) {
    book.change(Durability::Written, |_| Ok::<_, JournalError>(records)).unwrap();
}

#[test]
fn what_was_written_is_there_when_the_book_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("docker.journal");
    let book = Book::open(&file).unwrap();
    write(&book, vec![Record::Network(network("a")), Record::Network(network("b"))]);
    write(&book, vec![Record::NetworkGone(NetworkId("a".into()))]);
    let before = book.pages();
    drop(book);
    let after = Book::open(&file).unwrap().pages();
    assert_eq!(after, before);
    assert_eq!(after.networks.keys().map(|id| id.0.as_str()).collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_change_that_is_refused_writes_nothing() {
    #[derive(Debug)]
    struct No;
    impl From<JournalError> for No {
        fn from(_: JournalError) -> No {
            No
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let book = Book::open(&dir.path().join("docker.journal")).unwrap();
    book.change(Durability::Synced, |_| Err(No)).unwrap_err();
    assert_eq!(book.pages(), Pages::default());
}

#[test]
fn a_book_of_many_changes_does_not_grow_without_end() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("docker.journal");
    let book = Book::open(&file).unwrap();
    let both = || vec![Record::Network(network("a")), Record::NetworkGone(NetworkId("a".into()))];
    write(&book, vec![Record::Network(network("kept"))]);
    write(&book, (0..STALE_RECORDS_MAX).flat_map(|_| both()).collect());
    let compacted = std::fs::metadata(&file).unwrap().len();
    assert!(compacted < 1024, "{compacted} bytes");
    drop(book);
    assert_eq!(Book::open(&file).unwrap().pages().networks.len(), 1);
}
