//! What a status message says, and whom it concerns.

use crate::kind::codes;

codes! {
    /// What a status message says.
    StatusCode {
        /// The feed is up.
        Connected = 1 "connected",
        /// The feed is down; what was known of the book no longer holds.
        Disconnected = 2 "disconnected",
        /// The venue has stopped trading.
        Halted = 3 "halted",
        /// The venue trades again.
        Resumed = 4 "resumed",
        /// Whoever read the feed was behind: before the next message of the stream so many were left out that it replaces.
        /// The stream, with the number in the column `count`, is always said; nothing else has changed.
        Conflated = 5 "conflated",
    }
}

codes! {
    /// Whom a status concerns.
    Scope {
        /// The instrument that the message names.
        Instrument = 1 "instrument",
        /// All instruments of the venue of the instrument that the message names.
        Venue = 2 "venue",
        /// All instruments of all venues; the message names none.
        All = 3 "all",
    }
}
