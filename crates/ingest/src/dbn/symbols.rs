//! Which instrument a record is of.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use ::dbn::{Metadata, Publisher, RecordHeader, SType, SymbolMappingMsg, TsSymbolMap, Venue};
use signal_event::{
    Condition, Definition, Instrument, InstrumentId, Instruments, Timestamp, decimal,
};

use super::of;
use crate::RejectCode;
use crate::json::{Fault, fault};

/// Decimal places of DBN's prices.
const PRICE_SCALE: u8 = 9;

/// And of its quantities, which are whole numbers.
const QTY_SCALE: u8 = 0;

/// An instrument of a file, as long as its number means it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub id: InstrumentId,
    /// What prints of its publisher are, unless the record says more.
    pub condition: Condition,
    from: u64,
    until: u64,
    /// Decimal places of its price and quantity, where they are not DBN's.
    scales: Option<(u8, u8)>,
}

impl Known {
    /// Its prices and quantities are those of DBN.
    #[inline(always)]
    pub(super) fn has_usual_scales(&self) -> bool {
        self.scales.is_none()
    }

    /// A price of DBN in the instrument's scale.
    #[inline(always)]
    pub(super) fn price(&self, px: i64) -> Result<i64, Fault> {
        match self.scales {
            None => Ok(px),
            Some((places, _)) => rescaled(px, PRICE_SCALE, places),
        }
    }

    /// A quantity of DBN in the instrument's scale.
    #[inline(always)]
    pub(super) fn qty(&self, qty: i64) -> Result<i64, Fault> {
        match self.scales {
            None => Ok(qty),
            Some((_, places)) => rescaled(qty, QTY_SCALE, places),
        }
    }
}

/// The same number in another scale, if it has no more digits than that.
#[cold]
fn rescaled(mantissa: i64, from: u8, to: u8) -> Result<i64, Fault> {
    let refuse = |code| {
        let text = decimal::format(mantissa, from);
        Err(fault(
            code,
            format!("{text} in the instrument's {to} decimal places"),
        ))
    };
    if to >= from {
        let scaled = mantissa.checked_mul(decimal::POW10[usize::from(to - from)]);
        return scaled.map_or_else(|| refuse(RejectCode::Overflow), Ok);
    }
    let unit = decimal::POW10[usize::from(from - to)];
    match mantissa % unit {
        0 => Ok(mantissa / unit),
        _ => refuse(RejectCode::Precision),
    }
}

/// The numbers that a file gives its instruments, by publisher, number and time; each day may give them anew.
///
/// An instrument's id is its symbol and the venue's code (`ESH1.GLBX`); where no symbol is known, its number is the symbol.
///
/// Invariant: `found` holds what the mapping at hand says.
#[derive(Debug)]
pub(super) struct Symbols {
    mapped: TsSymbolMap,
    dataset: String,
    found: HashMap<u64, Known, BuildHasherDefault<Mixed>>,
    newest: (u64, Option<Known>),
    instruments: Arc<Instruments>,
}

impl Symbols {
    pub(super) fn new(instruments: Arc<Instruments>) -> Symbols {
        Symbols {
            mapped: TsSymbolMap::new(),
            dataset: String::new(),
            found: HashMap::default(),
            newest: (0, None),
            instruments,
        }
    }

    pub(super) fn instruments(&self) -> &Arc<Instruments> {
        &self.instruments
    }

    /// Takes the header of a file or stream.
    pub(super) fn begin(&mut self, metadata: &Metadata) -> Result<(), Fault> {
        let numbers =
            [metadata.stype_in, Some(metadata.stype_out)].contains(&Some(SType::InstrumentId));
        if numbers {
            self.mapped = metadata.symbol_map().map_err(|error| {
                fault(
                    RejectCode::Corrupt,
                    format!("the header's symbols cannot be read: {error}"),
                )
            })?;
        }
        self.dataset = metadata.dataset.clone();
        self.forget();
        Ok(())
    }

    /// Takes a mapping that comes among the records.
    pub(super) fn map(&mut self, mapping: &SymbolMappingMsg) -> Result<(), Fault> {
        let taken = self.mapped.on_symbol_mapping(mapping);
        self.forget();
        taken.map_err(|error| fault(RejectCode::BadValue, format!("a symbol mapping: {error}")))
    }

    /// The instrument of a record at its time of receipt.
    #[inline(always)]
    pub(super) fn of(&mut self, header: &RecordHeader, ts: u64) -> Result<Known, Fault> {
        let key = u64::from(header.publisher_id) << 32 | u64::from(header.instrument_id);
        if let (newest, Some(known)) = self.newest
            && newest == key
            && (known.from..known.until).contains(&ts)
        {
            return Ok(known);
        }
        let known = match self.found.get(&key) {
            Some(known) if (known.from..known.until).contains(&ts) => *known,
            _ => self.find(header, key, ts, None)?,
        };
        self.newest = (key, Some(known));
        Ok(known)
    }

    /// As `of`, of a record that tells the symbol itself.
    pub(super) fn named(
        &mut self,
        header: &RecordHeader,
        ts: u64,
        symbol: &str,
    ) -> Result<Known, Fault> {
        let key = u64::from(header.publisher_id) << 32 | u64::from(header.instrument_id);
        self.newest = (0, None);
        self.find(
            header,
            key,
            ts,
            Some(symbol).filter(|symbol| !symbol.is_empty()),
        )
    }

    #[cold]
    fn find(
        &mut self,
        header: &RecordHeader,
        key: u64,
        ts: u64,
        told: Option<&str>,
    ) -> Result<Known, Fault> {
        let intervals = self.mapped.inner().get(&header.instrument_id);
        let intervals = intervals.map_or(&[][..], |intervals| intervals.intervals());
        let at = intervals.partition_point(|interval| interval.end_ts <= ts);
        let (mut from, mut until) = match at.checked_sub(1).and_then(|before| intervals.get(before))
        {
            Some(before) => (before.end_ts, u64::MAX),
            None => (0, u64::MAX),
        };
        let mut mapped = None;
        if let Some(next) = intervals.get(at) {
            if next.start_ts <= ts {
                (from, until, mapped) = (next.start_ts, next.end_ts, Some(next.symbol.as_str()));
            } else {
                until = next.start_ts;
            }
        }
        let number;
        let symbol = match mapped.or(told) {
            Some(symbol) => symbol,
            None => {
                number = header.instrument_id.to_string();
                &number
            }
        };
        let publisher = Publisher::try_from(header.publisher_id).ok();
        let venue = match publisher {
            Some(publisher) => publisher.venue().as_str(),
            None => self.dataset.split('.').next().unwrap_or_default(),
        };
        let instrument = Instrument {
            id: format!("{symbol}.{venue}"),
            price_scale: PRICE_SCALE,
            qty_scale: QTY_SCALE,
        };
        let id = match self.instruments.id(&instrument.id) {
            Some(id) => id,
            None => Arc::make_mut(&mut self.instruments)
                .intern(&instrument)
                .map_err(|error| {
                    fault(
                        RejectCode::UnknownInstrument,
                        format!("{}: {error}", of(header)),
                    )
                })?,
        };
        let condition = match publisher.map(|publisher| publisher.venue()) {
            Some(Venue::Finn | Venue::Finc | Venue::Finy) => Condition::OffBook,
            Some(Venue::Xoff) => Condition::Block,
            _ => Condition::Ordinary,
        };
        let declared = self
            .instruments
            .get(id)
            .map(|one| (one.price_scale, one.qty_scale));
        let scales = declared.filter(|scales| *scales != (PRICE_SCALE, QTY_SCALE));
        let known = Known {
            id,
            condition,
            from,
            until,
            scales,
        };
        // A symbol that one record told holds for those behind it, as far as the mapping says nothing.
        self.found.insert(key, known);
        Ok(known)
    }

    /// Notes what an instrument is from a moment on.
    pub(super) fn learn(&mut self, id: InstrumentId, from: Timestamp, definition: &Definition) {
        Arc::make_mut(&mut self.instruments).define(id, from, definition);
    }

    fn forget(&mut self) {
        self.found.clear();
        self.newest = (0, None);
    }
}

/// Mixes publisher and number: they are small and dense.
#[derive(Clone, Copy, Debug, Default)]
struct Mixed(u64);

impl Hasher for Mixed {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ mixed >> 32;
    }
}
