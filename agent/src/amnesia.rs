//! How a journal that reads well shows that it has lost its end: the other one knows more.
//!
//! A log that ends too early looks like one that was never longer. But an assignment is in the allocator's
//! journal before Docker's knows of it, and its counter only grows.

use ipam::{Epoch, Record};

use crate::docker::Pages;

/// Whether the book has an assignment that was made after the last one that these records know.
pub fn lost_its_end(memory: &[Record], book: &Pages) -> bool {
    let known = memory.iter().filter_map(Record::counter).max().unwrap_or(0);
    let endpoints = book.endpoints.values().map(|it| it.epoch);
    let told = endpoints.chain(book.lent.values().map(|it| it.epoch));
    told.map(|Epoch { counter, .. }| counter).max().is_some_and(|told| told > known)
}

#[cfg(test)]
mod tests {
    use hostnet::{IfName, Mac};
    use ipam::{Generation, Life, Usage};

    use super::*;
    use crate::docker::{Endpoint, Lent, NetworkId, Stage};

    fn epoch(counter: u64) -> Epoch {
        Epoch { generation: Generation { number: 1, id: 1 }, take: 1, counter }
    }

    fn memory(counter: u64) -> Vec<Record> {
        let block = ipam::BlockId { subnet: "10.50.0.0/26".parse().unwrap(), index: 0 };
        let state =
            Life::Assigned { epoch: epoch(counter), usage: Usage::Unbound, exact: false, published: false };
        let holding = ipam::Holding {
            generation: epoch(1).generation,
            incarnation: ipam::Incarnation(1),
            take: 1,
            reserved: None,
            state,
        };
        let address = "10.50.0.2".parse().unwrap();
        let gone = Record::Address { block, address, holding: None };
        vec![Record::Counter(1), Record::Address { block, address, holding: Some(holding) }, gone]
    }

    fn book(counter: u64) -> Pages {
        let mut pages = Pages::default();
        let endpoint = Endpoint {
            id: "e".into(),
            network: NetworkId("n".into()),
            address: "10.50.0.2/26".parse().unwrap(),
            gateway: None,
            epoch: epoch(counter),
            mac: Mac([2, 0, 0, 0, 0, 1]),
            ports: Vec::new(),
            published: false,
            stage: Stage::Joined,
        };
        pages.endpoints.insert("e".into(), endpoint);
        pages
    }

    fn lent(counter: u64) -> Pages {
        let lent = Lent {
            address: "10.50.0.2/26".parse().unwrap(),
            gateway: None,
            epoch: epoch(counter),
            zone: "vlan".into(),
            bridge: IfName::parse("brcloud").ok(),
            endpoint: None,
            former: None,
            released: false,
        };
        Pages { lent: [("10.50.0.2".parse().unwrap(), lent)].into(), ..Pages::default() }
    }

    #[test]
    fn a_journal_has_lost_its_end_if_the_book_knows_a_later_assignment() {
        for (memory, book, lost) in [
            (memory(4), book(3), false),
            // Also where the address was given back since.
            (memory(4), book(4), false),
            (memory(4), book(5), true),
            (memory(4), lent(5), true),
            (vec![Record::Counter(5)], book(5), false),
            (vec![], book(1), true),
            (vec![], Pages::default(), false),
        ] {
            assert_eq!(lost_its_end(&memory, &book), lost, "{memory:?} {book:?}");
        }
    }
}
