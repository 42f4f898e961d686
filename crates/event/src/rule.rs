//! How a venue's depth messages become a book.

/// What the ids of a venue's depth messages say. Decoders bring them to one form: `sequence` is the last id of a
/// message, `sequence_prev` the id that it must follow (where a venue counts by one, the id less one).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum BookIds {
    /// A diff names the range of ids that it holds (Binance's `U` and `u`, KuCoin's `sequenceStart` and `sequenceEnd`).
    /// It follows if it begins at or before the id after the book's; snapshots come from elsewhere and have an id of
    /// the same count.
    #[default]
    Range,
    /// A diff names the id of the one before it (Binance's `pu`, a nonce that counts by one). It follows that one only;
    /// the first after a snapshot may begin before it.
    Linked,
    /// Linked, and snapshots are sent among the diffs: each replaces the book, and ids begin anew with its own.
    SnapshotResets,
    /// There are no ids, or they say nothing about the book: the order of arrival decides.
    Unnumbered,
}

/// How a venue computes the checksum of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChecksumKind {
    /// CRC-32 over the ten best asks, then the ten best bids: price and quantity as the venue wrote them, without point
    /// and leading zeros.
    Kraken,
    /// CRC-32 over the 25 best bids and asks in turn: `price:quantity` of each, joined by `:`. The venue sends it as a
    /// signed number; a message holds the same 32 bits.
    Okx,
}

/// How a venue's depth messages become a book. The table of venues names one for each.
///
/// ```
/// use signal_event::{BookRule, ChecksumKind};
/// const KRAKEN: BookRule = BookRule::UNNUMBERED.checked(ChecksumKind::Kraken).deep(1_000);
/// assert_eq!(KRAKEN.depth, Some(1_000));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BookRule {
    /// What ids say.
    pub ids: BookIds,
    /// How the checksum is computed that messages carry; `None` if none do.
    pub checksum: Option<ChecksumKind>,
    /// Levels a side that the venue keeps its subscribers' books at: it sends every change of these levels, so that those
    /// which are pushed out of them must be dropped. A snapshot that is marked as cut may name fewer. `None` where a
    /// snapshot is all there is, or only what it begins with.
    pub depth: Option<u32>,
}

impl BookRule {
    /// Ranges of ids.
    pub const RANGE: BookRule = BookRule::of(BookIds::Range);
    /// Ids that link each diff to the one before it.
    pub const LINKED: BookRule = BookRule::of(BookIds::Linked);
    /// Links that begin anew with each snapshot.
    pub const SNAPSHOT_RESETS: BookRule = BookRule::of(BookIds::SnapshotResets);
    /// No ids.
    pub const UNNUMBERED: BookRule = BookRule::of(BookIds::Unnumbered);

    const fn of(ids: BookIds) -> BookRule {
        BookRule {
            ids,
            checksum: None,
            depth: None,
        }
    }

    /// The same, with checksums.
    pub const fn checked(self, kind: ChecksumKind) -> BookRule {
        BookRule {
            checksum: Some(kind),
            ..self
        }
    }

    /// The same, for books that the venue keeps at this many levels a side.
    pub const fn deep(self, levels: u32) -> BookRule {
        BookRule {
            depth: Some(levels),
            ..self
        }
    }
}
