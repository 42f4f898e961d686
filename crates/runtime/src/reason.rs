//! Why a value is invalid.

use std::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $code:literal $name:literal,)+) => {
        /// Why a value is invalid; [`Reason::Valid`] where it is not. The codes are part of snapshots and of vector digests.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Reason { $($(#[$doc])* $variant = $code,)+ }

        impl Reason {
            /// The code, as registers and snapshots hold it.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The reason with this code; `None` if there is none.
            pub const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$variant),)+
                    _ => None,
                }
            }

            /// The name, as tables and logs write it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

reasons! {
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

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
