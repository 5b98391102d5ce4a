//! Who may use which address: pure, no I/O, no clock.

mod block;
pub mod check;
mod cluster;
mod epoch;
mod host;
mod names;
mod pool;
mod record;
mod refusal;
mod transaction;
mod view;

pub use block::{Block, BlockCommand, BlockCounts, BlockState, Held, Quarantined, SetAside, Step};
pub use cluster::{
    Ask, ClusterRecord, ClusterState, Dependent, EndpointRecord, HostRecord, Published, Surplus, Want,
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
pub use record::{Deed, Holding, Life, Operation, Record};
pub use refusal::{AddressState, Capacity, CoolingWait, NotReady, Refusal, Shortage, Usage};
pub use transaction::{Compare, Key, Prefix, Seen, Sent, Transaction, Value, Write};
pub use view::{AddressView, BlockView, HoldingCounts, PoolView, SubnetView, View};
