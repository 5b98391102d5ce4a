//! berth-mock-cloud.
fn main() {}
