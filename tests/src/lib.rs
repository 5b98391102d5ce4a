//! Whole-system tests and the lab they stand on; not published.

pub mod balancers;
pub mod lab;
pub mod names;
pub mod plugin;
pub mod stage;
pub mod story;
