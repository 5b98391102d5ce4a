//! Opens the journals, and refuses to take a lost one for a new one.

use super::StartError;
use crate::allocator::{Line, records};
use crate::amnesia::lost_its_end;
use crate::config::HostConfig;
use crate::docker::{Book, Pages};
use crate::journal::Journal;

/// Both journals, and what the allocator's had in it.
pub(super) fn open(host: &HostConfig) -> Result<(Book, Journal<Line>, Vec<Line>), StartError> {
    refuse_a_lost_one(host)?;
    let book = Book::open(&host.docker_journal())?;
    let (journal, lines) = Journal::open(host.allocator_journal())?;
    if book.read(|pages| lost_its_end(&records(&lines), pages)) {
        return Err(StartError::JournalLost { path: host.allocator_journal(), what: "has lost its end" });
    }
    Ok((book, journal, lines))
}

/// Docker's journal alone, to take releases with.
pub(super) fn open_book(host: &HostConfig) -> Result<Book, StartError> {
    if !host.docker_journal().exists() {
        refuse_a_lost_one(host)?;
    }
    Ok(Book::open(&host.docker_journal())?)
}

/// They are made together: where one is in use and the other is not there, that one was lost.
fn refuse_a_lost_one(host: &HostConfig) -> Result<(), StartError> {
    let (docker, allocator) = (host.docker_journal(), host.allocator_journal());
    let lost = match (docker.exists(), allocator.exists()) {
        (true, true) | (false, false) => None,
        (true, false) => (Book::open(&docker)?.pages() != Pages::default()).then_some(allocator),
        (false, true) => {
            let (_, records) = Journal::<Line>::open(&allocator)?;
            (!records.is_empty()).then_some(docker)
        }
    };
    lost.map_or(Ok(()), |path| Err(StartError::JournalLost { path, what: "is lost" }))
}
