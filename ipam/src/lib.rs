//! Who may use which address: pure, no I/O, no clock.
//!
//! All hosts of a zone share every address of its subnets. Two machines decide, and nothing else:
//!
//! - A [`Block`] is a value in the store: which host holds which of at most 256 addresses.
//!   [`Block::apply`] makes the next value, or refuses; a transaction swaps one for the other.
//! - A [`Host`] is everything one host knows of its holdings. [`Host::step`] takes whatever happened
//!   (a request, an outcome, a watch event, time) and answers with what is to be done: write the
//!   journal, send a transaction, answer.
//!
//! Beside them, [`role`] decides when a silent host may be taken for dead, and when what it held may
//! be used again; a [`Rebuild`] says who is awaited after the store was lost.
//!
//! A shell executes those effects and reports their outcomes. It decides nothing: not what is
//! journalled before what is sent, not what is tried again, not under which number. So the same code
//! runs in production and under a test that crashes it between any two effects.
//!
//! # What it promises
//!
//! - An address is never used by two endpoints at once, whatever is late, lost or repeated.
//! - A request is answered from what is held with no round trip, longest-free address first; one
//!   host alone can use every address there is.
//! - An [`Epoch`] names one assignment and never repeats: a late release cannot close a newer one.
//! - Nothing is answered before the journal has it; nothing is sent before the journal is synced.
//! - An operation nobody knows the outcome of is settled, never guessed at.
//! - After a reboot nothing is used before the store has confirmed that it is still held.
//! - A released address cools; one that services knew cools until nothing in the cloud names it. One
//!   that was asked for by address cools for others only: who asks so again on this host gets it.
//! - A refusal says the whole reason ([`Refusal`], [`Shortage`]).
//!
//! [`check`] tells whether they are kept.
//!
//! # Example
//!
//! A shell in miniature: its journal is a `Vec`, and its store says yes to everything.
//!
//! ```
//! use std::collections::{BTreeMap, VecDeque};
//! use ipam::*;
//!
//! let (subnet, zone) = ("10.50.0.0/29".parse().unwrap(), Zone::from("dal10-900"));
//! let pool = PoolName::from("default");
//! let generation = Generation { number: 1, id: 7 };
//! let block = BlockId { subnet, index: 0 };
//! let stored = [
//!     (Prefix::Cluster, Key::Cluster, Value::Cluster(ClusterRecord {
//!         id: "demo".into(), generation, state: ClusterState::Open,
//!     })),
//!     (Prefix::Pools, Key::Pool(pool.clone()), Value::Pool(Pool {
//!         name: pool.clone(), cooling_millis: COOLING_MILLIS_DEFAULT,
//!     })),
//!     (Prefix::Subnets, Key::Subnet(subnet), Value::Subnet(Subnet {
//!         cidr: subnet, pool: pool.clone(), zone: zone.clone(), gateway: None,
//!     })),
//!     (
//!         Prefix::Blocks(zone.clone()),
//!         Key::Block { zone: zone.clone(), block },
//!         Value::Block(Block::open(block, 0, &BTreeMap::new())),
//!     ),
//! ];
//!
//! let identity = Identity {
//!     host: "h1".into(), instance: "i-1".into(), boot: "boot-1".into(), zones: [zone].into(),
//! };
//! let now = Timestamp(0);
//! let mut host = Host::recover(identity, now, []);
//!
//! let mut inputs: VecDeque<Input> = host.watches().into_iter().map(|prefix| Input::Listed {
//!     revision: Revision(1),
//!     entries: stored.iter().filter(|(of, ..)| *of == prefix).map(|(_, key, value)| Seen {
//!         key: key.clone(), value: Some(value.clone()), revision: Revision(1),
//!     }).collect(),
//!     prefix,
//! }).collect();
//! let wish = Wish::Any(Family::V4);
//! inputs.push_back(Input::Assign { request: RequestId(1), pool, wish, endpoint: None });
//!
//! let (mut journal, mut revision, mut answer) = (Vec::new(), 1, None);
//! while let Some(input) = inputs.pop_front() {
//!     for effect in host.step(now, input) {
//!         match effect {
//!             Effect::Persist { token, records, .. } => {
//!                 journal.extend(records);
//!                 inputs.push_back(Input::Persisted { token, outcome: Persisted::Done });
//!             }
//!             Effect::Send { token, .. } => {
//!                 revision += 1;
//!                 let outcome = Sent::Committed { revision: Revision(revision) };
//!                 inputs.push_back(Input::Sent { token, outcome });
//!             }
//!             Effect::Answer { result, .. } => answer = Some(result),
//!             Effect::Read { .. } | Effect::Silence { .. } => (),
//!         }
//!     }
//! }
//!
//! let Some(Ok(Answer::Assigned(assignment))) = answer else { panic!("{answer:?}") };
//! assert!(subnet.contains(assignment.address));
//! assert_eq!(check::view_broken(&host.view(now)), Vec::<String>::new());
//! ```

mod block;
pub mod check;
mod cluster;
mod epoch;
mod host;
mod names;
mod pool;
mod rebuild;
mod record;
mod refusal;
pub mod role;
mod transaction;
mod view;

pub use block::{Block, BlockCommand, BlockCounts, BlockState, Held, Quarantined, SetAside, Step};
pub use cluster::{
    Ask, ClusterRecord, ClusterState, Dependent, EndpointRecord, Eviction, EvictionWord, HostRecord,
    Published, SignOfLife, Surplus, Want,
};
pub use epoch::{Epoch, Generation};
pub use host::{
    Answer, Assignment, Durability, Effect, Explanation, Family, Host, Identity, Input, Persisted,
    REQUEST_PATIENCE_MILLIS, Released, Wish,
};
pub use names::{
    BLOCK_ADDRESSES_MAX, BlockId, BootId, EndpointId, Holder, HostId, Incarnation, InstanceId, PoolName,
    RequestId, ReservationName, Revision, Timestamp, Token, Zone,
};
pub use pool::{COOLING_MILLIS_DEFAULT, Pool, Reservation, Subnet};
pub use rebuild::{Rebuild, next_generation};
pub use record::{Deed, Holding, Life, Operation, Record};
pub use refusal::{AddressState, Capacity, CoolingWait, NotReady, Refusal, Shortage, Usage};
pub use transaction::{Compare, Key, Prefix, Seen, Sent, Transaction, Value, Write};
pub use view::{AddressView, BlockView, EvictedView, HoldingCounts, PoolView, SubnetView, View};
