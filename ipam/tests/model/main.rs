//! Every world that a few hosts on a few addresses can reach, under stated faults, searched to the
//! end: the production code of [`ipam`] steps, and an oracle that sees all containers at once looks.
//!
//! `docs/decisions/0006-model.md` says what is modelled and what is not. Larger mixes, and any other:
//! `make model`.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

mod mixes;
mod mutations;
mod searched;
