//! What is answered to which question of DNS, from which facts.
//!
//! A packet is read to a [`Query`], its name is of a [`Subject`], and the facts about that subject make a [`Reply`],
//! which is written to a packet. Where the facts come from, and who is asked about what is not ours, is the caller's
//! business.
//!
//! ```
//! use names::{Domain, Subject};
//!
//! let domain = Domain::parse("demo.internal")?;
//! assert_eq!(domain.subject("web.demo.internal"), Subject::Service("web".into()));
//! assert_eq!(domain.subject("example.org"), Subject::Elsewhere);
//! # Ok::<(), names::BadDomain>(())
//! ```
//!
//! Nothing here does I/O, reads a clock or spawns anything.

mod domain;
mod facts;
mod reply;
mod wire;

pub use domain::{BadDomain, Domain, Subject};
pub use facts::{Facts, Member, Port};
pub use reply::{Data, Kind, Record, Reply, of_address, of_container, of_service, of_the_domain};
pub use wire::{
    Code, Described, Heard, Query, SIZE_MAX, Way, answers_to, cut, describe, id_of, says_no_name,
    says_nothing, with_id,
};
