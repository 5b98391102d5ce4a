//! What an operator sees: help, tables, errors and hints, as `berth` prints them when it asks a fake
//! agent that speaks the real wire types on a real unix socket.

mod answers;
mod errors;
mod fake;
mod help;
mod history;
mod json;
mod orders;
mod rebuild;
