//! Order books and bars built from events.
