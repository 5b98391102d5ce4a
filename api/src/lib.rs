//! The wire types of the agent's local API.
