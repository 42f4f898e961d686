//! Lines to messages.

use std::collections::HashMap;
use std::sync::Arc;

use signal_event::{
    EventBatchBuilder, Header, Instrument, InstrumentId, Instruments, Kind, NO_TIME, Side,
    Timestamp,
};

use super::{Market, digits, parse, scan};
use crate::{Reject, RejectCode};

/// Bytes of a symbol at most; the venue's longest have about twenty.
const SYMBOL_BYTES_MAX: usize = 64;

/// What a line became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// The message's kind.
    pub kind: Kind,
    /// Its instrument, an index into [`Decoder::instruments`].
    pub instrument: InstrumentId,
    /// When it was received.
    pub ts_recv: Timestamp,
    /// Why its levels cannot be held: then the message says only that there were some.
    pub unheld: Option<Reject>,
}

/// Decodes lines of raw Binance captures, and names the instruments as they appear.
///
/// Invariants: each entry of `known` stands in `instruments`, and its scales are those of the table; `places` finds each
/// entry by its symbol, among spot's or the futures'; between lines there is no newcomer.
#[derive(Clone, Debug, Default)]
pub struct Decoder {
    instruments: Arc<Instruments>,
    known: Vec<Known>,
    /// Where in `known` a symbol stands: of spot, and of the futures markets, whose symbols tell them apart.
    places: [HashMap<Vec<u8>, usize>; 2],
    /// The symbol of the line at hand, if it is new: it is listed once the whole line proves good.
    newcomer: Option<(Known, Instrument)>,
    /// The entry of `known` that the line before used.
    latest: usize,
    /// What the receive times count, once a line has shown it.
    unit: Option<ClockUnit>,
    pub(super) shapes: scan::Shapes,
}

/// A symbol of a market that has been seen.
#[derive(Clone, Debug)]
struct Known {
    market: Market,
    /// Letters, digits and underscores, so that it looks the same inside a JSON string.
    symbol: Vec<u8>,
    listing: Listing,
}

/// What a frame needs to know of its instrument.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listing {
    pub id: InstrumentId,
    pub price_scale: u8,
    pub qty_scale: u8,
}

impl Decoder {
    /// A decoder that knows no instrument yet. New ones get the default scales.
    pub fn new() -> Decoder {
        Decoder::default()
    }

    /// A decoder that uses the scales, and keeps the indices, of these instruments.
    pub fn with_instruments(instruments: Arc<Instruments>) -> Decoder {
        Decoder {
            instruments,
            ..Decoder::default()
        }
    }

    /// The instruments so far.
    pub fn instruments(&self) -> &Arc<Instruments> {
        &self.instruments
    }

    /// Decodes one line, without its line feed, and adds its message to `builder`. A line that is refused adds nothing.
    pub fn decode_line(
        &mut self,
        line: &[u8],
        builder: &mut EventBatchBuilder,
    ) -> Result<Decoded, Reject> {
        let (reading, frame) = split_line(line).ok_or_else(|| no_time(line))?;
        if let Some((header, [])) = scan::frame(self, frame, builder) {
            return self.close(reading, header, builder);
        }
        builder.abandon();
        let parsed = parse::frame(self, frame, builder);
        let closed = parsed.and_then(|parsed| {
            self.clock_unit(reading, &parsed.header)?;
            self.welcome()?;
            let decoded = self.close(reading, parsed.header, builder)?;
            Ok(Decoded {
                unheld: parsed.unheld,
                ..decoded
            })
        });
        if closed.is_err() {
            self.newcomer = None;
            builder.abandon();
        }
        closed
    }

    /// The fast way, which finds the line's end by itself: decodes the line with which `text` begins, if it is whole
    /// and laid out as the venue does, and gives what follows it. `None` changes nothing: then find the line's end and
    /// use [`Decoder::decode_line`].
    #[inline]
    pub fn scan_line<'a>(
        &mut self,
        text: &'a [u8],
        builder: &mut EventBatchBuilder,
    ) -> Option<&'a [u8]> {
        let (reading, frame) = split_line(text)?;
        let unit = self.unit.filter(|unit| unit.digits() == reading.digits)?;
        let ts_recv = reading.value.checked_mul(unit.ns())?;
        if let Some((header, [b'\n', rest @ ..])) = scan::frame(self, frame, builder) {
            builder.close(Header { ts_recv, ..header });
            return Some(rest);
        }
        builder.abandon();
        None
    }

    /// The unit of the capture's clock, once a line has shown it.
    pub fn unit(&self) -> Option<ClockUnit> {
        self.unit
    }

    fn close(
        &mut self,
        reading: Reading,
        header: Header,
        builder: &mut EventBatchBuilder,
    ) -> Result<Decoded, Reject> {
        let closed = self.clock_unit(reading, &header).map(|unit| {
            self.unit = Some(unit);
            let ts_recv = reading.value * unit.ns();
            builder.close(Header { ts_recv, ..header });
            Decoded {
                kind: header.kind,
                instrument: header.instrument,
                ts_recv,
                unheld: None,
            }
        });
        if closed.is_err() {
            builder.abandon();
        }
        closed
    }

    /// The unit in which a line's clock is read. It is one for the whole capture.
    fn clock_unit(&self, reading: Reading, header: &Header) -> Result<ClockUnit, Reject> {
        let refuse = |detail| Err(Reject::new(RejectCode::BadTimestamp, detail));
        let Reading { value, digits } = reading;
        let shown = ClockUnit::ALL
            .into_iter()
            .find(|unit| unit.digits() == digits);
        match (shown, self.unit) {
            (Some(unit), None) if value.checked_mul(unit.ns()).is_some() => Ok(unit),
            (Some(unit), Some(before))
                if unit == before && value.checked_mul(unit.ns()).is_some() =>
            {
                Ok(unit)
            }
            (Some(unit), Some(before)) => refuse(format!(
                "the receive time {value} reads as {unit}, those before it are in {before}"
            )),
            // No time of our days, as in examples written by hand: nanoseconds, unless the venue's time says otherwise.
            (None, None | Some(ClockUnit::Nanoseconds))
                if header.ts_event == NO_TIME || value.abs_diff(header.ts_event) < AGE_NS =>
            {
                Ok(ClockUnit::Nanoseconds)
            }
            _ => refuse(format!(
                "the receive time {value} is no time of our days in s, ms, µs or ns, as the venue's time in the line is"
            )),
        }
    }

    /// The listing of the known symbol of spot, or of the futures markets, with which `text` begins, and what follows
    /// its closing quote.
    #[inline]
    pub(super) fn known_in<'a>(
        &mut self,
        futures: bool,
        text: &'a [u8],
    ) -> Option<(Listing, &'a [u8])> {
        if let Some(known) = self.known.get(self.latest)
            && (known.market != Market::Spot) == futures
            && let Some(rest) = text.strip_prefix(known.symbol.as_slice())
            && let Some(rest) = rest.strip_prefix(b"\"")
        {
            return Some((known.listing, rest));
        }
        self.known_elsewhere(futures, text)
    }

    /// As `known_in`, where it is not the symbol of the line before.
    #[inline(never)]
    fn known_elsewhere<'a>(
        &mut self,
        futures: bool,
        text: &'a [u8],
    ) -> Option<(Listing, &'a [u8])> {
        let end = memchr::memchr(b'"', &text[..text.len().min(SYMBOL_BYTES_MAX + 1)])?;
        let at = *self.places[usize::from(futures)].get(&text[..end])?;
        self.latest = at;
        Some((self.known.get(at)?.listing, &text[end + 1..]))
    }

    /// The listing of a symbol; a new one is a newcomer until the line proves good.
    pub(super) fn listing(&mut self, market: Market, symbol: &str) -> Result<Listing, Reject> {
        let places = &self.places[usize::from(market != Market::Spot)];
        if let Some(known) = places
            .get(symbol.as_bytes())
            .and_then(|&at| self.known.get(at))
        {
            return Ok(known.listing);
        }
        if symbol.is_empty()
            || symbol.len() > SYMBOL_BYTES_MAX
            || !symbol.chars().all(|c| c.is_alphanumeric() || c == '_')
        {
            let detail = format!(
                "the symbol {symbol:?} is not made of 1 to {SYMBOL_BYTES_MAX} letters, digits and underscores"
            );
            return Err(Reject::new(RejectCode::BadValue, detail));
        }
        let id = market.instrument_id(symbol);
        let declared = self.instruments.id(&id);
        let number = declared.unwrap_or(InstrumentId::at(self.instruments.len()));
        let instrument = declared
            .and_then(|number| self.instruments.get(number))
            .cloned();
        let instrument = instrument.unwrap_or_else(|| Instrument::new(id));
        let listing = Listing {
            id: number,
            price_scale: instrument.price_scale,
            qty_scale: instrument.qty_scale,
        };
        self.newcomer = Some((
            Known {
                market,
                symbol: symbol.into(),
                listing,
            },
            instrument,
        ));
        Ok(listing)
    }

    /// Lists the newcomer, if there is one.
    fn welcome(&mut self) -> Result<(), Reject> {
        if let Some((known, instrument)) = self.newcomer.take() {
            let listed = Arc::make_mut(&mut self.instruments).intern(&instrument);
            listed.map_err(|e| Reject::new(RejectCode::UnknownInstrument, e.to_string()))?;
            let places = &mut self.places[usize::from(known.market != Market::Spot)];
            places.insert(known.symbol.clone(), self.known.len());
            self.known.push(known);
        }
        Ok(())
    }

    /// The only instrument of a market: whose a snapshot without a symbol is.
    pub(super) fn only_listing(&self, market: Market) -> Result<Listing, Reject> {
        let mut of_market = self.known.iter().filter(|known| known.market == market);
        match (of_market.next(), of_market.next()) {
            (Some(known), None) => Ok(known.listing),
            (None, _) => Err(Reject::new(
                RejectCode::UnknownInstrument,
                format!(
                    "a {market:?} snapshot names no symbol and no frame before it did; record the stream first"
                ),
            )),
            (Some(_), Some(_)) => Err(Reject::new(
                RejectCode::UnknownInstrument,
                format!(
                    "a {market:?} snapshot names no symbol and the capture holds several; record one a file"
                ),
            )),
        }
    }
}

/// How far a receive time that is no time of our days may lie from the venue's time: 20 years.
const AGE_NS: u64 = 20 * 365 * 86_400 * 1_000_000_000;

/// What a capture's clock counts. A time between 2001 and 2286 has another number of digits in each of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockUnit {
    /// 10 digits.
    Seconds,
    /// 13 digits.
    Milliseconds,
    /// 16 digits.
    Microseconds,
    /// 19 digits.
    Nanoseconds,
}

impl ClockUnit {
    const ALL: [ClockUnit; 4] = [
        ClockUnit::Seconds,
        ClockUnit::Milliseconds,
        ClockUnit::Microseconds,
        ClockUnit::Nanoseconds,
    ];

    /// Digits of a time of our days.
    const fn digits(self) -> usize {
        match self {
            ClockUnit::Seconds => 10,
            ClockUnit::Milliseconds => 13,
            ClockUnit::Microseconds => 16,
            ClockUnit::Nanoseconds => 19,
        }
    }

    /// Nanoseconds in one.
    const fn ns(self) -> i64 {
        match self {
            ClockUnit::Seconds => 1_000_000_000,
            ClockUnit::Milliseconds => 1_000_000,
            ClockUnit::Microseconds => 1_000,
            ClockUnit::Nanoseconds => 1,
        }
    }
}

impl std::fmt::Display for ClockUnit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            ClockUnit::Seconds => "s",
            ClockUnit::Milliseconds => "ms",
            ClockUnit::Microseconds => "µs",
            ClockUnit::Nanoseconds => "ns",
        })
    }
}

/// The number that a line begins with.
#[derive(Clone, Copy, Debug)]
struct Reading {
    value: i64,
    digits: usize,
}

/// Adds the rows of a best quote.
#[inline]
pub(super) fn push_quote(builder: &mut EventBatchBuilder, bid: (i64, i64), ask: (i64, i64)) {
    builder.push_row(Side::Bid.code(), bid.0, bid.1);
    builder.push_row(Side::Ask.code(), ask.0, ask.1);
}

/// The aggressor's side. A trade that is not of the public order book (insurance fund, settlement) has none.
#[inline]
pub(super) fn aggressor(buyer_is_maker: bool, of_the_book: bool) -> Side {
    match (of_the_book, buyer_is_maker) {
        (false, _) => Side::None,
        (true, true) => Side::Sell,
        (true, false) => Side::Buy,
    }
}

/// Milliseconds to nanoseconds; `None` if they do not fit, or mean "absent".
#[inline]
pub(super) fn ns_of_ms(ms: u64) -> Option<Timestamp> {
    i64::try_from(ms)
        .ok()?
        .checked_mul(1_000_000)
        .filter(|ns| *ns != NO_TIME)
}

/// The clock's reading of the line with which `text` begins, and what follows it.
#[inline]
fn split_line(text: &[u8]) -> Option<(Reading, &[u8])> {
    let mut ts = 0u64;
    let mut rest = text;
    // A time of our days has 19 digits: twice eight, then three.
    while let Some((chunk, behind)) = rest.split_first_chunk::<8>()
        && text.len() - rest.len() < 16
        && let (8, digits) = digits::leading(chunk)
    {
        ts = ts * 100_000_000 + digits;
        rest = behind;
    }
    while let Some((digit @ b'0'..=b'9', behind)) = rest.split_first() {
        ts = ts.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
        rest = behind;
    }
    let digits = text.len() - rest.len();
    let frame = rest.strip_prefix(b" ").filter(|_| digits > 0)?;
    let value = i64::try_from(ts).ok()?;
    Some((Reading { value, digits }, frame))
}

fn no_time(line: &[u8]) -> Reject {
    let start = String::from_utf8_lossy(&line[..line.len().min(24)]).into_owned();
    let detail = format!(
        "the line begins {start:?}, not with the time since 1970 (in s, ms, µs or ns) and a space"
    );
    Reject::new(RejectCode::BadTimestamp, detail)
}
