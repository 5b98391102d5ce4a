//! Where shared state lives: one trait, several implementations.
