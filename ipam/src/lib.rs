//! Who may use which address: pure, no I/O, no clock.
