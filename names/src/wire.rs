//! From packets to questions, and from replies to packets. Sources: RFC 1035, section 4; RFC 6891 for EDNS; RFC 2308 for
//! how long a "no" counts.

use hickory_proto::op::{Edns, Message, MessageType, Metadata, OpCode, Query as Question, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, PTR, SOA, SRV};
use hickory_proto::rr::{DNSClass, Name, RData, Record as WireRecord, RecordType};

use crate::domain::{Domain, Subject};
use crate::reply::{Data, Kind, Record, Reply};

/// The largest packet over UDP: what passes every path without being cut to pieces. Source: DNS flag day 2020.
pub const SIZE_MAX: u16 = 1232;

/// What everybody takes over UDP. Source: RFC 1035, section 2.3.4.
const SIZE_MIN: u16 = 512;

/// How long the header is. Source: RFC 1035, section 4.1.1.
const HEADER: usize = 12;

/// How a packet comes and goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// One datagram each way.
    Udp,
    /// A length before each packet.
    Tcp,
}

/// Why a question is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// It cannot be told now.
    Failed,
    /// Who asks may not.
    Refused,
}

/// What came in a packet.
#[derive(Clone, Debug)]
pub enum Heard {
    /// A question.
    Query(Box<Query>),
    /// Something wrong, and what is answered to it.
    Wrong(Vec<u8>),
    /// Nothing that may be answered: an answer to an answer would go round for ever.
    Nothing,
}

/// A question as it came.
#[derive(Clone, Debug)]
pub struct Query {
    metadata: Metadata,
    question: Question,
    edns: Option<Edns>,
    name: String,
}

impl Query {
    /// Reads a packet. Whatever is in it, this ends, and takes no more memory than a few times its size.
    pub fn read(packet: &[u8]) -> Heard {
        let Some([id_high, id_low, flags, _, questions_high, questions_low, ..]) = packet.get(..HEADER)
        else {
            return Heard::Nothing;
        };
        if flags & 0x80 != 0 {
            return Heard::Nothing;
        }
        let (id, op_code) = (u16::from_be_bytes([*id_high, *id_low]), OpCode::from_u8((flags >> 3) & 0x0f));
        let wrong = |code| Heard::Wrong(encoded(&Message::error_msg(id, op_code, code)));
        if op_code != OpCode::Query {
            return wrong(ResponseCode::NotImp);
        }
        // Looked at before the rest is: room is made for as many as are announced.
        if u16::from_be_bytes([*questions_high, *questions_low]) != 1 {
            return wrong(ResponseCode::FormErr);
        }
        let Ok(mut message) = Message::from_vec(packet) else { return wrong(ResponseCode::FormErr) };
        let Some(question) = message.queries.pop() else { return wrong(ResponseCode::FormErr) };
        let name = text(question.name());
        let edns = message.edns.take();
        let query = Query { metadata: message.metadata, question, edns, name };
        if query.edns.as_ref().is_some_and(|edns| edns.version() != 0) {
            return Heard::Wrong(query.nothing(ResponseCode::BADVERS));
        }
        let transfer = [RecordType::AXFR, RecordType::IXFR].contains(&query.question.query_type());
        if transfer || !matches!(query.question.query_class(), DNSClass::IN | DNSClass::ANY) {
            return Heard::Wrong(query.nothing(ResponseCode::Refused));
        }
        Heard::Query(Box::new(query))
    }

    /// A question as a client would ask it; none if the text is no name.
    pub fn ask(name: &str, kind: Kind) -> Option<Self> {
        let wire = wire_name(name.trim_end_matches('.'))?;
        let mut metadata = Metadata::new(0, MessageType::Query, OpCode::Query);
        metadata.recursion_desired = true;
        let name = text(&wire);
        Some(Self { metadata, question: Question::query(wire, record_type(kind)), edns: None, name })
    }

    /// It as a packet.
    pub fn packet(&self) -> Vec<u8> {
        let mut message = Message::new(self.metadata.id, MessageType::Query, OpCode::Query);
        message.metadata = self.metadata;
        message.add_query(self.question.clone());
        message.edns = self.edns.clone();
        encoded(&message)
    }

    /// The name that is asked for: lower case, no dot at its end.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is asked for.
    pub fn kind(&self) -> Kind {
        match self.question.query_type() {
            RecordType::A => Kind::A,
            RecordType::AAAA => Kind::Aaaa,
            RecordType::SRV => Kind::Srv,
            RecordType::PTR => Kind::Ptr,
            RecordType::SOA => Kind::Soa,
            RecordType::ANY => Kind::Any,
            _ => Kind::Other,
        }
    }

    /// What makes two questions one: name, type, and whether signatures are asked for.
    pub fn same(&self) -> (String, u16, bool) {
        let signed = self.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok);
        (self.name.clone(), self.question.query_type().into(), signed)
    }

    /// How large an answer may be.
    pub fn room(&self, way: Way) -> usize {
        match (way, &self.edns) {
            (Way::Tcp, _) => usize::from(u16::MAX),
            (Way::Udp, None) => usize::from(SIZE_MIN),
            (Way::Udp, Some(edns)) => usize::from(edns.max_payload().clamp(SIZE_MIN, SIZE_MAX)),
        }
    }

    /// The reply as a packet. What does not fit is left out: first what was not asked for, then answers, and then
    /// the packet says so.
    pub fn reply(&self, reply: &Reply, subject: &Subject, domain: &Domain, ttl: u32, way: Way) -> Vec<u8> {
        let mut message = self.response();
        message.metadata.authoritative = true;
        match reply {
            Reply::Records { answers, beside } => {
                message.answers = self.records(answers, domain, ttl);
                message.additionals = self.records(beside, domain, ttl);
            }
            Reply::NoData | Reply::NoName => {
                if *reply == Reply::NoName {
                    message.metadata.response_code = ResponseCode::NXDomain;
                }
                message.authorities.extend(self.soa_of(subject, domain, ttl));
            }
        }
        fitted(message, self.room(way))
    }

    /// Says that there is no answer.
    pub fn fail(&self, code: Code) -> Vec<u8> {
        self.nothing(match code {
            Code::Failed => ResponseCode::ServFail,
            Code::Refused => ResponseCode::Refused,
        })
    }

    fn nothing(&self, code: ResponseCode) -> Vec<u8> {
        let mut message = self.response();
        message.metadata.response_code = code;
        encoded(&message)
    }

    fn response(&self) -> Message {
        let mut message = Message::response(self.metadata.id, self.metadata.op_code);
        message.metadata = Metadata::response_from_request(&self.metadata);
        message.metadata.recursion_available = true;
        // As it was asked, letter by letter: some who ask look at that.
        message.add_query(self.question.clone());
        message.edns = self.edns.as_ref().map(|_| {
            let mut edns = Edns::new();
            edns.set_max_payload(SIZE_MAX);
            edns
        });
        message
    }

    fn records(&self, records: &[Record], domain: &Domain, ttl: u32) -> Vec<WireRecord> {
        // A name that cannot be written is left out: containers may be called as they like.
        let record = |record: &Record| {
            let name = match &record.name {
                None => self.question.name().clone(),
                Some(name) => wire_name(name)?,
            };
            let data = match &record.data {
                Data::Address(std::net::IpAddr::V4(v4)) => RData::A(A(*v4)),
                Data::Address(std::net::IpAddr::V6(v6)) => RData::AAAA(AAAA(*v6)),
                Data::Port { weight, port, target } => {
                    RData::SRV(SRV::new(0, *weight, *port, wire_name(target)?))
                }
                Data::Name(name) => RData::PTR(PTR(wire_name(name)?)),
                Data::Soa => RData::SOA(soa(domain, ttl)?),
            };
            Some(WireRecord::from_rdata(name, ttl, data))
        };
        records.iter().filter_map(record).collect()
    }

    /// Without it nobody may remember a "no".
    fn soa_of(&self, subject: &Subject, domain: &Domain, ttl: u32) -> Option<WireRecord> {
        let zone = match subject {
            // Of the reverse tree we have single addresses. The zone must lie above the name.
            Subject::Address(_) => self.question.name().base_name(),
            Subject::Bare(_) => self.question.name().clone(),
            _ => wire_name(domain.as_str())?,
        };
        Some(WireRecord::from_rdata(zone, ttl, RData::SOA(soa(domain, ttl)?)))
    }
}

/// A packet cut to the size: its question, and the word that there is more. None if it is no packet.
pub fn cut(packet: &[u8], room: usize) -> Option<Vec<u8>> {
    if packet.len() <= room {
        return Some(packet.to_vec());
    }
    let message = Message::from_vec(packet).ok()?;
    Some(encoded(&message.truncate()))
}

/// Whether a packet answers a question: it is an answer, under the same number, and repeats the question.
pub fn answers_to(question: &[u8], answer: &[u8]) -> bool {
    let is_answer = answer.get(2).is_some_and(|flags| flags & 0x80 != 0);
    let Some(end) = end_of_question(question) else { return false };
    let (asked, repeated) = (question.get(HEADER..end), answer.get(HEADER..end));
    let repeated = asked.zip(repeated).is_some_and(|(asked, repeated)| asked.eq_ignore_ascii_case(repeated));
    is_answer && id_of(question) == id_of(answer) && repeated
}

/// Whether a packet says that there is no such name.
pub fn says_no_name(packet: &[u8]) -> bool {
    packet.get(3).is_some_and(|flags| u16::from(flags & 0x0f) == u16::from(ResponseCode::NXDomain))
}

/// Whether who sent this packet could not or would not answer, so that another may be asked.
pub fn says_nothing(packet: &[u8]) -> bool {
    let codes = [ResponseCode::ServFail, ResponseCode::Refused, ResponseCode::NotImp].map(u16::from);
    packet.get(3).is_none_or(|flags| codes.contains(&u16::from(flags & 0x0f)))
}

/// Where the first question of a packet ends.
fn end_of_question(packet: &[u8]) -> Option<usize> {
    let mut place = HEADER;
    loop {
        match packet.get(place)? {
            // Its type and its class.
            0 => return Some(place + 1 + 4),
            length => place += 1 + usize::from(*length),
        }
    }
}

/// The number of a packet, by which an answer is known.
pub fn id_of(packet: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes([*packet.first()?, *packet.get(1)?]))
}

/// The packet under another number.
pub fn with_id(mut packet: Vec<u8>, id: u16) -> Vec<u8> {
    if let Some(place) = packet.get_mut(..2) {
        place.copy_from_slice(&id.to_be_bytes());
    }
    packet
}

/// A packet for people: the code of the answer, and a line for each record. None if it is no packet.
pub fn describe(packet: &[u8]) -> Option<(String, Vec<Described>)> {
    let message = Message::from_vec(packet).ok()?;
    let described = |record: &WireRecord| Described {
        name: text(&record.name),
        kind: record.record_type().to_string(),
        data: record.data.to_string().trim_end_matches('.').to_owned(),
        ttl: record.ttl,
    };
    let code = message.metadata.response_code.to_str().to_owned();
    Some((code, message.answers.iter().map(described).collect()))
}

/// A record for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Of which name.
    pub name: String,
    /// Of which type, such as `A`.
    pub kind: String,
    /// What it says.
    pub data: String,
    /// For how many seconds it may be remembered.
    pub ttl: u32,
}

/// The packet, with as much of it as has room.
fn fitted(mut message: Message, room: usize) -> Vec<u8> {
    let whole = encoded(&message);
    if whole.len() <= room {
        return whole;
    }
    message.additionals.clear();
    let without = encoded(&message);
    if without.len() <= room {
        return without;
    }
    message.metadata.truncation = true;
    let answers = std::mem::take(&mut message.answers);
    let mut with = |count: usize| {
        message.answers = answers.iter().take(count).cloned().collect();
        encoded(&message)
    };
    // How long a record is depends on those before it: it is tried how many have room.
    let (mut fits, mut packet, mut too_many) = (0, with(0), answers.len());
    while too_many - fits > 1 {
        let count = fits.midpoint(too_many);
        let tried = with(count);
        if tried.len() <= room { (fits, packet) = (count, tried) } else { too_many = count }
    }
    packet
}

fn encoded(message: &Message) -> Vec<u8> {
    // Names were read from a packet or made of labels that fit. More than 64 KiB is cut short by the encoder, which
    // says so in the packet.
    message.to_vec().unwrap_or_default()
}

fn soa(domain: &Domain, ttl: u32) -> Option<SOA> {
    let (zone, who) = (wire_name(domain.as_str())?, wire_name(&format!("hostmaster.{domain}"))?);
    // Nobody copies this zone: the times of copies mean nothing. The last one is how long a "no" counts.
    let hour = 3_600;
    Some(SOA::new(zone, who, 1, hour, hour, hour, ttl))
}

fn wire_name(text: &str) -> Option<Name> {
    Name::from_labels(text.split('.').map(str::as_bytes)).ok()
}

/// A name as a text in lower case. What is no plain letter in a label is replaced by one that no name of ours has.
fn text(name: &Name) -> String {
    let mut text = String::with_capacity(name.len());
    for label in name.iter() {
        if !text.is_empty() {
            text.push('.');
        }
        text.extend(label.iter().map(|byte| match byte {
            b'.' | 0..=0x20 | 0x7f..=0xff => '\u{fffd}',
            byte => char::from(byte.to_ascii_lowercase()),
        }));
    }
    text
}

fn record_type(kind: Kind) -> RecordType {
    match kind {
        Kind::A => RecordType::A,
        Kind::Aaaa => RecordType::AAAA,
        Kind::Srv => RecordType::SRV,
        Kind::Ptr => RecordType::PTR,
        Kind::Soa => RecordType::SOA,
        Kind::Any | Kind::Other => RecordType::ANY,
    }
}

#[cfg(test)]
mod tests;
