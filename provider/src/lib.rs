//! What Berth asks of a cloud.
