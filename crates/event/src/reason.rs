//! Why a value is invalid.

use crate::kind::codes;

codes! {
    /// Why a value is invalid; [`Reason::Valid`] where it is not. The codes are part of snapshots and of vector digests.
    Reason {
        /// The value holds.
        Valid = 0 "VALID",
        /// The window is not full yet.
        Warmup = 1 "WARMUP",
        /// The input never had a value.
        Missing = 2 "MISSING",
        /// A side of the book, or a bar, is empty.
        Empty = 3 "EMPTY",
        /// The calculation gave no number.
        Nan = 4 "NAN",
        /// An operand was outside the operator's domain, such as a division by zero.
        Domain = 5 "DOMAIN",
        /// The feed lost messages.
        Gap = 6 "GAP",
        /// The book waits for its snapshot.
        Building = 7 "BUILDING",
        /// The input is older than its declared greatest age.
        Stale = 8 "STALE",
        /// The best bid is not below the best ask.
        Crossed = 9 "CROSSED",
        /// The venue has halted the instrument.
        Halted = 10 "HALTED",
        /// The window holds more entries than its cap.
        Overflow = 11 "OVERFLOW",
        /// The feed is down.
        Disconnected = 12 "DISCONNECTED",
        /// Beyond the levels that a snapshot of limited depth told: nobody knows what stands there.
        Depth = 13 "DEPTH",
        /// The book did not meet the venue's checksum.
        Checksum = 14 "CHECKSUM",
        /// The instrument is no member of the universe at that time.
        NotMember = 15 "NOT_MEMBER",
        /// Fewer members of the universe have a value than are asked for.
        TooFew = 16 "TOO_FEW",
    }
}
