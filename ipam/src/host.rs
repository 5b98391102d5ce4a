//! A host: what it holds, what it may assign, and what it is waiting for.
//!
//! One function, [`Host::step`], takes everything that happens and says what is to be done. It is
//! total: no input is a mistake it cannot bear.
//!
//! The shell's loop: feed [`Input::Listed`] for every prefix of `Host::watches() -> Vec<Prefix>`,
//! then [`Input::Seen`] as events arrive; feed requests; carry out effects in order and feed their
//! outcomes; feed [`Input::Tick`] at `Host::next_deadline() -> Option<Timestamp>`. The rest:
//!
//! - `Host::recover(identity: Identity, now: Timestamp, records: impl IntoIterator<Item = Record>) -> Host`
//! - `Host::step(&mut self, now: Timestamp, input: Input) -> Vec<Effect>`
//! - `Host::snapshot(&self) -> Vec<Record>`: what a compacted journal holds
//! - `Host::view(&self, now: Timestamp) -> View`

mod input;

pub use input::{
    Answer, Assignment, Durability, Effect, Explanation, Family, Identity, Input, Persisted, Released, Wish,
};

/// How long a request may wait for the store or for other hosts, in milliseconds. Docker itself
/// waits for ever, but gives up connecting after 15 s: an answer must come before.
pub const REQUEST_PATIENCE_MILLIS: u64 = 10_000;

/// What one host knows and does. See the module's words for how to drive it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    identity: Identity,
}
