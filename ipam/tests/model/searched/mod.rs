//! A world of hosts, disks, containers and a store round the production code, small enough to be
//! searched to its end.

mod act;
mod deeds;
mod disk;
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
mod world;

pub(crate) use mix::Mix;
pub(crate) use mutation::Mutation;
pub(crate) use reached::Event;
pub(crate) use search::search;
