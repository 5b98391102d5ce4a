//! What an operator sees: help, tables, errors and hints, as `berth` prints them when it asks a fake
//! agent that speaks the real wire types on a real unix socket.

mod addresses;
mod drains;
mod errors;
mod fake;
mod given;
mod help;
mod history;
mod hosts;
mod json;
mod names;
mod networks;
mod orders;
mod pools;
mod rebuild;
mod services;
mod status;
mod upkeep;
