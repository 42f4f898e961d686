//! The small closed sets a row is made of, with their codes on the tape.

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $code,)+ }

        impl $name {
            /// Every value, in the order of the codes.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The code on the tape.
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The value with this code; `None` if there is none.
            pub const fn from_code(code: u8) -> Option<$name> {
                match code {
                    $($code => Some($name::$variant),)+
                    _ => None,
                }
            }

            /// The name as it is written in tables, logs and settings.
            pub const fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}
pub(crate) use codes;

codes! {
    /// What a message is.
    Kind {
        /// One trade: one row; `side` is the aggressor's.
        Trade = 1 "trade",
        /// The best bid and ask: two rows, bid first.
        Quote = 2 "quote",
        /// Changed levels of the book: one row a level, quantity 0 deletes it. A diff without levels is one row with
        /// side `None`.
        BookDiff = 3 "book_diff",
        /// A whole book, which replaces the one before; rows as in a diff.
        BookSnapshot = 4 "book_snapshot",
        /// A bar: one row a [`crate::BarField`].
        Bar = 5 "bar",
        /// The clock has reached `ts_recv`; one row, instrument [`crate::NO_INSTRUMENT`].
        Mark = 6 "mark",
        /// The state of an instrument, a venue or all feeds: one row with [`crate::StatusCode`], stream and scope.
        Status = 7 "status",
        /// What became of single orders of the book: one row an order, with id and [`crate::OrderAction`].
        Order = 8 "order",
        /// What an instrument is from this moment on: one row with the text of a [`crate::Definition`].
        Definition = 9 "definition",
        /// Numbers that the venue tells of an instrument and that are no trades or orders: one row a
        /// [`crate::ReferenceField`].
        Reference = 10 "reference",
    }
}

codes! {
    /// The side of a level or of a trade's aggressor.
    Side {
        /// Unknown, or the row has none.
        None = 0 "none",
        /// Buyers.
        Bid = 1 "bid",
        /// Sellers.
        Ask = 2 "ask",
    }
}

#[allow(non_upper_case_globals)]
impl Side {
    /// A trade whose aggressor bought.
    pub const Buy: Side = Side::Bid;
    /// A trade whose aggressor sold.
    pub const Sell: Side = Side::Ask;
}

/// Bits of a row's `flags`.
pub mod flags {
    /// The row ends its message.
    pub const LAST: u8 = 1;
    // 2 was a print off the book in format 1; see `Condition`.
    /// The worst level of a snapshot's side that was cut off: what lies beyond it is not known.
    pub const CUT: u8 = 4;
    /// A depth message whose prices or quantities do not fit into a tape's numbers: it has this row only.
    pub const UNHELD: u8 = 8;
    /// All bits that mean something.
    pub const KNOWN: u8 = LAST | CUT | UNHELD;
}
