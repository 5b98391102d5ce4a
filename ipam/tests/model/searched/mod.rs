//! A world of hosts, disks, containers and a store round the production code, small enough to be
//! searched to its end.

mod act;
mod calls;
mod containers;
mod deeds;
mod disk;
mod life;
mod machine;
mod mix;
mod mutation;
mod normal;
mod oracle;
mod reached;
mod role;
mod search;
mod stage;
mod store;
mod story;
mod watching;
mod world;
mod writing;

pub(crate) use mix::Mix;
pub(crate) use mutation::Mutation;
pub(crate) use reached::Event;
pub(crate) use search::{search, search_near};
