//! What would be answered to a name, and on whose word: for `berth name`.

use std::net::{IpAddr, Ipv4Addr};

use api::{NameRecord, NameReport};
use names::{Described, Kind, Query, Way, describe};

use super::Names;
use super::resolver::{Found, Word};

/// Who asks, as far as the store's budget goes: the operator.
const OPERATOR: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

impl Names {
    /// What would be answered; none if the text is no name.
    pub(crate) async fn inquire(&self, text: &str) -> Option<NameReport> {
        let (name, kinds) = match text.parse::<IpAddr>() {
            Ok(address) => (reverse(address), vec![Kind::Ptr]),
            Err(_) if text.starts_with('_') => (text.to_owned(), vec![Kind::Srv]),
            Err(_) => (text.to_owned(), vec![Kind::A, Kind::Aaaa]),
        };
        let mut report = NameReport {
            asked: name.trim_end_matches('.').to_ascii_lowercase(),
            answer: String::new(),
            records: Vec::new(),
            word: String::new(),
        };
        for kind in kinds {
            let query = Query::ask(&name, kind)?;
            let (packet, word) = self.asked(&query).await;
            let Some((answer, records)) = packet.as_deref().and_then(describe) else {
                report.answer = "no answer".to_owned();
                report.word = word;
                return Some(report);
            };
            // A name with addresses of one kind is not without an answer because it has none of the other.
            if report.records.is_empty() {
                report.answer = if records.is_empty() && answer == "No Error" {
                    "nothing of that kind".to_owned()
                } else {
                    answer
                };
                report.word = word;
            }
            report.records.extend(records.into_iter().map(record));
        }
        Some(report)
    }

    async fn asked(&self, query: &Query) -> (Option<Vec<u8>>, String) {
        let resolver = &self.resolver;
        let subject = resolver.domain().subject(query.name());
        match resolver.find(&subject, query.kind(), OPERATOR).await {
            Found::Reply(reply, word) => {
                let packet = query.reply(&reply, &subject, resolver.domain(), resolver.ttl_secs(), Way::Tcp);
                (Some(packet), in_words(&word))
            }
            Found::Unsure(unsure) => (None, unsure.0),
            Found::Forward { unless } => {
                let others: Vec<String> = resolver.others().await.iter().map(ToString::to_string).collect();
                let word = match (&unless, others.is_empty()) {
                    (_, true) => "not ours, and there is no other resolver to ask".to_owned(),
                    (None, _) => format!("not ours: forwarded to {}", others.join(", ")),
                    (Some(why), _) => format!("forwarded to {}; may be ours: {}", others.join(", "), why.0),
                };
                (resolver.ask_others(query, Way::Udp).await, word)
            }
        }
    }
}

fn in_words(word: &Word) -> String {
    match word {
        Word::Nobodys => "so by what the name is".to_owned(),
        Word::Members(service) => format!("the members of service {service}, as their hosts tell them"),
        Word::Docker => "the containers of this host, as Docker shows them".to_owned(),
        Word::NoHost => "no host has told of such a container".to_owned(),
        Word::Hosts(hosts) => {
            let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
            format!("the containers of {}, as told by their hosts", hosts.join(", "))
        }
    }
}

fn record(Described { name, kind, data, ttl }: Described) -> NameRecord {
    NameRecord { name, kind, data, ttl_secs: ttl }
}

fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let nibbles = format!("{:032x}", v6.to_bits());
            let nibbles: Vec<String> = nibbles.chars().rev().map(String::from).collect();
            format!("{}.ip6.arpa", nibbles.join("."))
        }
    }
}
