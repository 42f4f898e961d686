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
