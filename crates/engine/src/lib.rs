//! One deep object: run a Plan over events.
