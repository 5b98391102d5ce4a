//! What every store promises, kept by real etcds on this machine.

mod member;
mod promises;
