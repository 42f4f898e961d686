//! One instrument: its number, its id and its scales.

/// Decimal places of prices and quantities unless the instrument declares others.
pub const DEFAULT_SCALE: u8 = 9;

/// Number of an instrument among the [`crate::Instruments`] of a batch, or [`NO_INSTRUMENT`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InstrumentId(pub u32);

/// The instrument of a message that concerns none, such as a clock mark.
pub const NO_INSTRUMENT: InstrumentId = InstrumentId(u32::MAX);

impl InstrumentId {
    /// The number of the instrument that stands at this place of a list.
    pub const fn at(place: usize) -> InstrumentId {
        InstrumentId(place as u32)
    }

    /// Where the instrument stands in a list; beyond every list for [`NO_INSTRUMENT`].
    #[inline]
    pub const fn place(self) -> usize {
        self.0 as usize
    }
}

/// Something traded on a venue, and the scales of its mantissas.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Instrument {
    /// `SYMBOL.VENUE`, for example `BTCUSDT.BINANCE` or `BTCUSDT-PERP.BINANCE`.
    pub id: String,
    /// Decimal places of a price's mantissa, at most 18.
    pub price_scale: u8,
    /// Decimal places of a quantity's mantissa, at most 18.
    pub qty_scale: u8,
}

impl Instrument {
    /// An instrument with the default scales.
    pub fn new(id: impl Into<String>) -> Instrument {
        Instrument {
            id: id.into(),
            price_scale: DEFAULT_SCALE,
            qty_scale: DEFAULT_SCALE,
        }
    }

    /// The venue that the id names, in `BTCUSDT.BINANCE` what follows the last point; empty if it names none.
    pub fn venue(&self) -> &str {
        venue_of(&self.id)
    }
}

/// The venue that an instrument's id names.
pub fn venue_of(id: &str) -> &str {
    id.rsplit_once('.').map_or("", |(_, venue)| venue)
}

/// Characters that an id has at most.
pub const ID_CHARS_MAX: usize = 200;

/// What is wrong with an instrument's id, wherever it comes from; `None` for one that can be used. It has 1 to 200 characters,
/// begins and ends with one that is no white space, and holds none that cannot be seen.
pub fn id_fault(id: &str) -> Option<&'static str> {
    if id.is_empty() {
        Some("is empty")
    } else if id.chars().nth(ID_CHARS_MAX).is_some() {
        Some("has more than 200 characters")
    } else if id.chars().any(is_unseen) {
        Some("holds a line end, a control character or one that cannot be seen")
    } else if id.trim() != id {
        Some("begins or ends with white space")
    } else {
        None
    }
}

/// Control characters, and those of Unicode that have no width or turn the direction of writing.
fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_short_and_can_be_seen() {
        let long = "x".repeat(ID_CHARS_MAX + 1);
        for (id, what) in [
            ("", "empty"),
            (" ", "white space"),
            ("BTC ", "white space"),
            ("\u{a0}BTC", "white space"),
            ("A\nB", "line end"),
            ("A\0B", "control"),
            ("A\u{202e}B", "cannot be seen"),
            ("A\u{200b}", "cannot be seen"),
            (&long, "200"),
        ] {
            let found = id_fault(id).unwrap_or_default();
            assert!(found.contains(what), "{id:?}: {found}");
        }
        for id in [
            "BTCUSDT.BINANCE",
            "AAPL  240119C00150000.OPRA",
            "Ölpreis",
            &long[1..],
        ] {
            assert_eq!(id_fault(id), None, "{id}");
        }
    }
}
