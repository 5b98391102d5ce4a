//! What tests of owners share: a world in which agents can be killed.

pub(super) mod world;
