//! Who had which address when: intervals, how they are packed, and the shelf they lie on.
//!
//! An [`Interval`] is one assignment of one address, from its opening to its end. The [`Tally`] derives
//! intervals from what a host writes into its journal, so that none is lost that the journal has. A
//! [`segment`] packs some hundreds of closed ones into one value, which is a file of JSON lines to any
//! `zstd` tool. A [`Shelf`] keeps segments on a disk and finds in them. [`check`] says whether what was
//! found can be true: the oracle's sixth sentence. [`letter`]s are how hosts ask each other for what only their disks have.
//!
//! Nothing here reads a clock, waits, or knows a store.

pub mod check;
mod interval;
pub mod letter;
mod names;
mod query;
pub mod segment;
mod shelf;
mod tally;

pub use interval::{Container, End, Interval, Moment, Why};
pub use query::{Query, merged};
pub use segment::{Segment, SegmentError, Summary};
pub use shelf::{Shelf, ShelfError};
pub use tally::{Cause, Draft, Entry, Hearing, Note, Tally};
