//! The book: networks, endpoints and lent addresses as Docker told them, kept on disk.
//!
//! A change is decided from the pages, written to the journal, and only then believed.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ipam::EndpointId;

use super::record::{Endpoint, Lent, Network, NetworkId, Record, Stage};
use crate::journal::{Durability, Journal, JournalError};

/// How many records the journal may hold beyond what is true now, before it is written anew.
const STALE_RECORDS_MAX: usize = 4096;

/// The shared, durable book. Clones are the same book.
#[derive(Clone)]
pub struct Book {
    inner: Arc<Mutex<Inner>>,
    lending: Arc<tokio::sync::Mutex<()>>,
}

struct Inner {
    pages: Pages,
    journal: Journal<Record>,
    records: usize,
}

impl Book {
    /// Opens `docker.journal` and reads it to its end.
    pub fn open(file: &Path) -> Result<Book, JournalError> {
        let (journal, records) = Journal::open(file)?;
        let inner = Inner { pages: Pages::read(&records), journal, records: records.len() };
        Ok(Book { inner: Arc::new(Mutex::new(inner)), lending: Arc::default() })
    }

    /// The turn to end the lending of an address: asked for again, or taken back for good. Neither must act on
    /// what the other changes meanwhile. Kept for a moment only, because the reconciler waits for it.
    pub async fn lending(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.lending.lock().await
    }

    /// What the book says now.
    pub fn pages(&self) -> Pages {
        self.lock().pages.clone()
    }

    /// Answers a question from the pages without copying them.
    pub fn read<T>(&self, question: impl FnOnce(&Pages) -> T) -> T {
        question(&self.lock().pages)
    }

    /// Decides a change from the pages and writes it, with nobody in between.
    ///
    /// Nothing is believed that could not be written.
    pub fn change<E: From<JournalError>>(
        &self,
        durability: Durability,
        decide: impl FnOnce(&Pages) -> Result<Vec<Record>, E>,
    ) -> Result<(), E> {
        let mut inner = self.lock();
        let records = decide(&inner.pages)?;
        if !records.is_empty() {
            inner.write(&records, durability)?;
        }
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The pages change only after the journal has taken the records, so a panic leaves them whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn write(&mut self, records: &[Record], durability: Durability) -> Result<(), JournalError> {
        self.journal.append(records, durability)?;
        for record in records {
            self.pages.apply(record.clone());
        }
        self.records += records.len();
        if self.records > self.pages.len() + STALE_RECORDS_MAX {
            let snapshot = self.pages.records();
            match self.journal.compact(&snapshot) {
                Ok(()) => self.records = snapshot.len(),
                // What was asked is written; only the tidying is late.
                Err(error) => tracing::warn!(%error, "could not compact docker.journal; tried again"),
            }
        }
        Ok(())
    }
}

/// What the book says: a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pages {
    /// Docker's networks of our driver.
    pub networks: BTreeMap<NetworkId, Network>,
    /// Their endpoints, until their addresses are released.
    pub endpoints: BTreeMap<EndpointId, Endpoint>,
    /// Addresses lent to Docker's own bridge driver.
    pub lent: BTreeMap<IpAddr, Lent>,
}

impl Pages {
    /// The pages that these records amount to.
    pub fn read(records: &[Record]) -> Pages {
        let mut pages = Pages::default();
        for record in records {
            pages.apply(record.clone());
        }
        pages
    }

    /// The endpoint that has, or last had, the address.
    pub fn endpoint_at(&self, address: IpAddr) -> Option<&Endpoint> {
        // While an address is in the book twice, the older endpoint is the one that is leaving.
        self.endpoints.values().filter(|endpoint| endpoint.address.ip() == address).min_by_key(|it| it.stage)
    }

    /// Endpoints whose end the allocator has not heard of, or not confirmed.
    pub fn debts(&self) -> impl Iterator<Item = &Endpoint> {
        self.endpoints.values().filter(|endpoint| endpoint.stage >= Stage::Deleted)
    }

    fn apply(&mut self, record: Record) {
        match record {
            Record::Network(network) => drop(self.networks.insert(network.id.clone(), network)),
            Record::NetworkGone(id) => drop(self.networks.remove(&id)),
            Record::Endpoint(endpoint) => drop(self.endpoints.insert(endpoint.id.clone(), endpoint)),
            Record::EndpointGone(id) => drop(self.endpoints.remove(&id)),
            Record::Lent(lent) => drop(self.lent.insert(lent.address.ip(), lent)),
            Record::LentGone(address) => drop(self.lent.remove(&address)),
        }
    }

    fn len(&self) -> usize {
        self.networks.len() + self.endpoints.len() + self.lent.len()
    }

    /// The fewest records that amount to these pages.
    pub(crate) fn records(&self) -> Vec<Record> {
        let networks = self.networks.values().cloned().map(Record::Network);
        let endpoints = self.endpoints.values().cloned().map(Record::Endpoint);
        let lent = self.lent.values().cloned().map(Record::Lent);
        networks.chain(endpoints).chain(lent).collect()
    }
}

#[cfg(test)]
mod tests;
