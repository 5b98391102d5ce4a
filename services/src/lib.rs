//! Which containers are in which service, and which of them take part.
//!
//! A [`Service`](api::Service) is declared by an operator, or is there because containers have its label. Each host
//! finds its own members ([`select`]) and writes them to the store; whoever needs them reads all of them and judges
//! who takes part ([`judge`]), from what the hosts wrote and which of them live ([`Vigil`]). The owner of a load balancer
//! brings that to the provider, one step at a time ([`balancing::next`]); so does the
//! owner of a firewall ([`firewalling::next`]).
//!
//! Nothing here does I/O, reads a clock or spawns anything.

pub mod balancing;
mod declaration;
mod difference;
pub mod firewalling;
mod judgement;
mod labels;
mod member;
mod policy;
mod selection;
mod step;
mod vigil;

pub use balancing::Limits;
pub use declaration::{Abilities, Declined, check};
pub use difference::difference;
pub use judgement::{Standing, judge};
pub use labels::{LabelFault, Shorthand, implied};
pub use member::{Draining, Member};
pub use policy::{Addresses, Guarding, Opening, guard, openings, peers};
pub use selection::{Candidate, Selected, select};
pub use step::Step;
pub use vigil::{TOGETHER_MILLIS, Vigil};
